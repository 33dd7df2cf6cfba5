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
  const Entries entries(cache, 1000, 1024);
  std::vector<Raw> raws;
  for (std::size_t i = 0; i < thread_count; ++i) raws.push_back(stage.raw());
  Team team(thread_count);

  const auto others = peers(stage, entries, "W2");

  std::vector<Side> sides{
      {"raw hiredis",
       [&](auto until, Tally& tally) {
         all_at_once(team, until, tally, [&](std::size_t thread, std::size_t i) {
           require_hit(*raws[thread].call(entries.raw_get(i)), entries.bytes());
         });
       }},
      {"ValkeyCache", [&](auto until, Tally& tally) {
         all_at_once(team, until, tally, [&](std::size_t, std::size_t i) {
           entries.require_hit(cache.get(entries.key(i)).get());
         });
       }}};
  add_sides(sides, others, "W2");
  const auto rate = rates(take_turns(stage.options(), sides));
  std::vector<Row> rows{rate.row("W2.rate", "1/s", 1, 0, "ratio >= 1.4")};
  add_rows(rows, others, rate, "W2.rate", "1/s", 2);
  return rows;
}

}  // namespace valkeycache::bench
