// A cluster of as many nodes as a test wants, all of them in this process: each has an address of
// its own in 127.0.0.0/8, and its share of the slots.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "support/valkey/loopback_port.hpp"

namespace valkeycache::test {

// Knows GET, SET and PING, and keeps each node's entries apart: what was stored on another one is a
// miss. One thread serves all; `on_start` is called on it first.
class SimulatedCluster {
 public:
  explicit SimulatedCluster(std::size_t nodes, std::function<void()> on_start = {});
  ~SimulatedCluster();
  SimulatedCluster(const SimulatedCluster&) = delete;
  SimulatedCluster& operator=(const SimulatedCluster&) = delete;

  // The first node is at 127.0.0.1, all of them at this port.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_.number(); }
  [[nodiscard]] std::string uri() const;
  // Connections accepted so far.
  [[nodiscard]] std::size_t connections() const { return connections_; }

 private:
  struct Client {
    std::size_t node;
    std::string unread;
  };
  bool listen_everywhere(std::size_t nodes);
  void run();
  void accept_one(std::size_t node);
  void serve(int socket);
  std::string answer(std::size_t node, const std::vector<std::string>& command);

  LoopbackPort port_;
  std::vector<int> listeners_;
  std::string slots_;
  std::vector<std::unordered_map<std::string, std::string>> entries_;
  std::map<int, Client> clients_;
  std::atomic<std::size_t> connections_{0};
  int epoll_ = -1;
  int stop_[2] = {-1, -1};
  std::thread thread_;
};

}  // namespace valkeycache::test
