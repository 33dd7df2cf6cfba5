// W1: one thread, one get at a time.
#include "bench/measure.hpp"
#include "bench/peer.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {

std::vector<Row> one_get(Stage& stage) {
  const auto cache = stage.open();
  const auto asleep = stage.open({.stay_awake = std::chrono::microseconds(0)});
  const Entries entries(cache, 1000, 1024);
  auto raw = stage.raw();

  const auto others = peers(stage, entries, "W1");

  const auto gets_of = [&](const ValkeyCache& from) {
    return [&](auto until, Tally& tally) {
      one_after_the_other(until, tally, [&](std::size_t i) {
        entries.require_hit(from.get(entries.key(i)).get());
      });
    };
  };
  std::vector<Side> sides{{"raw hiredis",
                           [&](auto until, Tally& tally) {
                             one_after_the_other(until, tally, [&](std::size_t i) {
                               require_hit(*raw.call(entries.raw_get(i)), entries.bytes());
                             });
                           }},
                          {"ValkeyCache", gets_of(cache)},
                          {"asleep", gets_of(asleep)}};
  add_sides(sides, others, "W1");
  const auto tallies = take_turns(stage.options(), sides);
  const auto p50 = percentiles(tallies, 0.5);
  std::vector<Row> rows{p50.row("W1.p50", "us", 1, 0, "ratio <= 1.08"),
                        percentiles(tallies, 0.99).row("W1.p99", "us", 1, 0),
                        rates(tallies).row("W1.rate", "1/s", 1, 0),
                        cpu_costs(tallies).row("cpu.W1", "ns", 1, 0),
                        p50.row("W1.asleep.p50", "us", 2, 0),
                        cpu_costs(tallies).row("cpu.W1.asleep", "ns", 2, 0)};
  add_rows(rows, others, p50, "W1.p50", "us", 3);
  return rows;
}

}  // namespace valkeycache::bench
