#include "support/valkey/tcp_proxy.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string_view>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/valkey/wait.hpp"

namespace valkeycache::test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

constexpr int usual_queue = 128;

void send_at_once(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(std::uint16_t server_port, std::chrono::microseconds max_delay, unsigned seed)
    : server_port_(server_port), max_delay_(max_delay), seed_(seed) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  socklen_t size = sizeof address;
  if (listener_ < 0 || pipe2(stop_, O_CLOEXEC) != 0 ||
      bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, usual_queue) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen on loopback");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

TcpProxy::~TcpProxy() {
  [[maybe_unused]] const auto written = ::write(stop_[1], "x", 1);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    cut_if([](const std::string&) { return true; });
  }
  for (auto& relay : relays_) relay.join();
  for (const auto& link : links_) {
    close(link.client);
    close(link.server);
  }
  for (const int socket : queue_) close(socket);
  close(listener_);
  close(stop_[0]);
  close(stop_[1]);
}

void TcpProxy::accept_all() {
  for (;;) {
    pollfd waits[2] = {{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    while (poll(waits, 2, -1) < 0 && errno == EINTR) {
    }
    if (waits[1].revents != 0) return;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !deaf_; });
      if (stopping_) return;
    }
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    const int client = accept4(listener_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC);
    if (client < 0) continue;
    char from[INET_ADDRSTRLEN] = {};
    inet_ntop(AF_INET, &peer.sin_addr, from, sizeof from);
    link(client, from);
  }
}

void TcpProxy::link(int client, const std::string& from) {
  std::unique_lock lock(mutex_);
  const auto admitted = [&] {
    return !admitted_ || admitted_(from);
  };
  const auto port = server_port_;
  const auto cuts = cuts_;
  const bool tried = admitted();
  lock.unlock();  // a server that hangs may take its time
  const int server = tried ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
  const auto address = loopback(port);
  const bool connected = server >= 0 && connect(server, reinterpret_cast<const sockaddr*>(&address),
                                                sizeof address) == 0;
  lock.lock();
  if (!connected || cuts != cuts_ || !admitted()) {
    if (server >= 0) close(server);
    close(client);
    return;
  }
  send_at_once(client);
  send_at_once(server);
  const unsigned seed = seed_ + static_cast<unsigned>(connections_++);
  links_.push_back({client, server, from});
  relays_.emplace_back([this, client, server, seed] { relay(client, server, false, seed); });
  relays_.emplace_back([this, client, server, seed] { relay(server, client, true, seed); });
}

// The sockets are closed by the destructor only, so that no number is used twice meanwhile.
void TcpProxy::relay(int from, int to, bool replies, unsigned seed) {
  std::mt19937 random(seed);
  char bytes[65536];
  for (;;) {
    const auto count = recv(from, bytes, sizeof bytes, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    std::string_view rest(bytes, static_cast<std::size_t>(count));
    bool sent = true;
    while (sent && !rest.empty()) {
      std::size_t piece = rest.size();
      if (replies && max_delay_.count() > 0) {
        piece = std::uniform_int_distribution<std::size_t>(1, rest.size())(random);
        // The delay is what this is about; nobody waits for its end.
        std::this_thread::sleep_for(
            std::chrono::microseconds(std::uniform_int_distribution<std::int64_t>(
                0, static_cast<std::int64_t>(max_delay_.count()))(random)));
      }
      piece = may_pass(replies, piece);
      sent = piece != 0 && send_all(to, rest.substr(0, piece));
      rest.remove_prefix(piece);
    }
    if (!sent) break;
  }
  await_speech();
  shutdown(from, SHUT_RDWR);
  shutdown(to, SHUT_RDWR);
}

std::size_t TcpProxy::may_pass(bool replies, std::size_t bytes) {
  std::unique_lock lock(mutex_);
  const auto held = [&] {
    return replies && held_;
  };
  changed_.wait(lock, [&] { return stopping_ || (!silent_ && (!held() || until_held_ != 0)); });
  if (stopping_) return 0;
  if (!held()) return bytes;
  const auto passing = std::min(bytes, until_held_);
  until_held_ -= passing;
  return passing;
}

void TcpProxy::await_speech() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || !silent_; });
}

std::string TcpProxy::uri() const {
  return "valkey://127.0.0.1:" + std::to_string(port_);
}

int TcpProxy::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

void TcpProxy::hold_replies(std::size_t after) {
  const std::lock_guard lock(mutex_);
  held_ = true;
  until_held_ = after;
  changed_.notify_all();
}

void TcpProxy::release_replies() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

void TcpProxy::fall_silent(Newcomers newcomers) {
  const std::lock_guard lock(mutex_);
  silent_ = true;
  deaf_ = newcomers == Newcomers::lost;
  if (deaf_) fill_queue();
}

// When nobody more may wait to be accepted, the kernel drops what comes, without an answer.
void TcpProxy::fill_queue() {
  listen(listener_, 0);
  const auto is_full = [this] {
    tcp_info queue{};  // of a listening socket: how many wait, and how many may
    socklen_t size = sizeof queue;
    getsockopt(listener_, IPPROTO_TCP, TCP_INFO, &queue, &size);
    return queue.tcpi_unacked > queue.tcpi_sacked;
  };
  const auto address = loopback(port_);
  while (!is_full()) {
    queue_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (queue_.back() < 0) throw std::runtime_error("no descriptor is left");
    [[maybe_unused]] const auto begun =
        connect(queue_.back(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    (void)wait_until(is_full, std::chrono::milliseconds(10));
  }
}

void TcpProxy::speak_again() {
  const std::lock_guard lock(mutex_);
  silent_ = deaf_ = false;
  for (const int socket : queue_) close(socket);
  queue_.clear();
  listen(listener_, usual_queue);
  changed_.notify_all();
}

void TcpProxy::cut() {
  const std::lock_guard lock(mutex_);
  ++cuts_;
  cut_if([](const std::string&) { return true; });
}

void TcpProxy::admit(std::function<bool(const std::string& from)> admitted) {
  const std::lock_guard lock(mutex_);
  admitted_ = std::move(admitted);
  cut_if([&](const std::string& from) { return !admitted_(from); });
}

void TcpProxy::lead_to(std::uint16_t server_port) {
  const std::lock_guard lock(mutex_);
  server_port_ = server_port;
  ++cuts_;
  cut_if([](const std::string&) { return true; });
}

void TcpProxy::cut_if(const std::function<bool(const std::string& from)>& ended) {
  for (const auto& link : links_) {
    if (!ended(link.from)) continue;
    shutdown(link.client, SHUT_RDWR);
    shutdown(link.server, SHUT_RDWR);
  }
}

}  // namespace valkeycache::test
