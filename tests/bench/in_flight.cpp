// W3: one thread with 1,024 gets in flight, answered by get(), then() and co_await.
#include <atomic>
#include <coroutine>
#include <exception>

#include "bench/measure.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {
namespace {

constexpr std::size_t window = 1024;

// How many answers are still to come, for a thread that waits for the last.
class Countdown {
 public:
  void start(std::size_t count) { left_.store(count, std::memory_order_relaxed); }
  void one_less() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_one();
  }
  void wait() const {
    for (auto left = left_.load(std::memory_order_acquire); left != 0;
         left = left_.load(std::memory_order_acquire)) {
      left_.wait(left, std::memory_order_acquire);
    }
  }

 private:
  std::atomic<std::size_t> left_ = 0;
};

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

Detached await_one(const ValkeyCache& cache, const Entries& entries, std::size_t i,
                   Countdown& countdown, std::atomic<bool>& wrong) {
  const auto value = co_await cache.get(entries.key(i));
  if (!value.has_value() || !*value || (*value)->size() != entries.bytes()) wrong = true;
  countdown.one_less();
}

void require(const std::atomic<bool>& wrong) {
  if (wrong) throw std::runtime_error("get: not the value");
}

}  // namespace

std::vector<Row> in_flight(Stage& stage) {
  const auto cache = stage.open();
  const Entries entries(cache, 1000, 1024);
  auto raw = stage.raw();
  std::vector<Future<std::optional<std::string>>> futures(window);
  Countdown countdown;
  std::atomic<bool> wrong = false;

  const auto tallies = take_turns(
      stage.options(),
      {{"raw hiredis",
        [&](auto until, Tally& tally) {
          while (Clock::now() < until) {
            for (std::size_t i = 0; i < window; ++i) raw.append(entries.raw_get(i));
            for (std::size_t i = 0; i < window; ++i) require_hit(*raw.reply(), entries.bytes());
            tally.operations += window;
          }
        }},
       {"get",
        [&](auto until, Tally& tally) {
          while (Clock::now() < until) {
            for (std::size_t i = 0; i < window; ++i) futures[i] = cache.get(entries.key(i));
            for (auto& future : futures) entries.require_hit(future.get());
            tally.operations += window;
          }
        }},
       {"then",
        [&](auto until, Tally& tally) {
          while (Clock::now() < until) {
            countdown.start(window);
            for (std::size_t i = 0; i < window; ++i) {
              cache.get(entries.key(i)).then([&](Result<std::optional<std::string>> value) {
                if (!value.has_value() || !*value || (*value)->size() != entries.bytes()) {
                  wrong = true;
                }
                countdown.one_less();
              });
            }
            countdown.wait();
            tally.operations += window;
          }
          require(wrong);
        }},
       {"co_await",
        [&](auto until, Tally& tally) {
          while (Clock::now() < until) {
            countdown.start(window);
            for (std::size_t i = 0; i < window; ++i) {
              await_one(cache, entries, i, countdown, wrong);
            }
            countdown.wait();
            tally.operations += window;
          }
          require(wrong);
        }},
       // A window that slides: an answer taken makes room for a get. hiredis writes when it has to
       // read, so it slides by pieces.
       {"raw hiredis, sliding",
        [&](auto until, Tally& tally) {
          constexpr std::size_t piece = 64;
          for (std::size_t i = 0; i < window; ++i) raw.append(entries.raw_get(i));
          for (std::size_t i = window; Clock::now() < until;) {
            for (std::size_t k = 0; k < piece; ++k) require_hit(*raw.reply(), entries.bytes());
            for (std::size_t k = 0; k < piece; ++k) raw.append(entries.raw_get(i++));
            tally.operations += piece;
          }
          for (std::size_t i = 0; i < window; ++i) require_hit(*raw.reply(), entries.bytes());
          tally.operations += window;
        }},
       {"get, sliding", [&](auto until, Tally& tally) {
          for (std::size_t i = 0; i < window; ++i) futures[i] = cache.get(entries.key(i));
          std::size_t i = window;
          while (i % 64 || Clock::now() < until) {
            auto& future = futures[i % window];
            entries.require_hit(future.get());
            future = cache.get(entries.key(i++));
            ++tally.operations;
          }
          for (auto& future : futures) entries.require_hit(future.get());
          tally.operations += window;
        }}});
  const auto rate = rates(tallies);
  return {rate.row("W3.get", "1/s", 1, 0, "ratio >= 1.0"), rate.row("W3.then", "1/s", 2, 0),
          rate.row("W3.co_await", "1/s", 3, 0), rate.row("W3.sliding", "1/s", 5, 4)};
}

}  // namespace valkeycache::bench
