// ValkeyCache on a real cluster: nothing but the URI differs.
#include <valkeycache/valkey_cache.hpp>

#include <map>
#include <set>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "support/valkey/monitor.hpp"
#include "support/valkey/valkey_cluster.hpp"
#include "support/valkey/wait.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

using Found = std::optional<std::string>;

ValkeyCacheOptions patient() {
  ValkeyCacheOptions options;
  options.connect_timeout = patience;
  options.command_timeout = patience;
  options.reconnect_base = 1ms;
  options.reconnect_cap = 20ms;
  return options;
}

CacheKey key_of(const std::string& text) {
  return CacheKey::raw({"cluster"}, text).value();
}

std::vector<CacheKey> keys_of(const std::string& stem, int count) {
  std::vector<CacheKey> keys;
  for (int i = 0; i < count; ++i) keys.push_back(key_of(stem + std::to_string(i)));
  return keys;
}

class Cluster : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<ValkeyCluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }
  void TearDown() override {
    for (std::size_t i = 0; i < cluster().size(); ++i) cluster().server(i).command({"FLUSHALL"});
  }
  static ValkeyCluster& cluster() { return *cluster_; }
  static ValkeyCache open(ValkeyCacheOptions options = patient(), std::size_t seed = 0) {
    return ValkeyCache::open(cluster().uri(seed), std::move(options)).value();
  }

 private:
  static inline std::unique_ptr<ValkeyCluster> cluster_;
};

TEST_F(Cluster, EveryOperationFromAnySeed) {
  for (std::size_t seed = 0; seed < 3; ++seed) {
    const auto cache = open(patient(), seed);
    for (int i = 0; i < 20; ++i) {
      const auto key = key_of("k" + std::to_string(i));
      EXPECT_EQ(cache.get(key).get().value(), Found());
      ASSERT_TRUE(ok(cache.set(key, "v" + std::to_string(i), 1h).get()));
      EXPECT_EQ(cache.get(key).get().value(), Found("v" + std::to_string(i)));
      EXPECT_FALSE(cache.set_if_absent(key, "w").get().value());
      EXPECT_TRUE(cache.touch(key, 2h).get().value());
      EXPECT_GT(cache.ttl(key).get().value()->duration(), 1h);
      EXPECT_TRUE(cache.expire_if(key, "v" + std::to_string(i), 3h).get().value());
      EXPECT_FALSE(cache.erase_if(key, "other").get().value());
      EXPECT_TRUE(cache.erase_if(key, "v" + std::to_string(i)).get().value());
      EXPECT_FALSE(cache.erase(key).get().value());
    }
    EXPECT_TRUE(ok(cache.ping().get()));
    EXPECT_TRUE(cache.connected());
    EXPECT_EQ(cache.stats().errors, 0U);
  }
}

TEST_F(Cluster, EntriesAreSpreadOverThePrimaries) {
  const auto cache = open();
  std::set<std::size_t> used;
  for (const auto& key : keys_of("spread", 30)) {
    ASSERT_TRUE(ok(cache.set(key, "v").get()));
    const auto holders = cluster().holders_of(cache.wire_key(key));
    ASSERT_EQ(holders.size(), 1U);
    used.insert(holders[0]);
  }
  EXPECT_EQ(used.size(), 3U);
}

TEST_F(Cluster, BatchesAcrossSlotsHaveAResultPerKey) {
  const auto cache = open();
  const auto keys = keys_of("batch", 200);
  std::vector<KeyValue> entries;
  for (std::size_t i = 0; i < keys.size(); i += 2) {
    entries.push_back({.key = keys[i], .value = std::to_string(i)});
  }
  entries[3].ttl = 0s;  // a bad one
  const auto stored = cache.set(entries).get().value();
  for (std::size_t i = 0; i < stored.size(); ++i) EXPECT_EQ(stored[i].has_value(), i != 3);
  // In between somebody has put something else there.
  const auto odd = cluster().holders_of(cache.wire_key(keys[0])).at(0);
  cluster().server(odd).command({"DEL", cache.wire_key(keys[0])});
  cluster().server(odd).command({"LPUSH", cache.wire_key(keys[0]), "x"});
  const auto found = cache.get(keys).get().value();
  ASSERT_EQ(found.size(), keys.size());
  EXPECT_EQ(found[0].error().code, ErrorCode::server_error);
  for (std::size_t i = 1; i < found.size(); ++i) {
    EXPECT_EQ(found[i].value(), i % 2 == 0 && i != 6 ? Found(std::to_string(i)) : Found()) << i;
  }
  EXPECT_TRUE(cache.get(std::vector<CacheKey>{}).get().value().empty());
}

