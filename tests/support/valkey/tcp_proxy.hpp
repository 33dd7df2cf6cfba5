// A relay between a client and a server, which a test can make slow, mute or cut.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace valkeycache::test {

// Thread-safe.
class TcpProxy {
 public:
  // Relays to this loopback port. With a delay, each piece of the replies is cut up and delayed by
  // up to max_delay at random.
  explicit TcpProxy(std::uint16_t server_port, std::chrono::microseconds max_delay = {},
                    unsigned seed = 1);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string uri() const;
  [[nodiscard]] int connections() const;
  // From now on replies are kept back, until they are let through.
  void hold_replies();
  void release_replies();
  // Ends all connections.
  void cut();

 private:
  void accept_all();
  void relay(int from, int to, bool replies, unsigned seed);
  bool may_pass(bool replies);

  std::uint16_t server_port_;
  std::chrono::microseconds max_delay_;
  unsigned seed_;
  int listener_ = -1;
  int stop_[2] = {-1, -1};
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  bool stopping_ = false;
  int connections_ = 0;
  std::vector<int> sockets_;
  std::vector<std::thread> relays_;
  std::thread acceptor_;
};

}  // namespace valkeycache::test
