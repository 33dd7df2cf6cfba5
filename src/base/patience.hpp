// Patience: callers that stay awake for a moment where their answers are likely to come in it.
//
// To fall asleep and be woken costs both threads a system call, and the processor some
// microseconds: more than a server nearby takes for an answer. So a caller lets others run instead,
// for a moment, and whoever brings the answers stays awake as long as there are such callers. Where
// that does not help (a server far away, other programs that compute) it is given up, and tried
// again now and then.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include <sched.h>

#include "base/futex.hpp"  // SteadyTime

namespace valkeycache::inline v0 {
namespace detail {

// Thread-safe. What two threads note at the same time may get lost: it is a guess anyway.
class Patience {
 public:
  using Time = std::chrono::nanoseconds;

  // What is long enough to be called far away, and how long one tries.
  explicit Patience(Time far = std::chrono::microseconds(100),
                    Time longest = std::chrono::microseconds(200)) noexcept
      : far_(far), longest_(longest) {}

  [[nodiscard]] Time longest() const noexcept { return longest_; }
  // Whether anybody waits.
  [[nodiscard]] bool is_needed() const noexcept {
    return waiting_.load(std::memory_order_relaxed) > 0;
  }

  // Lets others run until done() is true, which is asked again and again. False: it was not in that
  // time, or nothing was tried.
  template <class Done>
  bool wait(Done done) noexcept {
    const auto begin = SteadyTime::clock::now();
    if (begin.time_since_epoch() < rests_until_.load(std::memory_order_relaxed)) return false;
    waiting_.fetch_add(1, std::memory_order_relaxed);
    auto now = begin;
    bool is_done = done();
    while (!is_done && now - begin < longest_) {
      sched_yield();
      is_done = done();
      now = SteadyTime::clock::now();
    }
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    note(now - begin, now);
    return is_done;
  }

 private:
  // About what it costs to fall asleep and be woken.
  static constexpr Time gain = std::chrono::microseconds(10);
  static constexpr Time most_left = std::chrono::milliseconds(20);
  static constexpr Time left_at_first = std::chrono::milliseconds(1);
  static constexpr Time shortest_rest = std::chrono::milliseconds(20);
  static constexpr Time longest_rest = std::chrono::seconds(10);

  // Where others compute, a processor that was given away is had back late: that counts, too.
  void note(Time waited, SteadyTime now) noexcept {
    const auto left =
        left_.load(std::memory_order_relaxed) + (waited <= far_ ? gain : far_ - waited);
    if (left > Time::zero()) {
      left_.store(std::min(left, most_left), std::memory_order_relaxed);
      if (left > most_left) rest_.store(shortest_rest, std::memory_order_relaxed);
      return;
    }
    left_.store(left_at_first, std::memory_order_relaxed);
    const auto rest = rest_.load(std::memory_order_relaxed);
    rest_.store(std::min(rest * 2, longest_rest), std::memory_order_relaxed);
    rests_until_.store(now.time_since_epoch() + rest, std::memory_order_relaxed);
  }

  const Time far_;
  const Time longest_;
  std::atomic<int> waiting_{0};
  std::atomic<Time> left_{left_at_first};  // to be lost
  std::atomic<Time> rest_{shortest_rest};  // the next one
  std::atomic<Time> rests_until_{Time::zero()};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
