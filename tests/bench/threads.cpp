// W2: eight threads that block in get(), on one shared cache; raw hiredis has a connection a
// thread.
#include <atomic>

#include "bench/measure.hpp"
#include "bench/peer.hpp"
#include "bench/stage.hpp"
#include "bench/team.hpp"

namespace valkeycache::bench {
namespace {

constexpr std::size_t thread_count = 8;

template <class Get>
void all_at_once(Team& team, Clock::time_point until, Tally& tally, Get get) {
  std::atomic<std::uint64_t> operations = 0;
  team.run([&](std::size_t thread) {
    std::uint64_t own = 0;
    while (Clock::now() < until) get(thread, thread * 131 + own++);
    operations += own;
  });
  tally.operations += operations;
}

}  // namespace

std::vector<Row> threads(Stage& stage) {
  const auto cache = stage.open();
  const auto asleep = stage.open({.stay_awake = std::chrono::microseconds(0)});
  const Entries entries(cache, 1000, 1024);
  std::vector<Raw> raws;
  for (std::size_t i = 0; i < thread_count; ++i) raws.push_back(stage.raw());
  Team team(thread_count);

  const auto others = peers(stage, entries, "W2");

  const auto gets_of = [&](const ValkeyCache& from) {
    return [&](auto until, Tally& tally) {
      all_at_once(team, until, tally, [&](std::size_t, std::size_t i) {
        entries.require_hit(from.get(entries.key(i)).get());
      });
    };
  };
  std::vector<Side> sides{
      {"raw hiredis",
       [&](auto until, Tally& tally) {
         all_at_once(team, until, tally, [&](std::size_t thread, std::size_t i) {
           require_hit(*raws[thread].call(entries.raw_get(i)), entries.bytes());
         });
       }},
      {"ValkeyCache", gets_of(cache)},
      {"asleep", gets_of(asleep)}};
  add_sides(sides, others, "W2");
  const auto tallies = take_turns(stage.options(), sides);
  const auto rate = rates(tallies);
  std::vector<Row> rows{rate.row("W2.rate", "1/s", 1, 0, "ratio >= 1.4"),
                        cpu_costs(tallies).row("cpu.W2", "ns", 1, 0),
                        rate.row("W2.asleep.rate", "1/s", 2, 0),
                        cpu_costs(tallies).row("cpu.W2.asleep", "ns", 2, 0)};
  add_rows(rows, others, rate, "W2.rate", "1/s", 3);
  return rows;
}

}  // namespace valkeycache::bench
