// What happens to clusters, under load: each call of CachedLlm is answered, no value is wrong, and
// afterwards all is well again.
#include "cluster_load.hpp"
#include "support/valkey/valkey_cluster.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

TEST(ClusterFaults, APrimaryDies) {
  ValkeyCluster cluster({.replicas = 1, .node_timeout_ms = sanitized ? 2000 : 500});
  ClusterLoad load(cluster.uri(), hurried());
  load.go_on(50);
  cluster.kill_and_await_failover(0);  // it is the seed, too
  EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  load.go_on(50);
  load.expect_nothing_wrong();
}

TEST(ClusterFaults, SlotsMove) {
  ValkeyCluster cluster;
  ClusterLoad load(cluster.uri(), hurried());
  load.go_on(50);
  for (int i = 0; i < 10; ++i) {
    const auto slot = cluster.slot_of(load.cache().wire_key(key_of("load" + std::to_string(i))));
    const auto from = cluster.owner_of(slot, 0).value();
    cluster.begin_move(slot, from, (from + 1) % 3);
    load.go_on(5);
    while (!cluster.move_keys(slot, from, (from + 1) % 3, 1)) load.go_on(1);
    cluster.end_move(slot, from, (from + 1) % 3);
  }
  EXPECT_TRUE(load.all_well());
  load.stop();
  EXPECT_EQ(load.failed(), 0) << "a slot on the move is no failure";
  load.expect_nothing_wrong();
}

TEST(ClusterFaults, ANodeComesAndAnotherOneGoes) {
  ValkeyCluster cluster;
  ClusterLoad load(cluster.uri(), hurried());
  load.go_on(20);
  const auto added = cluster.add_node();
  std::vector<std::uint16_t> slots;
  for (int i = 0; i < 60; i += 10) {
    slots.push_back(cluster.slot_of(load.cache().wire_key(key_of("load" + std::to_string(i)))));
  }
  std::vector<std::size_t> owners;
  for (const auto slot : slots) {
    owners.push_back(cluster.owner_of(slot, 0).value());
    if (owners.back() != added) cluster.move(slot, owners.back(), added);
  }
  load.go_on(20);
  EXPECT_TRUE(load.all_well());
  for (std::size_t i = slots.size(); i-- > 0;) {
    if (owners[i] != added) cluster.move(slots[i], added, owners[i]);
  }
  EXPECT_TRUE(load.all_well());
  cluster.remove_node(added);
  EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  load.go_on(20);
  load.expect_nothing_wrong();
}

// Nobody takes over: what it serves is not to be had, and the rest is as quick as ever.
TEST(ClusterFaults, ANodeThatHangsDelaysNobodyElse) {
  ValkeyCluster cluster({.node_timeout_ms = 600'000});
  auto options = hurried();
  options.command_timeout = patience;
  const auto cache = ValkeyCache::open(cluster.uri(1), options).value();
  std::vector<CacheKey> there;
  std::vector<CacheKey> elsewhere;
  for (int i = 0; i < 60; ++i) {
    const auto key = key_of("hang" + std::to_string(i));
    ASSERT_TRUE(ok(cache.set(key, "v").get()));
    const auto owner = cluster.owner_of(cluster.slot_of(cache.wire_key(key)), 1).value();
    (owner == 0 ? there : elsewhere).push_back(key);
  }
  ASSERT_FALSE(there.empty());
  cluster.server(0).pause();
  std::vector<Future<Found>> waiting;
  for (const auto& key : there) waiting.push_back(cache.get(key));
  for (const auto& key : elsewhere) EXPECT_EQ(cache.get(key).get().value(), Found("v"));
  EXPECT_TRUE(std::none_of(waiting.begin(), waiting.end(), [](auto& f) { return f.ready(); }));
  EXPECT_TRUE(fails_with(cache.get(there[0], {.timeout = 20ms}).get(), ErrorCode::timeout));
  auto all = cache.get(elsewhere).get().value();
  for (const auto& found : all) EXPECT_EQ(found.value(), Found("v"));
  cluster.server(0).resume();
  for (auto& got : waiting) EXPECT_EQ(got.get().value(), Found("v"));
}

}  // namespace
