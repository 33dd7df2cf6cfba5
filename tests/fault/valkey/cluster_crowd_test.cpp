// What is asked of nodes that hang or are gone must not take the room of all: calls to the others
// go on.
#include <algorithm>
#include <atomic>

#include "fault.hpp"
#include "support/valkey/cluster_map.hpp"
#include "support/valkey/valkey_cluster.hpp"
#include "valkey/cluster_slot.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_commands = 2000;
constexpr std::size_t most_bytes = std::size_t{4} << 20;

class ClusterCrowd : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<ValkeyCluster>();
    // Nobody is taken for fallen, however long it hangs.
    for (std::size_t i = 0; i < cluster().size(); ++i) {
      cluster().server(i).command({"CONFIG", "SET", "cluster-node-timeout", "600000"});
    }
  }
  static void TearDownTestSuite() { cluster_.reset(); }
  static ValkeyCluster& cluster() { return *cluster_; }

  // Two keys of each node.
  void SetUp() override {
    for (std::size_t node = 0; node < 3; ++node) {
      for (int i = 0; keys_[node].size() < 2; ++i) {
        const auto key = key_of("crowd" + std::to_string(i));
        const auto slot = cluster().slot_of(cache_.wire_key(key));
        if (cluster().owner_of(slot, 2) == node) keys_[node].push_back(key);
      }
      for (const auto& key : keys_[node]) ASSERT_TRUE(ok(cache_.set(key, "v").get()));
    }
  }
  void TearDown() override {
    for (std::size_t node = 0; node < 3; ++node) {
      if (cluster().alive(node)) cluster().server(node).resume();
    }
  }
  // The crowd has been told who waits and who does not: what is in trouble counts as no more.
  void await_room() const {
    ASSERT_TRUE(wait_until([&] { return cache_.stats().in_flight <= most_commands / 4 * 3; }))
        << "nodes that do not answer have taken all the room";
  }
  // One by one, with more of the crowd in between.
  template <class Crowd>
  void expect_service(std::size_t node, const Crowd& crowd) const {
    for (int i = 0; i < 20; ++i) {
      crowd(50);
      EXPECT_EQ(cache_.get(keys_[node][0]).get().value(), Found("v"));
      EXPECT_TRUE(ok(cache_.set(keys_[node][1], "v").get()));
    }
  }
  // All of what one may ask for at once is accepted: the room is full, and nobody was refused.
  // Nobody answers meanwhile, which must not last until it is taken for trouble: on a machine that
  // is too slow for that the next attempt counts.
  template <class Call>
  static void expect_all_room(const ValkeyCache& cache, const Call& call) {
    EXPECT_TRUE(wait_until([&] {
      for (std::size_t node = 0; node < 3; ++node) cluster().server(node).pause();
      std::vector<Future<Found>> calls;
      for (std::size_t i = 1; i < most_commands; ++i) calls.push_back(call(i));
      // When this one's time is over all before it have been taken in.
      (void)cache.get(key_of("last"), {.timeout = 1ms}).get();
      const auto refused =
          std::count_if(calls.begin(), calls.end(), [](const auto& one) { return one.ready(); });
      for (std::size_t node = 0; node < 3; ++node) cluster().server(node).resume();
      for (auto& one : calls) (void)one.get();
      return refused == 0;
    })) << "never was all the room to be had";
  }
  // One that knows nobody yet: the map comes from node 2.
  static ValkeyCache cold() { return ValkeyCache::open(cluster().uri(2), limited()).value(); }

  const ValkeyCache cache_ = ValkeyCache::open(cluster().uri(2), limited()).value();
  std::vector<CacheKey> keys_[3];

  static ValkeyCacheOptions limited() {
    auto options = patient();
    options.max_queued_commands = most_commands;
    options.max_queued_bytes = most_bytes;
    return options;
  }

 private:
  static inline std::unique_ptr<ValkeyCluster> cluster_;
};

