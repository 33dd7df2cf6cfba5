// Ends the sleep of a thread that waits on descriptors.
#pragma once

#include <valkeycache/config.hpp>

#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

namespace valkeycache::inline v0 {
namespace detail {

class WakeEvent {
 public:
  WakeEvent() noexcept : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~WakeEvent() {
    if (fd_ >= 0) close(fd_);
  }
  WakeEvent(const WakeEvent&) = delete;
  WakeEvent& operator=(const WakeEvent&) = delete;

  // To be watched for input, edge-triggered: each set() wakes once, and the counter need never be
  // read back. < 0: there was no descriptor left.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  // From any thread.
  void set() noexcept {
    const std::uint64_t one = 1;
    // Fails only when the counter is full, and then it is readable anyway.
    [[maybe_unused]] const auto written = write(fd_, &one, sizeof one);
  }

 private:
  const int fd_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
