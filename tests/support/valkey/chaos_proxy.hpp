// A relay between clients and a Valkey that misbehaves in every way that a network, or a server
// gone mad, can and that a client can notice: it never swaps one good reply for another.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace valkeycache::test {

// How often: of so many replies one has it, on average; 0: none has.
struct ChaosFaults {
  unsigned delay = 0;       // of up to max_delay
  unsigned shred = 0;       // sent in pieces of a few bytes, cut anywhere
  unsigned stall = 0;       // of stall_time, in the middle of a reply
  unsigned reset = 0;       // RST in the middle of a reply
  unsigned half_close = 0;  // FIN in the middle of a reply; what the client sends still arrives
  unsigned garbage = 0;     // a byte that begins no reply, between two
  unsigned wrong_type = 0;  // a reply of another type in place of the right one
  // Of so many connections one has one of the last four in its handshake.
  unsigned bad_start = 0;
  std::chrono::microseconds max_delay{2000};
  std::chrono::milliseconds stall_time{150};
};

struct ChaosCounts {
  std::atomic<unsigned> connections{0}, delays{0}, shreds{0}, stalls{0}, resets{0}, half_closes{0},
      garbage{0}, wrong_types{0};
};

// One thread relays everything. Thread-safe, but for the constructor and the destructor.
class ChaosProxy {
 public:
  ChaosProxy(std::uint16_t server_port, ChaosFaults faults, std::uint64_t seed);
  ~ChaosProxy();
  ChaosProxy(const ChaosProxy&) = delete;
  ChaosProxy& operator=(const ChaosProxy&) = delete;

  [[nodiscard]] std::string uri() const;
  [[nodiscard]] const ChaosCounts& counts() const { return counts_; }
  // No more faults from now on.
  void calm() { calm_ = true; }

 private:
  class Link;
  void run();
  void accept_one();

  std::uint16_t server_port_;
  ChaosFaults faults_;
  std::mt19937_64 random_;
  ChaosCounts counts_;
  std::atomic<bool> calm_{false};
  int listener_ = -1;
  int stop_[2] = {-1, -1};
  std::uint16_t port_ = 0;
  std::vector<std::unique_ptr<Link>> links_;
  std::thread thread_;
};

}  // namespace valkeycache::test
