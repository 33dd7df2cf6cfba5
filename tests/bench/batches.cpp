// W4: batches of 100 keys, one MGET each.
#include "bench/measure.hpp"
#include "bench/peer.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {

std::vector<Row> batches(Stage& stage) {
  constexpr std::size_t batch = 100;
  const auto cache = stage.open();
  const Entries entries(cache, 1000, 1024);
  auto raw = stage.raw();
  std::vector<RawCommand> commands;
  std::vector<std::vector<CacheKey>> lists;
  for (std::size_t i = 0; i < entries.count(); i += batch) {
    commands.emplace_back(RawCommand{"MGET"});
    lists.emplace_back();
    for (std::size_t k = i; k < i + batch; ++k) {
      commands.back().add(entries.wire_key(k));
      lists.back().push_back(entries.key(k));
    }
  }

  const auto others = peers(stage, entries, "W4");

  std::vector<Side> sides{{"raw hiredis",
                           [&](auto until, Tally& tally) {
                             for (std::size_t i = 0; Clock::now() < until; ++i) {
                               const auto reply = raw.call(commands[i % commands.size()]);
                               if (reply->elements != batch)
                                 throw std::runtime_error("MGET: not the values");
                               for (std::size_t k = 0; k < batch; ++k) {
                                 require_hit(*reply->element[k], entries.bytes());
                               }
                               tally.operations += batch;
                             }
                           }},
                          {"ValkeyCache", [&](auto until, Tally& tally) {
                             for (std::size_t i = 0; Clock::now() < until; ++i) {
                               const auto values = cache.get(lists[i % lists.size()]).get().value();
                               if (values.size() != batch)
                                 throw std::runtime_error("get: not the values");
                               for (const auto& value : values) entries.require_hit(value);
                               tally.operations += batch;
                             }
                           }}};
  add_sides(sides, others, "W4");
  const auto rate = rates(take_turns(stage.options(), sides));
  std::vector<Row> rows{rate.row("W4.keys", "keys/s", 1, 0, "ratio >= 0.95")};
  add_rows(rows, others, rate, "W4.keys", "keys/s", 2);
  return rows;
}

}  // namespace valkeycache::bench
