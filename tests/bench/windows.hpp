// A thread that keeps many gets in flight: a whole window is asked for, then all of it is answered;
// by raw hiredis, and by get(), then() and co_await. One window is one call.
#pragma once

#include <atomic>
#include <coroutine>
#include <exception>
#include <vector>

#include "bench/measure.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {

inline constexpr std::size_t window = 1024;

using GetFuture = Future<std::optional<std::string>>;

inline void raw_window(Raw& raw, const Entries& entries, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) raw.append(entries.raw_get(i));
  for (std::size_t i = 0; i < size; ++i) require_hit(*raw.reply(), entries.bytes());
}

inline void get_window(const ValkeyCache& cache, const Entries& entries,
                       std::vector<GetFuture>& futures) {
  for (std::size_t i = 0; i < futures.size(); ++i) futures[i] = cache.get(entries.key(i));
  for (auto& future : futures) entries.require_hit(future.get());
}

// How many answers are still to come, for a thread that waits for the last.
class Countdown {
 public:
  void start(std::size_t count) { left_.store(count, std::memory_order_relaxed); }
  void one_less(bool good) {
    if (!good) wrong_.store(true, std::memory_order_relaxed);
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_one();
  }
  void wait() const {
    for (auto left = left_.load(std::memory_order_acquire); left != 0;
         left = left_.load(std::memory_order_acquire)) {
      left_.wait(left, std::memory_order_acquire);
    }
    if (wrong_) throw std::runtime_error("get: not the value");
  }

 private:
  std::atomic<std::size_t> left_ = 0;
  std::atomic<bool> wrong_ = false;
};

inline void then_window(const ValkeyCache& cache, const Entries& entries, std::size_t size,
                        Countdown& countdown) {
  countdown.start(size);
  for (std::size_t i = 0; i < size; ++i) {
    cache.get(entries.key(i)).then([&](Result<std::optional<std::string>> value) {
      countdown.one_less(entries.is_hit(value));
    });
  }
  countdown.wait();
}

// A coroutine that nobody waits for.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

inline Detached await_one(const ValkeyCache& cache, const Entries& entries, std::size_t i,
                          Countdown& countdown) {
  countdown.one_less(entries.is_hit(co_await cache.get(entries.key(i))));
}

inline void co_await_window(const ValkeyCache& cache, const Entries& entries, std::size_t size,
                            Countdown& countdown) {
  countdown.start(size);
  for (std::size_t i = 0; i < size; ++i) await_one(cache, entries, i, countdown);
  countdown.wait();
}

// Windows until then.
template <class Window>
auto window_after_window(std::size_t size, Window run_window) {
  return [size, run_window](Clock::time_point until, Tally& tally) mutable {
    while (Clock::now() < until) {
      run_window();
      tally.operations += size;
    }
  };
}

}  // namespace valkeycache::bench
