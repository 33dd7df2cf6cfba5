// One endpoint in front of a cluster, as ElastiCache Serverless presents itself: whatever is behind
// it, one port is for everything, and another one for reading.
#include <valkeycache/valkey_cache.hpp>

#include <array>
#include <atomic>

#include "contract.hpp"
#include "support/valkey/fake_server.hpp"
#include "support/valkey/valkey_cluster.hpp"
#include "valkey/cluster_slot.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

TEST(ClusterEndpoint, ServesAllSlotsAndMayMoveToAnotherServer) {
  ValkeyCluster cluster({.primaries = 1,
                         .replicas = 1,
                         .config = {"cluster-preferred-endpoint-type unknown-endpoint"},
                         .fronted = true});
  auto options = patient_options();
  options.near_cache.max_bytes = 1 << 20;
  const auto cache = ValkeyCache::open(cluster.uri(0), options).value();
  std::vector<KeyValue> entries;
  std::vector<CacheKey> keys;
  for (int i = 0; i < 300; ++i) {
    keys.push_back(key_of(std::to_string(i)));
    entries.push_back({.key = keys.back(), .value = std::to_string(i)});
  }
  const auto use = [&] {
    for (const auto& stored : cache.set(entries).get().value()) ASSERT_TRUE(ok(stored));
    const auto found = cache.get(keys).get().value();
    for (int i = 0; i < 300; ++i) {
      EXPECT_EQ(found[static_cast<std::size_t>(i)].value(), std::to_string(i));
    }
    EXPECT_TRUE(wait_until([&] {
      EXPECT_EQ(cache.get(keys[0]).get().value(), "0");
      return static_cast<bool>(cache.find_near(keys[0]));
    }));
    EXPECT_EQ(cache.clear().get().value(), 300U);
    EXPECT_EQ(cache.get(keys[0]).get().value(), std::nullopt);
  };
  use();
  EXPECT_EQ(cache.stats().connects, 1U);
  EXPECT_EQ(cache.stats().errors, 0U);

  ASSERT_TRUE(wait_until([&] {  // a replica is told of once it has something
    return cluster.server(0).command({"CLUSTER", "SLOTS"}).items.at(0).items.size() == 4;
  }));
  auto from_replica = patient_options();
  from_replica.read_from = ReadFrom::replica;
  const auto reader = ValkeyCache::open(cluster.uri(0), from_replica).value();
  ASSERT_TRUE(ok(reader.set(keys[1], "v").get()));
  EXPECT_TRUE(wait_until([&] {
    EXPECT_TRUE(ok(reader.get(keys[1]).get()));
    return cluster.server(1).command({"INFO", "commandstats"}).text.find("cmdstat_get:") !=
           std::string::npos;
  }));

  cluster.promote(1);
  const auto port = std::to_string(cluster.front(0).port());
  cluster.server(1).command({"CONFIG", "SET", "cluster-announce-port", port});
  cluster.kill(0);
  cluster.front(0).lead_to(cluster.server(1).port());
  EXPECT_TRUE(wait_until([&] { return cache.set(keys[0], "v").get().has_value(); }));
  EXPECT_EQ(cache.clear().get().value(), 2U);
  use();
  EXPECT_EQ(cluster.server(1).command({"DBSIZE"}).integer, 0);
}

// By name, which is all that the certificate proves: no node says where it is.
TEST(ClusterEndpoint, OverTls) {
  const ValkeyCluster cluster({.primaries = 1,
                               .config = {"cluster-preferred-endpoint-type unknown-endpoint"},
                               .tls = true,
                               .certificate = {.names = "DNS:localhost"},
                               .fronted = true});
  auto options = patient_options();
  options.tls.ca_file = cluster.server(0).ca_file();
  options.near_cache.max_bytes = 1 << 20;
  const auto cache = ValkeyCache::open(cluster.uri(0), options).value();
  const auto keys = many_keys(100);
  std::vector<KeyValue> entries;
  for (const auto& key : keys) entries.push_back({.key = key, .value = key.text()});
  for (const auto& stored : cache.set(entries).get().value()) ASSERT_TRUE(ok(stored));
  const auto found = cache.get(keys).get().value();
  for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(found[i].value(), keys[i].text());
  EXPECT_TRUE(wait_until([&] {
    EXPECT_EQ(cache.get(keys[0]).get().value(), keys[0].text());
    return static_cast<bool>(cache.find_near(keys[0]));
  }));
  EXPECT_EQ(cache.clear().get().value(), keys.size());
  EXPECT_EQ(cache.stats().errors, 0U);
  // No address was tried beside the endpoint.
  EXPECT_EQ(cache.stats().connects, 1U);
  EXPECT_EQ(cache.stats().connect_failures, 0U);
  EXPECT_EQ(cluster.front(0).connections(), 1);
}

