// It takes longer than everyday runs have: a node that has taken over a slot, some time ago.
#include <valkeycache/valkey_cache.hpp>

#include <string>
#include <thread>

#include "contract.hpp"
#include "support/valkey/valkey_cluster.hpp"
#include "valkey/fleet.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

long scans_of(const ValkeyServer& server) {
  const auto stats = server.command({"INFO", "commandstats"}).text;
  const std::string calls = "cmdstat_scan:calls=";
  const auto at = stats.find(calls);
  return at == std::string::npos ? 0 : std::stol(stats.substr(at + calls.size()));
}

TEST(ClusterImportLong, ANodeThatTookOverASlotLongAgoIsScannedOnce) {
  const ValkeyCluster cluster({.primaries = 2});
  const auto cache = ValkeyCache::open(cluster.uri(), patient_options()).value();
  const auto keys = many_keys(10, "{slot}");
  for (const auto& key : keys) ASSERT_TRUE(ok(cache.set(key, "v").get()));
  const auto slot = cluster.slot_of(cache.wire_key(keys[0]));
  const auto from = cluster.owner_of(slot).value();
  const auto to = 1 - from;
  cluster.begin_move(slot, from, to);
  cluster.move_keys(slot, from, to);
  for (const auto& key : keys) ASSERT_TRUE(ok(cache.get(key).get()));  // the cache is sent there
  cluster.end_move(slot, from, to);
  for (const auto& key : keys) ASSERT_TRUE(ok(cache.get(key).get()));
  // Nothing says that it is over but the time.
  std::this_thread::sleep_for(detail::importing_for + 1s);
  const auto before = scans_of(cluster.server(to));
  EXPECT_EQ(cache.clear().get().value(), keys.size());
  EXPECT_EQ(scans_of(cluster.server(to)), before + 1);
}

}  // namespace
