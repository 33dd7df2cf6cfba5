// What is asked of nodes that hang or are gone must not take the room of all: calls to the others
// go on.
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
  // The crowd has been told who waits and who does not.
  void await_room() const {
    ASSERT_TRUE(wait_until([&] { return cache_.stats().in_flight < most_commands; }))
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
  static ValkeyCacheOptions limited() {
    auto options = patient();
    options.max_queued_commands = most_commands;
    options.max_queued_bytes = most_bytes;
    return options;
  }

  const ValkeyCache cache_ = ValkeyCache::open(cluster().uri(2), limited()).value();
  std::vector<CacheKey> keys_[3];

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

TEST_F(ClusterCrowd, LargeValuesForANodeThatHangs) {
  const std::string large(std::size_t{128} << 10, 'x');
  cluster().server(0).pause();
  std::vector<Future<void>> waiting;
  const auto crowd = [&](std::size_t calls) {
    for (std::size_t i = 0; i < calls; i += 25) waiting.push_back(cache_.set(keys_[0][1], large));
  };
  crowd(2 * 25 * (most_bytes / large.size()));
  // Beside the crowd's there is room for as large ones.
  EXPECT_TRUE(wait_until([&] { return cache_.set(keys_[1][1], large).get().has_value(); }));
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

// One that has been cut off says so to every call for its slots: they wait beside the queues.
TEST(ClusterCrowdOfRefusals, ANodeForWhichTheClusterIsDown) {
  std::atomic<std::uint16_t> well_port{0};
  std::atomic<std::uint16_t> down_port{0};
  const auto map = [&] {
    return map_to(well_port, down_port);
  };
  const FakeServer well(answering([&](const Command& command) -> std::string {
    return command[0] == "CLUSTER" ? map() : bulk("v");
  }));
  const FakeServer down(answering([&](const Command& command) -> std::string {
    return command[0] == "CLUSTER" ? map() : "-CLUSTERDOWN The cluster is down\r\n";
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
  for (int i = 0; i < 200; ++i) {
    crowd(20);
    ASSERT_EQ(cache.get(at_well).get().value(), Found("v"));
  }
}

}  // namespace
