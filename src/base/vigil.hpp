// Vigil: callers that stay awake for a moment where their answers are likely to come in it.
//
// To fall asleep and be woken costs both threads a system call, and the processor some
// microseconds: more than a server nearby takes for an answer. So a caller lets others run instead,
// for a moment, and whoever brings the answers stays awake while there are such callers. Where that
// does not help (a server far away, other programs that compute) it is given up, and tried again
// now and then.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include <sched.h>

#include "base/futex.hpp"  // SteadyTime

namespace valkeycache::inline v0 {
namespace detail {

// Whether vigils pay. Thread-safe; what two threads note at the same time may get lost: it is a
// guess anyway.
class VigilAccount {
 public:
  using Time = std::chrono::nanoseconds;

  // A wait that is as long as `far` gains nothing.
  explicit VigilAccount(Time far) noexcept : far_(far) {}

  // Given up for now.
  [[nodiscard]] bool rests(SteadyTime now) const noexcept {
    return now.time_since_epoch() < rests_until_.load(std::memory_order_relaxed);
  }
  // Somebody was awake between these. Where others compute, a processor that was given away is had
  // back late: that counts, too.
  void note(SteadyTime begin, SteadyTime end) noexcept {
    if (rests(begin)) return;  // begun before the rest: what it tells is known
    const auto waited = end - begin;
    book(waited <= far_ ? gain - gain * waited.count() / far_.count() : far_ - waited, end);
  }

 private:
  // About what it costs to fall asleep and be woken.
  static constexpr Time gain = std::chrono::microseconds(10);
  static constexpr Time most_left = std::chrono::milliseconds(20);
  static constexpr Time left_at_first = std::chrono::milliseconds(1);
  static constexpr Time shortest_rest = std::chrono::milliseconds(20);
  static constexpr Time longest_rest = std::chrono::seconds(10);

  void book(Time amount, SteadyTime now) noexcept {
    const auto before = left_.load(std::memory_order_relaxed);
    auto left = std::min(before + amount, most_left);
    const auto rest = rest_.load(std::memory_order_relaxed);
    if (left <= Time::zero()) {
      left = left_at_first;
      rest_.store(std::min(rest * 2, longest_rest), std::memory_order_relaxed);
      rests_until_.store(now.time_since_epoch() + rest, std::memory_order_relaxed);
    } else if (left == most_left && rest > shortest_rest) {
      left = most_left / 2;
      rest_.store(std::max(rest / 2, shortest_rest), std::memory_order_relaxed);
    }
    if (left != before) left_.store(left, std::memory_order_relaxed);
  }

  const Time far_;
  std::atomic<Time> left_{left_at_first};  // to be lost
  std::atomic<Time> rest_{shortest_rest};  // the next one
  std::atomic<Time> rests_until_{Time::zero()};
};

// Thread-safe.
class Vigil {
 public:
  using Time = VigilAccount::Time;

  // No longer than that; zero: not at all.
  explicit Vigil(Time longest) noexcept
      : longest_(longest), account_(std::clamp<Time>(longest / 2, Time(1), far)) {}

  [[nodiscard]] Time longest() const noexcept { return longest_; }

  // Lets others run until done() is true, which is asked again and again. False: it was not in that
  // time, or nothing was tried.
  template <class Done>
  bool keep(Done done) noexcept {
    const auto begin = SteadyTime::clock::now();
    if (longest_ <= Time::zero() || account_.rests(begin)) return false;
    const auto until = begin + longest_;
    ends_.store(until.time_since_epoch(), std::memory_order_relaxed);
    callers_.fetch_add(1, std::memory_order_relaxed);
    auto now = begin;
    bool is_done = done();
    while (!is_done && now < until) {
      sched_yield();
      is_done = done();
      now = SteadyTime::clock::now();
    }
    callers_.fetch_sub(1, std::memory_order_relaxed);
    account_.note(begin, now);
    return is_done;
  }

  // For whoever works for those callers: whether some are awake. Those that are kept from running
  // for long do not count.
  [[nodiscard]] bool is_kept(SteadyTime now) const noexcept {
    return callers_.load(std::memory_order_relaxed) > 0 &&
           now.time_since_epoch() < ends_.load(std::memory_order_relaxed);
  }
  // Likewise: keeps it with them, until done() is true or the time has come.
  template <class Done>
  void keep_along(SteadyTime until, Done done) noexcept {
    for (auto now = SteadyTime::clock::now(); is_kept(now) && now < until && !done();) {
      const auto begin = now;
      sched_yield();
      now = SteadyTime::clock::now();
      if (now - begin > longest_) account_.note(begin, now);
    }
  }

 private:
  // A server that is this far away is worth no vigil, however long one may be.
  static constexpr Time far = std::chrono::microseconds(100);

  const Time longest_;
  VigilAccount account_;
  std::atomic<int> callers_{0};
  std::atomic<Time> ends_{Time::zero()};  // the one that began last
};

}  // namespace detail
}  // namespace valkeycache::inline v0
