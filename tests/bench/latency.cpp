// The latency of a get under open-loop load: gets arrive at random, however long the answers take,
// and each one's time counts from when it was due. A client that falls behind so shows it, where
// one that sends the next get only after an answer would leave out the very gets that had to wait.
#include <atomic>
#include <ctime>
#include <thread>

#include <sys/prctl.h>

#include "bench/measure.hpp"
#include "bench/open_loop.hpp"
#include "bench/stage.hpp"
#include "bench/windows.hpp"

namespace valkeycache::bench {
namespace {

// One thread that asks for what is due and sleeps otherwise; the answers come by then().
void cache_open_loop(const ValkeyCache& cache, const Entries& entries, double rate,
                     Clock::time_point until, Tally& tally) {
  // The I/O thread alone writes here, until the last answer.
  std::vector<std::uint32_t> latencies;
  std::atomic<std::size_t> answered = 0;
  std::atomic<bool> wrong = false;
  latencies.reserve(static_cast<std::size_t>(
      rate * std::chrono::duration<double>(until - Clock::now()).count() * 2 + 1000));
  std::size_t asked = 0;
  for (Arrivals arrivals(rate, Clock::now()); arrivals.next() < until; arrivals.advance()) {
    const auto at = arrivals.next();
    if (at > Clock::now()) {
      const auto wake = to_timespec(at.time_since_epoch());
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, nullptr);
    }
    cache.get(entries.key(asked++)).then([&, at](const Result<std::optional<std::string>>& value) {
      if (!entries.is_hit(value)) wrong = true;
      latencies.push_back(nanoseconds(Clock::now() - at));
      answered.fetch_add(1, std::memory_order_release);
    });
  }
  while (answered.load(std::memory_order_acquire) < asked) std::this_thread::yield();
  if (wrong) throw std::runtime_error("get: not the value");
  tally.operations += asked;
  tally.latencies_ns.insert(tally.latencies_ns.end(), latencies.begin(), latencies.end());
}

}  // namespace

std::vector<Row> latency(Stage& stage) {
  // Sleep as exactly as the kernel can: here the sender's own lateness would count.
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  ValkeyCacheOptions roomy;
  roomy.max_queued_commands = std::size_t{1} << 22;
  roomy.max_queued_bytes = std::size_t{1} << 30;
  roomy.command_timeout = std::chrono::seconds(30);
  const auto cache = stage.open(std::move(roomy));
  const Entries entries(cache, 1000, 1024);
  auto raw = stage.raw();
  std::vector<GetFuture> futures(window);

  // The rate that both carry.
  const auto most = rates(take_turns(
      stage.options(),
      {{"raw hiredis", window_after_window(window, [&] { raw_window(raw, entries, window); })},
       {"ValkeyCache",
        window_after_window(window, [&] { get_window(cache, entries, futures); })}}));
  const double maximum = std::min(most.of(0), most.of(1));

  std::vector<Row> rows;
  rows.push_back({.name = "latency.maximum", .value = maximum, .unit = "1/s"});
  for (const int percent : {10, 50, 90}) {
    const double rate = maximum * percent / 100;
    auto tallies =
        take_turns(stage.options(), {{"raw hiredis",
                                      [&](auto until, Tally& tally) {
                                        raw_open_loop(
                                            raw, entries, rate,
                                            [&](auto time) { return time < until; }, tally);
                                      }},
                                     {"ValkeyCache", [&](auto until, Tally& tally) {
                                        cache_open_loop(cache, entries, rate, until, tally);
                                      }}});
    const std::string name = "latency." + std::to_string(percent) + "%.";
    rows.push_back(percentiles(tallies, 0.5).row(name + "p50", "us", 1, 0));
    rows.push_back(percentiles(tallies, 0.99).row(name + "p99", "us", 1, 0));
    rows.push_back(percentiles(tallies, 0.999).row(name + "p99.9", "us", 1, 0));
  }
  return rows;
}

}  // namespace valkeycache::bench
