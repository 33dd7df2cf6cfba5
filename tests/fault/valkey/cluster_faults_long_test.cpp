// The heavy ones: all the primaries of a cluster die one after the other, and many slots move.
#include "cluster_load.hpp"
#include "support/valkey/valkey_cluster.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

// With two replicas each there are always enough to vote. In the end no address is left that the
// cache began with.
TEST(ClusterFaultsLong, AllPrimariesAreReplaced) {
  ValkeyCluster cluster({.replicas = 2, .node_timeout_ms = 1000});
  ClusterLoad load(cluster.uri(), hurried());
  load.go_on(200);
  for (std::size_t primary = 0; primary < 3; ++primary) {
    cluster.kill_and_await_failover(primary);
    const auto recovered = SteadyClock::now();
    EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
    if (!sanitized) {
      EXPECT_LT(SteadyClock::now() - recovered, 2s) << "beyond the cluster's own time";
    }
    load.go_on(200);
  }
  load.expect_nothing_wrong();
}

TEST(ClusterFaultsLong, HundredsOfSlotsMoveToANewNodeAndBack) {
  ValkeyCluster cluster;
  auto options = hurried();
  options.near_cache.max_bytes = 1 << 20;
  ClusterLoad load(cluster.uri(), options);
  load.go_on(100);
  const auto added = cluster.add_node();
  for (int round = 0; round < 2; ++round) {
    for (std::uint16_t slot = 0; slot < 300; ++slot) {
      const std::size_t from = round == 0 ? 0 : added;
      cluster.move(slot, from, round == 0 ? added : 0);
    }
    for (int i = 0; i < 60; ++i) {
      const auto slot = cluster.slot_of(load.cache().wire_key(key_of("load" + std::to_string(i))));
      if (slot < 300) continue;  // they have their own way
      const auto from = cluster.owner_of(slot).value();
      cluster.move(slot, from, from == 1 ? 2 : 1);
    }
    EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  }
  cluster.remove_node(added);
  EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  load.expect_nothing_wrong();
}

}  // namespace
