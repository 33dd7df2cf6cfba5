// clear() and exports while slots move, and where nobody says who serves what.
#include <valkeycache/transfer.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "contract.hpp"
#include "support/valkey/cluster_map.hpp"
#include "support/valkey/fake_server.hpp"
#include "support/valkey/valkey_cluster.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

std::string cluster_at(std::uint16_t port) {
  return "valkey+cluster://127.0.0.1:" + std::to_string(port);
}

Result<ExportReport> export_to_nowhere(const ValkeyCache& cache) {
  const TemporaryFolder folder;
  return export_entries(cache, folder.path() + "/entries.ndjson");
}

// --- as scripted servers tell it ---

// Two nodes without entries that exchange their parts of the slots at each of the first so many
// questions. No two maps are the same: an answer that is lost is a change that is seen later.
struct Restless {
  explicit Restless(int changes) : changes_left(changes) {
    ports[0] = nodes[0].port();
    ports[1] = nodes[1].port();
  }
  std::string answer(const Command& command) {
    if (command[0] == "SCAN") return array({bulk("0"), array({})});
    auto left = changes_left.load();
    while (left > 0 && !changes_left.compare_exchange_weak(left, left - 1)) {
    }
    const auto rest = std::max(left - 1, 0);
    const std::size_t low = rest % 2 == 0 ? 0 : 1;
    const int border = 8191 - rest;
    return array({slots_at(0, border, ports[low]), slots_at(border + 1, 16383, ports[1 - low])});
  }
  std::atomic<int> changes_left;
  std::array<std::atomic<std::uint16_t>, 2> ports{};
  std::array<FakeServer, 2> nodes{
      FakeServer(answering([this](const Command& command) { return answer(command); })),
      FakeServer(answering([this](const Command& command) { return answer(command); }))};
};

constexpr int many_changes = 14;

TEST(ClusterUnrest, ClearGoesOnUntilItIsOver) {
  Restless cluster(many_changes);
  const auto cache = ValkeyCache::open(cluster_at(cluster.ports[0]), patient_options()).value();
  EXPECT_TRUE(ok(cache.clear().get()));
  EXPECT_EQ(cluster.changes_left, 0);
}

TEST(ClusterUnrest, AnExportGoesOnUntilItIsOver) {
  Restless cluster(many_changes);
  const auto cache = ValkeyCache::open(cluster_at(cluster.ports[0]), patient_options()).value();
  EXPECT_TRUE(ok(export_to_nowhere(cache)));
  EXPECT_EQ(cluster.changes_left, 0);
}

// From the first SCAN on it does not say who serves what.
struct Forgetful {
  explicit Forgetful(std::string what_it_says) : refusal(std::move(what_it_says)) {
    port = node.port();
  }
  const std::string refusal;
  std::atomic<bool> knows{true};
  std::atomic<bool> forgot{false};
  std::atomic<std::uint16_t> port{0};
  FakeServer node{answering([this](const Command& command) -> std::string {
    if (command[0] == "CLUSTER") return knows ? map_to(port) : refusal;
    if (!forgot.exchange(true)) knows = false;
    return array({bulk("0"), array({})});
  })};
};

// Of a last question that nobody answers in its time, and another one.
void expect_second_question(const std::function<bool(const ValkeyCache&)>& job) {
  Forgetful cluster("-CLUSTERDOWN not now\r\n");
  auto options = patient_options();
  options.connect_timeout = std::chrono::milliseconds(1000);
  options.command_timeout = std::chrono::milliseconds(300);
  const auto cache = ValkeyCache::open(cluster_at(cluster.port), options).value();
  std::thread remembers([&] {
    EXPECT_TRUE(wait_until([&] {
      const auto stats = cache.stats();
      return stats.errors + stats.timeouts != 0;
    }));
    cluster.knows = true;
  });
  EXPECT_TRUE(job(cache));
  remembers.join();
}

TEST(ClusterUnrest, ClearAsksTwiceWhetherAllIsDone) {
  expect_second_question([](const ValkeyCache& cache) { return ok(cache.clear().get()); });
}

TEST(ClusterUnrest, AnExportAsksTwiceWhetherAllIsDone) {
  expect_second_question([](const ValkeyCache& cache) { return ok(export_to_nowhere(cache)); });
}

TEST(ClusterRefusal, AnErrorEndsTheJobAtOnce) {
  Forgetful cluster("-ERR unknown subcommand\r\n");
  auto options = patient_options();
  const auto cache = ValkeyCache::open(cluster_at(cluster.port), options).value();
  const auto began = std::chrono::steady_clock::now();
  const auto cleared = cache.clear().get();
  ASSERT_TRUE(fails_with(cleared, ErrorCode::server_error));
  EXPECT_FALSE(cleared.error().retryable);
  EXPECT_LT(std::chrono::steady_clock::now() - began, patience) << "less than one time-out";
}

// --- real ones ---