// What a server says while it cannot serve a key: the call waits, and is answered in its time.
TEST(ClusterEndpoint, PausesOfTheClusterAreWaitedFor) {
  std::atomic<std::size_t> asked{0};
  const std::vector<std::string> refusals = {
      "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
      "-CLUSTERDOWN Hash slot not served\r\n",
      "-CLUSTERDOWN The cluster is down\r\n",
      "-LOADING Valkey is loading the dataset in memory\r\n",
      "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
      "-READONLY You can't write against a read only replica.\r\n"};
  std::atomic<std::uint16_t> port{0};
  FakeServer server(answering([&](const Command& command) -> std::string {
    if (command[0] == "CLUSTER") {
      return "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:" + std::to_string(port) +
             "\r\n";
    }
    const auto turn = asked++;
    if (turn < refusals.size()) return refusals[turn];
    return command[0] == "SET" ? "+OK\r\n" : bulk("v");
  }));
  port = server.port();
  const auto cache =
      ValkeyCache::open("valkey+cluster://127.0.0.1:" + std::to_string(port), patient_options())
          .value();
  EXPECT_EQ(cache.get(key_of("k")).get().value(), "v");
  EXPECT_EQ(asked, refusals.size() + 1);
  asked = 0;
  EXPECT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_EQ(asked, refusals.size() + 1) << "none of them comes of a command that was carried out";
  EXPECT_EQ(cache.stats().errors, 0U);
}

// Two nodes that give one key's slot to each other whenever it is to be erased: nobody can say that
// nothing is left.
TEST(ClusterEndpoint, ClearOfSlotsThatNeverRestSaysSo) {
  auto options = patient_options();
  const auto key = options.prefix + "k";
  const auto slot = std::to_string(detail::key_slot(key));
  std::array<std::atomic<std::uint16_t>, 2> ports{};
  std::atomic<int> erasures{0};
  std::atomic<std::size_t> owner{0};
  const auto node = [&](std::size_t self) {
    return answering([&, self](const Command& command) -> std::string {
      if (command[0] == "CLUSTER") {
        return "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:" +
               std::to_string(ports[owner]) + "\r\n";
      }
      if (command[0] == "SCAN") return array({bulk("0"), array({bulk(key)})});
      if (erasures++ % 2 != 0) return ":1\r\n";
      owner = 1 - self;
      return "-MOVED " + slot + " 127.0.0.1:" + std::to_string(ports[owner]) + "\r\n";
    });
  };
  const FakeServer first(node(0));
  const FakeServer second(node(1));
  ports[0] = first.port();
  ports[1] = second.port();
  const auto cache =
      ValkeyCache::open("valkey+cluster://127.0.0.1:" + std::to_string(first.port()), options)
          .value();
  // On a busy machine the time may be over before anything was done.
  EXPECT_TRUE(wait_until([&] {
    erasures = 0;
    const auto cleared = cache.clear({.timeout = std::chrono::seconds(2)}).get();
    EXPECT_TRUE(fails_with(cleared, {ErrorCode::server_unavailable, ErrorCode::timeout}));
    if (cleared || erasures < 4) return false;
    EXPECT_TRUE(cleared.error().retryable);
    EXPECT_TRUE(cleared.error().maybe_applied);
    return true;
  })) << "it is tried more than once";
}

}  // namespace