// Of those that were refused nothing was sent.
template <class T>
void expect_answers_or_overload(std::vector<Future<T>>& crowd) {
  std::size_t refused = 0;
  for (auto& call : crowd) {
    const auto result = call.get();
    if (result) continue;
    ++refused;
    EXPECT_TRUE(fails_with(result, ErrorCode::overloaded));
    EXPECT_TRUE(result.error().retryable);
    EXPECT_FALSE(result.error().maybe_applied);
  }
  EXPECT_GT(refused, 0U);
  EXPECT_LT(refused, crowd.size());
}

TEST_F(ClusterCrowd, ANodeThatHangs) {
  cluster().server(0).pause();
  std::vector<Future<Found>> waiting;
  const auto crowd = [&](std::size_t calls) {
    for (std::size_t i = 0; i < calls; ++i) waiting.push_back(cache_.get(keys_[0][0]));
  };
  crowd(2 * most_commands);
  await_room();
  for (const auto node : {std::size_t{1}, std::size_t{2}}) expect_service(node, crowd);
  cluster().server(0).resume();
  expect_answers_or_overload(waiting);
}

TEST_F(ClusterCrowd, TwoOfThreeNodesThatHang) {
  cluster().server(0).pause();
  cluster().server(1).pause();
  std::vector<Future<Found>> waiting;
  const auto crowd = [&](std::size_t calls) {
    for (std::size_t i = 0; i < calls; ++i) waiting.push_back(cache_.get(keys_[i % 2][0]));
  };
  crowd(4 * most_commands);
  await_room();
  expect_service(2, crowd);
  cluster().server(0).resume();
  cluster().server(1).resume();
  expect_answers_or_overload(waiting);
}

TEST_F(ClusterCrowd, OneNodeAfterTheOtherThatHangs) {
  std::vector<Future<Found>> waiting;
  for (const std::size_t node : {0, 1}) {
    cluster().server(node).pause();
    for (std::size_t i = 0; i < 2 * most_commands; ++i) {
      waiting.push_back(cache_.get(keys_[node][0]));
    }
    await_room();
  }
  expect_service(2, [&](std::size_t calls) {
    for (std::size_t i = 0; i < calls; ++i) waiting.push_back(cache_.get(keys_[i % 2][0]));
  });
  cluster().server(0).resume();
  cluster().server(1).resume();
  expect_answers_or_overload(waiting);
}

TEST_F(ClusterCrowd, NodesThatAnswerHaveAllTheRoom) {
  expect_all_room(cache_, [&](std::size_t i) { return cache_.get(keys_[i % 3][0]); });
  expect_all_room(cache_, [&](std::size_t /*i*/) { return cache_.get(keys_[0][0]); });
}

TEST_F(ClusterCrowd, NodesOfManyConnectionsHaveAllTheRoom) {
  auto options = limited();
  options.connections = 4;
  const auto cache = ValkeyCache::open(cluster().uri(2), options).value();
  for (const auto& keys : keys_) ASSERT_EQ(cache.get(keys[0]).get().value(), Found("v"));
  expect_all_room(cache, [&](std::size_t i) { return cache.get(keys_[i % 3][i / 3 % 2]); });
  expect_all_room(cache, [&](std::size_t /*i*/) { return cache.get(keys_[0][0]); });
}

// That a node is not connected yet says nothing against it: what comes before the map and what
// comes before its first connection waits, as with a single server.
TEST_F(ClusterCrowd, AColdStartHasAllTheRoom) {
  for (std::size_t node = 0; node < 3; ++node) cluster().server(node).pause();
  const auto cache = cold();
  std::vector<Future<Found>> waiting;
  const auto crowd = [&](std::size_t calls) {
    for (std::size_t i = 0; i < calls; ++i) waiting.push_back(cache.get(keys_[0][0]));
  };
  crowd(most_commands / 2);
  cluster().server(2).resume();
  ASSERT_EQ(cache.get(keys_[2][0]).get().value(), Found("v"));
  crowd(most_commands / 2 - 1);
  ASSERT_EQ(cache.get(keys_[2][0]).get().value(), Found("v"));
  for (const auto& call : waiting) ASSERT_FALSE(call.ready());
  for (const std::size_t node : {0, 1}) cluster().server(node).resume();
  for (auto& call : waiting) EXPECT_TRUE(ok(call.get()));
}

