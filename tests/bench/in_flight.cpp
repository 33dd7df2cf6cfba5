// W3: one thread with 1,024 gets in flight, answered by get(), then() and co_await.
#include "bench/measure.hpp"
#include "bench/peer.hpp"
#include "bench/stage.hpp"
#include "bench/windows.hpp"

namespace valkeycache::bench {
namespace {

// Windows that slide: an answer taken makes room for a get. hiredis writes when it has to read, so
// it slides by pieces.
void raw_sliding(Raw& raw, const Entries& entries, Clock::time_point until, Tally& tally) {
  constexpr std::size_t piece = 64;
  for (std::size_t i = 0; i < window; ++i) raw.append(entries.raw_get(i));
  for (std::size_t i = window; Clock::now() < until;) {
    for (std::size_t k = 0; k < piece; ++k) require_hit(*raw.reply(), entries.bytes());
    for (std::size_t k = 0; k < piece; ++k) raw.append(entries.raw_get(i++));
    tally.operations += piece;
  }
  for (std::size_t i = 0; i < window; ++i) require_hit(*raw.reply(), entries.bytes());
  tally.operations += window;
}

void get_sliding(const ValkeyCache& cache, const Entries& entries, std::vector<GetFuture>& futures,
                 Clock::time_point until, Tally& tally) {
  for (std::size_t i = 0; i < window; ++i) futures[i] = cache.get(entries.key(i));
  for (std::size_t i = window; i % 64 != 0 || Clock::now() < until; ++i) {
    auto& future = futures[i % window];
    entries.require_hit(future.get());
    future = cache.get(entries.key(i));
    ++tally.operations;
  }
  for (auto& future : futures) entries.require_hit(future.get());
  tally.operations += window;
}

}  // namespace

std::vector<Row> in_flight(Stage& stage) {
  const auto cache = stage.open();
  const Entries entries(cache, 1000, 1024);
  auto raw = stage.raw();
  std::vector<GetFuture> futures(window);
  Countdown countdown;

  const auto others = peers(stage, entries, "W3");

  std::vector<Side> sides{
      {"raw hiredis", window_after_window(window, [&] { raw_window(raw, entries, window); })},
      {"get", window_after_window(window, [&] { get_window(cache, entries, futures); })},
      {"then",
       window_after_window(window, [&] { then_window(cache, entries, window, countdown); })},
      {"co_await",
       window_after_window(window, [&] { co_await_window(cache, entries, window, countdown); })},
      {"raw hiredis, sliding",
       [&](auto until, Tally& tally) {
         raw_sliding(raw, entries, until, tally);
       }},
      {"get, sliding", [&](auto until, Tally& tally) {
         get_sliding(cache, entries, futures, until, tally);
       }}};
  add_sides(sides, others, "W3");
  const auto tallies = take_turns(stage.options(), sides);
  const auto rate = rates(tallies);
  const auto cost = cpu_costs(tallies);
  std::vector<Row> rows{rate.row("W3.get", "1/s", 1, 0, "ratio >= 1.0"),
                        rate.row("W3.then", "1/s", 2, 0),
                        rate.row("W3.co_await", "1/s", 3, 0),
                        rate.row("W3.sliding", "1/s", 5, 4),
                        cost.row("cpu.get", "ns", 1, 0),
                        cost.row("cpu.then", "ns", 2, 0),
                        cost.row("cpu.co_await", "ns", 3, 0)};
  add_rows(rows, others, rate, "W3.get", "1/s", 6);
  return rows;
}

}  // namespace valkeycache::bench
