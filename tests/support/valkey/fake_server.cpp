#include "support/valkey/fake_server.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace valkeycache::test {
namespace {

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// The number behind *, $ at `at`, and past its CRLF; nullopt when more bytes are needed, throws
// when they cannot be a command.
std::optional<long> header(const std::string& text, char mark, std::size_t& at) {
  if (at >= text.size()) return std::nullopt;
  if (text[at] != mark) throw std::runtime_error("not a command");
  const auto end = text.find("\r\n", at);
  if (end == std::string::npos) return std::nullopt;
  const long number = std::strtol(text.c_str() + at + 1, nullptr, 10);
  at = end + 2;
  return number;
}

}  // namespace

std::optional<Command> take_command(std::string& buffer) {
  std::size_t at = 0;
  const auto count = header(buffer, '*', at);
  if (!count) return std::nullopt;
  Command command;
  for (long i = 0; i < *count; ++i) {
    const auto size = header(buffer, '$', at);
    if (!size || buffer.size() < at + static_cast<std::size_t>(*size) + 2) return std::nullopt;
    command.push_back(buffer.substr(at, static_cast<std::size_t>(*size)));
    at += static_cast<std::size_t>(*size) + 2;
  }
  buffer.erase(0, at);
  return command;
}

FakeConnection::~FakeConnection() {
  if (socket_ >= 0) close(socket_);
}

bool FakeConnection::fill() {
  pollfd waits[2] = {{socket_, POLLIN, 0}, {server_.stop_[0], POLLIN, 0}};
  while (poll(waits, 2, -1) < 0 && errno == EINTR) {
  }
  if (waits[1].revents != 0) return false;
  char bytes[65536];
  const auto count = recv(socket_, bytes, sizeof bytes, 0);
  if (count <= 0) return false;
  buffer_.append(bytes, static_cast<std::size_t>(count));
  return true;
}

std::optional<Command> FakeConnection::read_command() {
  try {
    for (;;) {
      if (auto command = take_command(buffer_)) {
        server_.record(*command);
        return command;
      }
      if (!fill()) return std::nullopt;
    }
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

std::optional<Command> FakeConnection::read_after_handshake() {
  for (;;) {
    auto command = read_command();
    if (!command) return std::nullopt;
    const auto reply = handshake_reply(*command);
    if (!reply) return command;
    if (!write(*reply)) return std::nullopt;
  }
}

bool FakeConnection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd waits[2] = {{socket_, POLLOUT, 0}, {server_.stop_[0], POLLIN, 0}};
    while (poll(waits, 2, -1) < 0 && errno == EINTR) {
    }
    if (waits[1].revents != 0) return false;
    const auto count = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool FakeConnection::write_bytewise(std::string_view bytes) {
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return std::all_of(bytes.begin(), bytes.end(),
                     [this](const char& byte) { return write(std::string_view(&byte, 1)); });
}

bool FakeConnection::swallow_some() {
  buffer_.clear();
  return fill();
}

void FakeConnection::swallow() {
  while (swallow_some()) {
  }
}

void FakeConnection::reset() {
  const linger abort{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  close(socket_);
  socket_ = -1;
}

FakeServer::FakeServer(Script script) : script_(std::move(script)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (listener_ < 0 || pipe2(stop_, O_CLOEXEC) != 0 ||
      bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, 128) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen on loopback");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

FakeServer::~FakeServer() {
  [[maybe_unused]] const auto written = ::write(stop_[1], "x", 1);
  acceptor_.join();
  for (auto& script : scripts_) script.join();
  close(listener_);
  close(stop_[0]);
  close(stop_[1]);
}

void FakeServer::accept_all() {
  for (;;) {
    pollfd waits[2] = {{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    while (poll(waits, 2, -1) < 0 && errno == EINTR) {
    }
    if (waits[1].revents != 0) return;
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const std::lock_guard lock(mutex_);
    scripts_.emplace_back([this, socket, number = connections_++] {
      FakeConnection connection(*this, socket, number);
      script_(connection);
    });
  }
}

void FakeServer::record(const Command& command) {
  const std::lock_guard lock(mutex_);
  commands_.push_back(command);
}

std::string FakeServer::uri() const {
  return "valkey://127.0.0.1:" + std::to_string(port_);
}

int FakeServer::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

std::vector<Command> FakeServer::commands() const {
  const std::lock_guard lock(mutex_);
  return commands_;
}

std::vector<Command> FakeServer::commands_after_handshake() const {
  auto commands = this->commands();
  commands.erase(std::remove_if(commands.begin(), commands.end(), is_handshake), commands.end());
  return commands;
}

bool is_handshake(const Command& command) {
  const std::string name = command.empty() ? "" : upper(command[0]);
  return name == "HELLO" || name == "AUTH" || name == "SELECT" || name == "CLIENT";
}

std::optional<std::string> handshake_reply(const Command& command) {
  if (!is_handshake(command)) return std::nullopt;
  if (upper(command[0]) != "HELLO") return "+OK\r\n";
  return "%3\r\n" + bulk("server") + bulk("valkey") + bulk("version") + bulk("8.0.1") +
         bulk("proto") + ":3\r\n";
}

FakeServer::Script answering(std::function<std::string(const Command&)> answer) {
  return [answer = std::move(answer)](FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      if (!connection.write(answer(*command))) return;
    }
  };
}

std::string bulk(std::string_view bytes) {
  return "$" + std::to_string(bytes.size()) + "\r\n" + std::string(bytes) + "\r\n";
}

std::string array(const std::vector<std::string>& encoded_items) {
  std::string text = "*" + std::to_string(encoded_items.size()) + "\r\n";
  for (const auto& item : encoded_items) text += item;
  return text;
}

}  // namespace valkeycache::test