TEST_F(ClusterCrowd, LargeValuesAtAColdStart) {
  const std::string large(most_bytes / 16 * 3, 'x');  // as two of 48 MiB are by default
  for (std::size_t node = 0; node < 3; ++node) cluster().server(node).pause();
  const auto cache = cold();
  std::vector<Future<void>> waiting;
  for (int i = 0; i < 2; ++i) waiting.push_back(cache.set(keys_[0][1], large));
  cluster().server(2).resume();
  ASSERT_EQ(cache.get(keys_[2][0]).get().value(), Found("v"));
  for (int i = 0; i < 2; ++i) waiting.push_back(cache.set(keys_[0][1], large));
  ASSERT_EQ(cache.get(keys_[2][0]).get().value(), Found("v"));
  for (const auto& call : waiting) ASSERT_FALSE(call.ready());
  for (const std::size_t node : {0, 1}) cluster().server(node).resume();
  for (auto& call : waiting) EXPECT_TRUE(ok(call.get()));
}

TEST_F(ClusterCrowd, LargeValuesForANodeThatHangs) {
  const std::string large(std::size_t{128} << 10, 'x');
  cluster().server(0).pause();
  std::vector<Future<void>> waiting;
  const auto crowd = [&](std::size_t calls) {
    for (std::size_t i = 0; i < calls; i += 25) waiting.push_back(cache_.set(keys_[0][1], large));
  };
  crowd(2 * 25 * (most_bytes / large.size()));
  // Beside the crowd's there is room for as large ones, once it is known who does not answer.
  int in_a_row = 0;
  EXPECT_TRUE(wait_until([&] {
    auto more = cache_.set(keys_[0][1], large);
    const bool served = cache_.set(keys_[1][1], large).get().has_value();
    in_a_row = served && more.ready() ? in_a_row + 1 : 0;  // ready: refused
    waiting.push_back(std::move(more));
    return in_a_row == 3;
  }));
  for (const auto node : {std::size_t{1}, std::size_t{2}}) expect_service(node, crowd);
  cluster().server(0).resume();
  expect_answers_or_overload(waiting);
}

// Whoever has given up waiting is still owed a reply, which takes room.
TEST_F(ClusterCrowd, CallsToANodeThatHangsThatHaveTimedOut) {
  cluster().server(0).pause();
  std::vector<Future<Found>> waiting;
  const auto crowd = [&](std::size_t calls) {
    for (std::size_t i = 0; i < calls; ++i) {
      waiting.push_back(cache_.get(keys_[0][0], {.timeout = 20ms}));
    }
  };
  crowd(2 * most_commands);
  for (auto& call : waiting) {
    EXPECT_TRUE(fails_with(call.get(), {ErrorCode::timeout, ErrorCode::overloaded}));
  }
  await_room();
  for (const auto node : {std::size_t{1}, std::size_t{2}}) expect_service(node, crowd);
  cluster().server(0).resume();
  EXPECT_TRUE(wait_until([&] { return cache_.get(keys_[0][0]).get().has_value(); }));
}

// The last of this cluster's.
TEST_F(ClusterCrowd, ThenANodeThatIsGone) {
  cluster().kill(0);
  std::vector<Future<Found>> waiting;
  const auto crowd = [&](std::size_t calls) {
    for (std::size_t i = 0; i < calls; ++i) {
      waiting.push_back(cache_.get(keys_[0][0], {.timeout = 2s}));
    }
  };
  crowd(2 * most_commands);
  await_room();
  for (const auto node : {std::size_t{1}, std::size_t{2}}) expect_service(node, crowd);
}

