// A TCP port of 127.0.0.1 for a server of a test.
#pragma once

#include <cstdint>
#include <utility>

namespace valkeycache::test {

// Nobody else who takes ports this way, in whatever process, gets the port while this lives: a
// server that is down for a while, and those who follow it, must not meet a stranger there. Not
// from the range that the system hands out for outgoing connections.
class LoopbackPort {
 public:
  LoopbackPort() = default;
  // Throws when there is none.
  static LoopbackPort reserve();
  LoopbackPort(LoopbackPort&& other) noexcept
      : number_(std::exchange(other.number_, std::uint16_t{0})),
        reservation_(std::exchange(other.reservation_, -1)) {}
  LoopbackPort& operator=(LoopbackPort&& other) noexcept {
    std::swap(number_, other.number_);
    std::swap(reservation_, other.reservation_);
    return *this;
  }
  ~LoopbackPort();

  [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

 private:
  std::uint16_t number_ = 0;
  // A UDP socket with the same number, which no server of ours listens on.
  int reservation_ = -1;
};

// Whether this machine has ::1.
bool has_ipv6_loopback();

}  // namespace valkeycache::test