TEST(ClusterRefusal, WithoutPermissionItIsSaidAtOnce) {
  const ValkeyCluster cluster({.primaries = 1});
  const auto& server = cluster.server(0);
  server.command({"ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all"});
  ValkeyCacheOptions options;  // with its own time-outs
  options.username = "app";
  options.password = "secret";
  const auto cache = ValkeyCache::open(cluster.uri(), options).value();
  EXPECT_TRUE(wait_until([&] { return cache.get(key_of("absent")).get().has_value(); }));
  server.command({"ACL", "SETUSER", "app", "-cluster|slots"});
  // Less than what they wait for who does not answer.
  const auto at_once = options.connect_timeout + 5 * options.command_timeout;
  auto began = std::chrono::steady_clock::now();
  const auto cleared = cache.clear().get();
  EXPECT_LT(std::chrono::steady_clock::now() - began, at_once);
  ASSERT_TRUE(fails_with(cleared, ErrorCode::permission));
  EXPECT_FALSE(cleared.error().retryable);
  began = std::chrono::steady_clock::now();
  EXPECT_TRUE(fails_with(export_to_nowhere(cache), ErrorCode::permission));
  EXPECT_LT(std::chrono::steady_clock::now() - began, at_once);
  options.command_timeout = patience;
  const auto opened = ValkeyCache::open(cluster.uri(), options).value();
  EXPECT_TRUE(fails_with(opened.get(key_of("absent")).get(), ErrorCode::permission));
}

std::int64_t entries_at(const ValkeyCluster& cluster, std::size_t node) {
  return cluster.server(node).command({"DBSIZE"}).integer;
}

void store(const ValkeyCache& cache, const std::vector<CacheKey>& keys) {
  std::vector<Future<void>> stores;
  for (const auto& key : keys) stores.push_back(cache.set(key, "v"));
  for (auto& stored : stores) ASSERT_TRUE(ok(stored.get()));
}

// Its new owner has no slots yet, and CLUSTER SLOTS does not name it.
TEST(ClusterReshard, ClearOfASlotThatIsHalfMoved) {
  constexpr std::size_t count = 100;
  ValkeyCluster cluster({.primaries = 1});
  const auto added = cluster.add_node();
  const auto cache = ValkeyCache::open(cluster.uri(), patient_options()).value();
  const auto keys = many_keys(count, "{slot}");
  store(cache, keys);
  const auto slot = cluster.slot_of(cache.wire_key(keys[0]));
  cluster.begin_move(slot, 0, added);
  ASSERT_FALSE(cluster.move_keys(slot, 0, added, count / 2));
  ASSERT_EQ(entries_at(cluster, added), static_cast<long>(count / 2));
  EXPECT_EQ(cache.clear().get().value(), count);
  EXPECT_EQ(entries_at(cluster, 0), 0);
  EXPECT_EQ(entries_at(cluster, added), 0);
  EXPECT_EQ(cache.stats().errors, 0U);
}

// Behind the scan: to a node that has been scanned, while the map stays as it is.
TEST(ClusterReshard, ClearOfKeysThatMoveMeanwhile) {
  constexpr std::size_t count = 1000;
  const ValkeyCluster cluster({.primaries = 2});
  const auto cache = ValkeyCache::open(cluster.uri(), patient_options()).value();
  const auto keys = many_keys(count, "{slot}");
  store(cache, keys);
  const auto slot = cluster.slot_of(cache.wire_key(keys[0]));
  const auto from = cluster.owner_of(slot).value();
  const auto to = 1 - from;
  bool moved = false;
  auto cleared = cache.clear({.progress = [&](std::uint64_t) {
    if (std::exchange(moved, true)) return;
    cluster.begin_move(slot, from, to);
    cluster.move_keys(slot, from, to, count / 2);
  }});
  EXPECT_EQ(cleared.get().value(), count);
  EXPECT_TRUE(moved);
  EXPECT_EQ(entries_at(cluster, from), 0);
  EXPECT_EQ(entries_at(cluster, to), 0);
}

class ClusterReshardUnderWay : public testing::Test {
 protected:
  static constexpr std::size_t count = 2000;
  static constexpr int slots = 60;

  void SetUp() override { store(cache, keys); }
  // Of slots one after the other, while the job runs.
  void move_slots_during(const std::function<void()>& job) {
    std::atomic<int> moved{0};
    std::thread mover([&] {
      for (; moved < slots; ++moved) {
        const auto slot = cluster.slot_of(cache.wire_key(keys[static_cast<std::size_t>(moved)]));
        const auto from = cluster.owner_of(slot).value();
        cluster.move(slot, from, (from + 1) % 3);
      }
    });
    EXPECT_TRUE(wait_until([&] { return moved > 0; }));
    job();
    RecordProperty("moved_meanwhile", moved);
    mover.join();
  }

  const ValkeyCluster cluster;
  const ValkeyCache cache = ValkeyCache::open(cluster.uri(), patient_options()).value();
  const std::vector<CacheKey> keys = many_keys(count);
};

TEST_F(ClusterReshardUnderWay, ClearLeavesNothing) {
  move_slots_during([&] { EXPECT_EQ(cache.clear().get().value(), count); });
  for (std::size_t i = 0; i < cluster.size(); ++i) EXPECT_EQ(entries_at(cluster, i), 0);
}

TEST_F(ClusterReshardUnderWay, AnExportHasEverything) {
  move_slots_during([&] {
    const auto exported = export_to_nowhere(cache);
    ASSERT_TRUE(ok(exported));
    EXPECT_EQ(exported->entries, count);
  });
}

}  // namespace
