// A rate limit: when the next of a series may begin.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace valkeycache::inline v0 {
namespace detail {

class Pace {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  // How far a series that has fallen behind may catch up.
  static constexpr std::chrono::milliseconds catch_up{100};
  // Fewer than one in this time are one in this time.
  static constexpr std::chrono::hours slowest{24 * 365};

  // per_second >= 0 and no NaN; 0: no limit.
  Pace(double per_second, TimePoint start) noexcept : next_(start) {
    if (per_second <= 0) return;
    using Nanos = std::chrono::duration<double, std::nano>;
    const double nanos = std::min(1e9 / per_second, Nanos(slowest).count());
    interval_ = std::chrono::nanoseconds(static_cast<std::int64_t>(nanos));
  }

  // From then on one may begin.
  [[nodiscard]] TimePoint next() const noexcept { return next_; }
  // One begins at `now` >= next().
  void begun(TimePoint now) noexcept { next_ = std::max(next_, now - catch_up) + interval_; }

 private:
  TimePoint next_;
  std::chrono::nanoseconds interval_{0};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
