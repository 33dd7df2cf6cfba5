// Ttl: how long an entry lives.
#pragma once

#include <valkeycache/config.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace valkeycache::inline v0 {

// A time to live, made from any std::chrono duration: `cache.set(key, value, 5min)`.
//
// Kept in whole milliseconds, Valkey's own resolution (SET … PX); parts of one are cut off. The
// conversion never overflows: what does not fit, is not a number or is under a millisecond becomes
// an invalid Ttl, and the call it is given to answers with ErrorCode::invalid_argument before
// anything is sent. A default-made Ttl means "not said": the next default applies.
class Ttl {
 public:
  constexpr Ttl() noexcept = default;

  template <class Rep, class Period>
  constexpr Ttl(std::chrono::duration<Rep, Period> duration) noexcept  // implicit on purpose
      : millis_(to_millis(duration)) {}

  // Lives until it is erased or evicted.
  [[nodiscard]] static constexpr Ttl none() noexcept { return from_raw(none_mark); }

  [[nodiscard]] constexpr bool is_unset() const noexcept { return millis_ == unset_mark; }
  [[nodiscard]] constexpr bool is_none() const noexcept { return millis_ == none_mark; }
  // A finite, positive time.
  [[nodiscard]] constexpr bool is_finite() const noexcept { return millis_ > 0; }
  [[nodiscard]] constexpr bool is_valid() const noexcept { return millis_ != invalid_mark; }
  // Only for a finite one.
  [[nodiscard]] constexpr std::chrono::milliseconds duration() const noexcept {
    return std::chrono::milliseconds{millis_};
  }
  [[nodiscard]] constexpr Ttl value_or(Ttl other) const noexcept {
    return is_unset() ? other : *this;
  }

  friend constexpr bool operator==(Ttl, Ttl) noexcept = default;

 private:
  static constexpr std::int64_t unset_mark = 0;
  static constexpr std::int64_t none_mark = -1;
  static constexpr std::int64_t invalid_mark = -2;
  // Valkey adds the present time to a TTL, in 64 bits of milliseconds.
  static constexpr std::int64_t longest = 9'000'000'000'000'000'000;

  static constexpr Ttl from_raw(std::int64_t millis) noexcept {
    Ttl ttl;
    ttl.millis_ = millis;
    return ttl;
  }

  template <class Rep, class Period>
  static constexpr std::int64_t to_millis(std::chrono::duration<Rep, Period> duration) noexcept {
    // Floating point, since 2^63 hours in milliseconds overflow every integer. A double stays one,
    // so that 1.9 s are 1900 ms; an integer needs the 64 bits of a long double.
    using Exact = std::conditional_t<std::is_floating_point_v<Rep>, double, long double>;
    const Exact exact = static_cast<Exact>(duration.count()) * static_cast<Exact>(Period::num) *
                        Exact{1000} / static_cast<Exact>(Period::den);
    if (!(exact >= Exact{1}) || exact > static_cast<Exact>(longest)) return invalid_mark;
    return static_cast<std::int64_t>(exact);
  }

  std::int64_t millis_ = unset_mark;
};

}  // namespace valkeycache::inline v0