TEST_F(Cluster, ClearGoesToEveryPrimary) {
  const auto cache = open();
  const auto keys = keys_of("clear", 500);
  std::vector<KeyValue> entries;
  for (const auto& key : keys) entries.push_back({.key = key, .value = "v"});
  for (const auto& result : cache.set(entries).get().value()) ASSERT_TRUE(ok(result));
  auto others = patient();
  others.prefix = "other";
  const auto other = open(others);
  ASSERT_TRUE(ok(other.set(keys[0], "stays").get()));
  std::uint64_t told = 0;
  EXPECT_EQ(cache
                .clear({.progress =
                            [&](std::uint64_t n) {
                              told = n;
                            }})
                .get()
                .value(),
            500U);
  EXPECT_EQ(told, 500U);
  for (const auto& found : cache.get(keys).get().value()) EXPECT_EQ(found.value(), Found());
  EXPECT_EQ(other.get(keys[0]).get().value(), Found("stays"));
}

TEST_F(Cluster, AMovedSlotIsFollowed) {
  const auto cache = open();
  const auto key = key_of("moved");
  ASSERT_TRUE(ok(cache.set(key, "before").get()));
  const auto slot = cluster().slot_of(cache.wire_key(key));
  const auto from = cluster().owner_of(slot, 0).value();
  const auto to = (from + 1) % 3;
  cluster().move(slot, from, to);
  EXPECT_EQ(cache.get(key).get().value(), Found("before"));
  ASSERT_TRUE(ok(cache.set(key, "after").get()));
  EXPECT_EQ(cluster().holders_of(cache.wire_key(key)), std::vector<std::size_t>{to});
  EXPECT_EQ(cache.stats().errors, 0U);
  cluster().move(slot, to, from);
  EXPECT_EQ(cache.get(key).get().value(), Found("after"));
}

// Half of the slot's keys are here and half are there: ASK for those that are there, and for those
// that are nowhere.
TEST_F(Cluster, ASlotOnTheMoveIsServedFromBothEnds) {
  const auto cache = open();
  std::vector<CacheKey> keys;
  for (int i = 0; i < 10; ++i) keys.push_back(key_of("{tag}" + std::to_string(i)));
  for (std::size_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(ok(cache.set(keys[i], std::to_string(i)).get()));
  }
  const auto slot = cluster().slot_of(cache.wire_key(keys[0]));
  const auto from = cluster().owner_of(slot, 0).value();
  const auto to = (from + 1) % 3;
  cluster().begin_move(slot, from, to);
  cluster().move_keys(slot, from, to, 4);
  const auto found = cache.get(keys).get().value();
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(found[i].value(), Found(std::to_string(i)));
  EXPECT_EQ(found[8].value(), Found());
  ASSERT_TRUE(ok(cache.set(keys[9], "new").get()));
  const auto text = std::to_string(slot);
  EXPECT_EQ(cluster().server(to).command({"CLUSTER", "COUNTKEYSINSLOT", text}).integer, 5);
  EXPECT_EQ(cache.get(keys[9]).get().value(), Found("new"));
  while (!cluster().move_keys(slot, from, to)) {
  }
  cluster().end_move(slot, from, to);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(cache.get(keys[i]).get().value(), Found(std::to_string(i)));
  }
  EXPECT_EQ(cache.stats().errors, 0U);
  cluster().move(slot, to, from);
}

TEST_F(Cluster, NearEntriesAreKeptCoherentByEveryNode) {
  auto options = patient();
  options.near_cache.max_bytes = 1 << 20;
  const auto cache = open(options);
  const auto writer = open();
  const auto keys = keys_of("near", 30);
  for (const auto& key : keys) {
    ASSERT_TRUE(ok(writer.set(key, "1").get()));
    EXPECT_EQ(cache.get(key).get().value(), Found("1"));
    EXPECT_TRUE(wait_until([&] {
      (void)cache.get(key).get();
      return static_cast<bool>(cache.find_near(key));
    }));
  }
  EXPECT_EQ(cache.stats().near_coherence, NearCoherence::tracking);
  for (const auto& key : keys) {
    ASSERT_TRUE(ok(writer.set(key, "2").get()));
    EXPECT_TRUE(wait_until([&] { return cache.get(key).get().value() == Found("2"); }));
    ASSERT_TRUE(ok(cache.set(key, "3").get()));
    EXPECT_EQ(cache.get(key).get().value(), Found("3"));
  }
}

