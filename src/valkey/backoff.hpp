// Pauses between attempts to reconnect: exponential, capped, with full jitter, so that many clients
// of one server that comes back do not arrive together.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace valkeycache::inline v0 {
namespace detail {

class Backoff {
 public:
  Backoff(std::chrono::milliseconds base, std::chrono::milliseconds cap, std::uint64_t seed)
      : base_(base), cap_(cap), random_(seed) {}

  // Random within [0, min(cap, base * 2^n)], n counting calls since the last reset. The jitter is
  // drawn after the cap, or all capped clients would come at the same time.
  std::chrono::microseconds next() {
    auto ceiling = cap_;
    if (failures_ < 20 && base_ * (std::int64_t{1} << failures_) < cap_) {
      ceiling = base_ * (std::int64_t{1} << failures_);
    }
    ++failures_;
    return std::chrono::microseconds(std::uniform_int_distribution<std::int64_t>(
        0, std::chrono::microseconds(ceiling).count())(random_));
  }
  void reset() { failures_ = 0; }

 private:
  std::chrono::milliseconds base_;
  std::chrono::milliseconds cap_;
  int failures_ = 0;
  std::mt19937_64 random_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
