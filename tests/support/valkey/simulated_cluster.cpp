#include "support/valkey/simulated_cluster.hpp"

#include <algorithm>
#include <stdexcept>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/valkey/fake_server.hpp"

namespace valkeycache::test {
namespace {

constexpr std::size_t all_slots = 16384;
constexpr std::size_t nodes_per_net = 250;

std::string address_of(std::size_t node) {
  return "127.0." + std::to_string(node / nodes_per_net) + "." +
         std::to_string(node % nodes_per_net + 1);
}

void watch(int epoll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

}  // namespace

SimulatedCluster::SimulatedCluster(std::size_t nodes, std::function<void()> on_start)
    : entries_(nodes) {
  // A listener, and both ends of a connection, for each.
  rlimit files{};
  if (const rlim_t needed = 3 * nodes + 200;
      getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < needed) {
    files.rlim_cur = std::min(files.rlim_max, needed);
    setrlimit(RLIMIT_NOFILE, &files);
  }
  for (int attempt = 0; attempt < 20 && listeners_.size() < nodes; ++attempt) {
    for (const int listener : listeners_) close(listener);
    listeners_.clear();
    port_ = LoopbackPort::reserve();
    if (listen_everywhere(nodes)) break;
  }
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (listeners_.size() < nodes || epoll_ < 0 || pipe2(stop_, O_CLOEXEC) != 0) {
    throw std::runtime_error("cannot listen on so many loopback addresses");
  }
  std::vector<std::string> ranges;
  for (std::size_t node = 0; node < nodes; ++node) {
    ranges.push_back(
        array({":" + std::to_string(all_slots * node / nodes) + "\r\n",
               ":" + std::to_string(all_slots * (node + 1) / nodes - 1) + "\r\n",
               array({bulk(address_of(node)), ":" + std::to_string(port()) + "\r\n"})}));
    watch(epoll_, listeners_[node]);
  }
  slots_ = array(ranges);
  watch(epoll_, stop_[0]);
  thread_ = std::thread([this, on_start = std::move(on_start)] {
    if (on_start) on_start();
    run();
  });
}

SimulatedCluster::~SimulatedCluster() {
  [[maybe_unused]] const auto written = ::write(stop_[1], "x", 1);
  thread_.join();
  for (const auto& [socket, client] : clients_) close(socket);
  for (const int listener : listeners_) close(listener);
  close(epoll_);
  close(stop_[0]);
  close(stop_[1]);
}

std::string SimulatedCluster::uri() const {
  return "valkey+cluster://127.0.0.1:" + std::to_string(port());
}

bool SimulatedCluster::listen_everywhere(std::size_t nodes) {
  for (std::size_t node = 0; node < nodes; ++node) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port());
    inet_pton(AF_INET, address_of(node).c_str(), &address.sin_addr);
    const int on = 1;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) return false;
    listeners_.push_back(listener);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener, 16) != 0) {
      close(listener);
      listeners_.pop_back();
      return false;
    }
  }
  return true;
}

void SimulatedCluster::run() {
  std::unordered_map<int, std::size_t> node_of;
  for (std::size_t node = 0; node < listeners_.size(); ++node) node_of[listeners_[node]] = node;
  for (;;) {
    epoll_event events[64];
    const int count = epoll_wait(epoll_, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[i].data.fd;
      if (descriptor == stop_[0]) return;
      const auto node = node_of.find(descriptor);
      if (node != node_of.end()) {
        accept_one(node->second);
      } else {
        serve(descriptor);
      }
    }
  }
}

void SimulatedCluster::accept_one(std::size_t node) {
  const int socket = accept4(listeners_[node], nullptr, nullptr, SOCK_CLOEXEC);
  if (socket < 0) return;
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  clients_[socket] = {.node = node, .unread = {}};
  ++connections_;
  watch(epoll_, socket);
}

void SimulatedCluster::serve(int socket) {
  auto& client = clients_.at(socket);
  char bytes[65536];
  const auto count = recv(socket, bytes, sizeof bytes, 0);
  if (count <= 0) {
    clients_.erase(socket);
    close(socket);
    return;
  }
  client.unread.append(bytes, static_cast<std::size_t>(count));
  std::string replies;
  while (const auto command = take_command(client.unread)) replies += answer(client.node, *command);
  // Its clients read; a test that sends more than sockets hold must do so, too.
  send(socket, replies.data(), replies.size(), MSG_NOSIGNAL);
}

std::string SimulatedCluster::answer(std::size_t node, const Command& command) {
  if (auto reply = handshake_reply(command)) return *std::move(reply);
  auto& entries = entries_[node];
  if (command[0] == "GET" && command.size() == 2) {
    const auto found = entries.find(command[1]);
    return found == entries.end() ? "_\r\n" : bulk(found->second);
  }
  if (command[0] == "SET" && command.size() >= 3) {
    entries[command[1]] = command[2];
    return "+OK\r\n";
  }
  if (command[0] == "PING") return "+PONG\r\n";
  if (command[0] == "CLUSTER") return slots_;
  return "-ERR unknown command\r\n";
}

}  // namespace valkeycache::test
