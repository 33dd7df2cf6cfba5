#include "support/valkey/resp_client.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace valkeycache::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error("observer: " + what + ": " + std::strerror(errno));
}

int connect_to(int family, const sockaddr* address, socklen_t size,
               std::chrono::milliseconds timeout) {
  const int handle = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (handle < 0) fail("socket");
  timeval limit{};
  limit.tv_sec = static_cast<time_t>(timeout.count() / 1000);
  limit.tv_usec = static_cast<suseconds_t>(timeout.count() % 1000 * 1000);
  setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(handle, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(handle, address, size) != 0) {
    const int error = errno;
    close(handle);
    errno = error;
    fail("connect");
  }
  return handle;
}

}  // namespace

std::string encode_command(const std::vector<std::string>& arguments) {
  std::string text = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const auto& argument : arguments) {
    text += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
  }
  return text;
}

RespClient RespClient::tcp(std::uint16_t port, std::chrono::milliseconds timeout) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return RespClient(
      connect_to(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address, timeout));
}

RespClient RespClient::unix_socket(const std::string& path, std::chrono::milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("socket path too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return RespClient(
      connect_to(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address, timeout));
}

RespClient::RespClient(RespClient&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      buffer_(std::move(other.buffer_)),
      start_(other.start_) {}

RespClient& RespClient::operator=(RespClient&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(buffer_, other.buffer_);
  std::swap(start_, other.start_);
  return *this;
}

RespClient::~RespClient() {
  if (socket_ >= 0) close(socket_);
}

void RespClient::shut_down() noexcept {
  shutdown(socket_, SHUT_RDWR);
}

RespReply RespClient::command(const std::vector<std::string>& arguments) {
  send(arguments);
  return read();
}

void RespClient::send(const std::vector<std::string>& arguments) {
  const std::string text = encode_command(arguments);
  for (std::size_t sent = 0; sent < text.size();) {
    const auto count = ::send(socket_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count < 0) fail("send");
    sent += static_cast<std::size_t>(count);
  }
}

RespReply RespClient::read() {
  const std::string line = read_line();
  if (line.empty()) throw std::runtime_error("observer: an empty line for a reply");
  const std::string rest = line.substr(1);
  RespReply reply;
  switch (line[0]) {
    case '+':
      reply.kind = RespReply::Kind::status;
      reply.text = rest;
      return reply;
    case '-':
      reply.kind = RespReply::Kind::error;
      reply.text = rest;
      return reply;
    case ':':
      reply.kind = RespReply::Kind::integer;
      reply.integer = std::stoll(rest);
      return reply;
    case '$': {
      const long long size = std::stoll(rest);
      if (size < 0) return reply;
      reply.kind = RespReply::Kind::bulk;
      reply.text = read_bytes(static_cast<std::size_t>(size));
      read_bytes(2);
      return reply;
    }
    case '*': {
      const long long size = std::stoll(rest);
      if (size < 0) return reply;
      reply.kind = RespReply::Kind::array;
      for (long long i = 0; i < size; ++i) reply.items.push_back(read());
      return reply;
    }
    default:
      throw std::runtime_error("observer: not a reply: " + line);
  }
}

void RespClient::fill() {
  if (start_ > 0) {
    buffer_.erase(0, start_);
    start_ = 0;
  }
  char bytes[65536];
  ssize_t count = 0;
  do {  // a process that was stopped meanwhile is told EINTR, since the socket has a time-out
    count = recv(socket_, bytes, sizeof bytes, 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) fail("recv");
  if (count == 0) throw std::runtime_error("observer: the server closed the connection");
  buffer_.append(bytes, static_cast<std::size_t>(count));
}

std::string RespClient::read_line() {
  for (;;) {
    const auto end = buffer_.find("\r\n", start_);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(start_, end - start_);
      start_ = end + 2;
      return line;
    }
    fill();
  }
}

std::string RespClient::read_bytes(std::size_t count) {
  while (buffer_.size() - start_ < count) fill();
  std::string bytes = buffer_.substr(start_, count);
  start_ += count;
  return bytes;
}

}  // namespace valkeycache::test
