// A relay between a client and a server, which a test can make slow, mute or cut.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
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
  // From now on replies are kept back, but for so many bytes, until they are let through.
  void hold_replies(std::size_t after = 0);
  void release_replies();
  // From now on nothing passes, either way, not even an end (but of what is on its way just now,
  // and by the functions below), until it speaks again. Whoever comes is let in, as long as the
  // server is there, and hears nothing; or knocks in vain, as where a network loses everything.
  enum class Newcomers : std::uint8_t { let_in, lost };
  void fall_silent(Newcomers newcomers = Newcomers::let_in);
  void speak_again();
  // Ends all connections.
  void cut();
  // From now on those from these addresses only ("127.0.0.1"); the others are ended.
  void admit(std::function<bool(const std::string& from)> admitted);
  // Another server is behind it from now on; what stands is ended.
  void lead_to(std::uint16_t server_port);

 private:
  struct Link {
    int client;
    int server;
    std::string from;
  };
  void accept_all();
  void link(int client, const std::string& from);
  void relay(int from, int to, bool replies, unsigned seed);
  // How much of so much; 0: it is over.
  std::size_t may_pass(bool replies, std::size_t bytes);
  void await_speech();
  void fill_queue();
  void cut_if(const std::function<bool(const std::string& from)>& ended);

  std::uint16_t server_port_;
  std::chrono::microseconds max_delay_;
  unsigned seed_;
  int listener_ = -1;
  int stop_[2] = {-1, -1};
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool silent_ = false;
  bool deaf_ = false;
  std::vector<int> queue_;  // who is in front of those that knock in vain
  bool held_ = false;
  std::size_t until_held_ = 0;
  bool stopping_ = false;
  int connections_ = 0;
  int cuts_ = 0;
  std::function<bool(const std::string&)> admitted_;
  std::vector<Link> links_;
  std::vector<std::thread> relays_;
  std::thread acceptor_;
};

}  // namespace valkeycache::test