// Those who write have all the room beside those who read elsewhere.
TEST(ClusterCrowdOfWriters, APrimaryBesideItsReplica) {
  const ValkeyServerOptions at_once{.config = {"repl-diskless-sync-delay 0"}};
  ValkeyServer primary(at_once);
  ValkeyServer replica(at_once);
  replica.command({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
  ASSERT_TRUE(wait_until([&] {
    return replica.command({"INFO", "replication"}).text.find("master_link_status:up") !=
               std::string::npos &&
           !primary.command({"ROLE"}).items.at(2).items.empty();
  }));
  auto options = patient();
  options.max_queued_commands = most_commands;
  options.read_from = ReadFrom::replica;
  const auto cache =
      ValkeyCache::open("valkey+replicated://127.0.0.1:" + std::to_string(primary.port()), options)
          .value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  // As in expect_all_room().
  EXPECT_TRUE(wait_until([&] {
    primary.pause();
    std::vector<Future<void>> calls;
    for (std::size_t i = 1; i < most_commands; ++i) calls.push_back(cache.set(key_of("k"), "v"));
    (void)cache.set(key_of("k"), "v", {}, {.timeout = 1ms}).get();
    const auto refused =
        std::count_if(calls.begin(), calls.end(), [](const auto& one) { return one.ready(); });
    primary.resume();
    for (auto& one : calls) (void)one.get();
    return refused == 0;
  }));
}

// One that has been cut off says so to every call for its slots: they wait beside the queues.
TEST(ClusterCrowdOfRefusals, ANodeForWhichTheClusterIsDown) {
  std::atomic<std::uint16_t> well_port{0};
  std::atomic<std::uint16_t> down_port{0};
  std::atomic<int> refusals{0};
  const auto map = [&] {
    return map_to(well_port, down_port);
  };
  const FakeServer well(answering([&](const Command& command) -> std::string {
    return command[0] == "CLUSTER" ? map() : bulk("v");
  }));
  const FakeServer down(answering([&](const Command& command) -> std::string {
    if (command[0] == "CLUSTER") return map();
    if (command[0] == "GET") ++refusals;
    return "-CLUSTERDOWN The cluster is down\r\n";
  }));
  well_port = well.port();
  down_port = down.port();
  auto options = patient();
  options.max_queued_commands = 400;
  const auto cache =
      ValkeyCache::open("valkey+cluster://127.0.0.1:" + std::to_string(well.port()), options)
          .value();
  const auto at_well = key_of("a");
  const auto at_down = key_of("b");
  ASSERT_LT(detail::key_slot(cache.wire_key(at_well)), 8192);
  ASSERT_GE(detail::key_slot(cache.wire_key(at_down)), 8192);
  EXPECT_EQ(cache.get(at_well).get().value(), Found("v"));
  std::vector<Future<Found>> waiting;
  const auto crowd = [&](int calls) {
    for (int i = 0; i < calls; ++i) waiting.push_back(cache.get(at_down, {.timeout = 1h}));
  };
  // Asked twice, it has refused once: the cache knows.
  crowd(1);
  ASSERT_TRUE(wait_until([&] { return refusals > 1; }));
  for (int i = 0; i < 200; ++i) {
    crowd(20);
    ASSERT_EQ(cache.get(at_well).get().value(), Found("v"));
  }
}

// Who is asked when all are to be is a question of the cache's own. It waits where calls wait whose
// node is not known, and is not refused with them.
TEST(ClusterCrowdOfRefusals, SlotsThatNobodyServes) {
  std::atomic<std::uint16_t> low_port{0};
  std::atomic<std::uint16_t> middle_port{0};
  const auto answers = answering([&](const Command& command) -> std::string {
    if (command[0] == "SCAN") return array({bulk("0"), array({})});
    if (command[0] != "CLUSTER") return bulk("v");
    return array({slots_at(0, 4095, low_port), slots_at(4096, 8191, middle_port)});
  });
  const FakeServer low(answers);
  const FakeServer middle(answers);
  low_port = low.port();
  middle_port = middle.port();
  auto options = patient();
  options.max_queued_commands = 400;
  const auto cache =
      ValkeyCache::open("valkey+cluster://127.0.0.1:" + std::to_string(low.port()), options)
          .value();
  const auto unserved = key_of("b");
  ASSERT_GE(detail::key_slot(cache.wire_key(unserved)), 8192);
  ASSERT_TRUE(ok(cache.clear().get()));
  std::vector<Future<Found>> waiting;
  for (int i = 0; i < 300; ++i) waiting.push_back(cache.get(unserved, {.timeout = 1h}));
  ASSERT_TRUE(wait_until([&] { return cache.stats().overloaded != 0; }));
  EXPECT_TRUE(ok(cache.clear().get()));
}

}  // namespace
