// The circuit breaker: stops asking a cache that keeps failing.
//
//   closed     the cache is used; so many failures in a row open the breaker
//   open       the cache is left alone for a while
//   half-open  one PING decides; calls still leave the cache alone meanwhile
//
// It does no I/O and has no clock: it is told what happened and when.
#pragma once

#include <valkeycache/result.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace valkeycache::inline v0 {
namespace detail {

// What the end of a cache step says about the cache.
enum class Verdict : std::uint8_t {
  healthy,
  failing,
  neutral,  // about this one call, key or process
};

// A lookup's failure counts when the next one is likely to fail too, or to cost its caller time.
//   cancelled          is the caller's doing
//   overloaded         is our own queue's limit, answered at once; a Valkey that has become slow
//                      shows by time-outs
//   WRONGTYPE, too_large  are about one key
//   timeout            counts even when it was the caller's own deadline that was short: with
//                      Valkey hung and all callers in a hurry nobody would be answered otherwise
Verdict judge_lookup(const Error& error) noexcept;

// Nobody waits for a store, and a server that refuses to write (OOM, READONLY, NOPERM) may well
// read: only trouble with the connection counts.
Verdict judge_store(const Error& error) noexcept;

// Thread-safe. While it is closed and nothing fails no lock is taken.
class Breaker {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // failures: so many in a row open it; 0 or less: never. open: how long it stays so.
  Breaker(int failures, std::chrono::milliseconds open) noexcept
      : failures_to_open_(failures), open_for_(open) {}

  enum class Decision : std::uint8_t {
    use,
    skip,
    probe,  // skip, and send one PING; tell probed() how it went
  };
  Decision decide(TimePoint now);

  // True when this failure opened it. Steps that began before it opened may end after: those no
  // longer matter.
  bool failed(const Error& error, TimePoint now);
  void succeeded() noexcept;

  // True when this closed it.
  bool probed(bool well, TimePoint now);

  [[nodiscard]] bool is_open() const noexcept {
    return state_.load(std::memory_order_acquire) != State::closed;
  }
  // How often it has opened.
  [[nodiscard]] std::uint64_t trips() const noexcept {
    return trips_.load(std::memory_order_relaxed);
  }
  // For a call that is told to leave the cache alone: the last failure, with what became of it.
  [[nodiscard]] Error reason() const;

 private:
  enum class State : std::uint8_t { closed, open, half_open };

  const int failures_to_open_;
  const std::chrono::milliseconds open_for_;

  std::atomic<State> state_{State::closed};
  std::atomic<int> failures_{0};
  std::atomic<std::uint64_t> trips_{0};

  mutable std::mutex mutex_;
  TimePoint until_{};  // open: the next probe; half-open: when the probe is given up
  Error last_{};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