TEST_F(Cluster, SeveralConnectionsPerNodeKeepTheOrderOfAKey) {
  auto options = patient();
  options.connections = 4;
  const auto cache = open(options);
  for (const auto& key : keys_of("order", 50)) {
    auto first = cache.set(key, "1");
    auto second = cache.set(key, "2");
    auto found = cache.get(key);
    EXPECT_EQ(found.get().value(), Found("2"));
  }
  EXPECT_TRUE(wait_until([&] { return cache.stats().connects >= 12; }));
}

TEST_F(Cluster, SeveralConnectionsPerNodeShareTheWork) {
  auto options = patient();
  options.connections = 4;
  const auto cache = open(options);
  ASSERT_TRUE(wait_until([&] { return cache.stats().connects >= 12; }));
  std::vector<std::unique_ptr<Monitor>> monitors;
  for (std::size_t i = 0; i < cluster().size(); ++i) {
    monitors.push_back(std::make_unique<Monitor>(cluster().server(i)));
  }
  std::vector<Future<Found>> gets;
  for (const auto& key : keys_of("fair", 1200)) gets.push_back(cache.get(key));
  for (auto& got : gets) ASSERT_TRUE(ok(got.get()));
  for (auto& monitor : monitors) {
    std::map<std::string, int> served;
    for (const auto& command : monitor->commands()) ++served[command.client];
    EXPECT_EQ(served.size(), 4U);
    // Some 100 each; the keys are the same in every run.
    for (const auto& [client, count] : served) EXPECT_NEAR(count, 100, 40) << client;
  }
}

// As a cluster does that does not know how it is reached.
TEST_F(Cluster, NodesThatNameNoHostAreWhereTheSeedIs) {
  const auto announce = [](const std::string& kind) {
    for (std::size_t i = 0; i < cluster().size(); ++i) {
      cluster().server(i).command({"CONFIG", "SET", "cluster-preferred-endpoint-type", kind});
    }
  };
  announce("unknown-endpoint");
  const auto cache = open(patient(), 1);
  const auto keys = keys_of("hostless", 30);
  for (const auto& key : keys) ASSERT_TRUE(ok(cache.set(key, "v").get()));
  // MOVED to ":port"
  const auto slot = cluster().slot_of(cache.wire_key(keys[0]));
  const auto from = cluster().owner_of(slot).value();
  cluster().move(slot, from, (from + 1) % 3);
  for (const auto& key : keys) EXPECT_EQ(cache.get(key).get().value(), Found("v"));
  EXPECT_EQ(cache.stats().errors, 0U);
  cluster().move(slot, (from + 1) % 3, from);
  announce("ip");
}

TEST_F(Cluster, OneSeedOfSeveralIsEnough) {
  auto options = patient();
  options.deployment = Deployment::cluster;
  options.host = "127.0.0.1";
  options.port = 1;
  options.seeds = {"no-such-host.invalid:1",
                   "127.0.0.1:" + std::to_string(cluster().server(2).port())};
  const auto cache = ValkeyCache::open(options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("v"));
}

TEST_F(Cluster, FlushWaitsForTheStoresOnAllNodes) {
  const auto cache = open();
  std::vector<Future<void>> stores;
  for (const auto& key : keys_of("flush", 100)) stores.push_back(cache.set(key, "v"));
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  for (auto& store : stores) EXPECT_TRUE(store.ready());
}

TEST_F(Cluster, StoresThatWereJustMadeAreWaitedForAtTheEnd) {
  auto options = patient();
  options.close_timeout = patience;
  for (int i = 0; i < 10; ++i) {
    // Before it can know who is to have them.
    const auto cache = open(options);
    for (const auto& key : keys_of("last" + std::to_string(i), 5)) (void)cache.set(key, "v");
  }
  const auto cache = open();
  for (int i = 0; i < 10; ++i) {
    for (const auto& key : keys_of("last" + std::to_string(i), 5)) {
      EXPECT_EQ(cache.get(key).get().value(), Found("v"));
    }
  }
}

TEST_F(Cluster, APlainUriSaysWhatIsWrong) {
  auto cache = ValkeyCache::open(cluster().server(0).uri(), patient()).value();
  std::optional<Error> error;
  for (const auto& key : keys_of("plain", 20)) {
    auto got = cache.get(key).get();
    if (!got) error = got.error();
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ErrorCode::unsupported);
  EXPECT_NE(error->message.find("valkey+cluster://"), std::string::npos);
}

}  // namespace
