// clear() and exports reach every primary that there is when they end, not only those that the
// cache has heard of: nothing tells it of slots whose keys it did not ask for.
#include <valkeycache/transfer.hpp>

#include <array>
#include <atomic>
#include <chrono>

#include "contract.hpp"
#include "support/valkey/cluster_map.hpp"
#include "support/valkey/fake_server.hpp"
#include "support/valkey/gate.hpp"
#include "support/valkey/valkey_cluster.hpp"
#include "valkey/cluster_slot.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

// All keys of one slot, which then moves to a node that is new, unseen by either cache.
TEST(ClusterWalk, ANodeThatNobodyToldOfIsFound) {
  constexpr std::size_t count = 100;
  ValkeyCluster cluster({.primaries = 1});
  const auto exporter = ValkeyCache::open(cluster.uri(), patient_options()).value();
  const auto cache = ValkeyCache::open(cluster.uri(), patient_options()).value();
  EXPECT_EQ(exporter.get(key_of("absent")).get().value(), std::nullopt);
  for (const auto& key : many_keys(count, "{slot}")) ASSERT_TRUE(ok(cache.set(key, "v").get()));
  const auto added = cluster.add_node();
  cluster.move(cluster.slot_of(cache.wire_key(key_of("{slot}0"))), 0, added);
  const auto entries_at = [&](std::size_t node) {
    return cluster.server(node).command({"DBSIZE"}).integer;
  };
  ASSERT_EQ(entries_at(0), 0);
  ASSERT_EQ(entries_at(added), static_cast<long>(count));

  const TemporaryFolder folder;
  const auto exported = export_entries(exporter, folder.path() + "/entries.ndjson");
  ASSERT_TRUE(ok(exported));
  EXPECT_EQ(exported->entries, count);
  EXPECT_EQ(cache.clear().get().value(), count);
  EXPECT_EQ(entries_at(added), 0);
  EXPECT_EQ(cache.stats().errors, 0U);
}

// Two nodes, of which the first serves all until it has been scanned; and a key on the second.
struct Handover {
  explicit Handover(std::string wire_key) : key(std::move(wire_key)) {
    ports[0] = first.port();
    ports[1] = second.port();
  }
  std::string map() const {
    ++asked;
    return map_to(ports[owner]);
  }
  [[nodiscard]] std::string uri() const {
    return "valkey+cluster://127.0.0.1:" + std::to_string(ports[0]);
  }
  const std::string key;
  std::array<std::atomic<std::uint16_t>, 2> ports{};
  std::atomic<std::size_t> owner{0};
  mutable std::atomic<int> asked{0};
  std::atomic<bool> knows{true};  // one can say who serves what
  FakeServer first{answering([this](const Command& command) -> std::string {
    if (command[0] == "CLUSTER") return knows ? map() : "-CLUSTERDOWN not now\r\n";
    if (command[0] != "SCAN") return ":0\r\n";
    owner = 1;
    return array({bulk("0"), array({})});
  })};
  FakeServer second{answering([this](const Command& command) -> std::string {
    if (command[0] == "CLUSTER") return knows ? map() : "-CLUSTERDOWN not now\r\n";
    if (command[0] == "SCAN") return array({bulk("0"), array({bulk(key)})});
    return ":1\r\n";
  })};
};

TEST(ClusterHandover, ClearGoesOnWithTheNewOwner) {
  auto options = patient_options();
  Handover nodes(options.prefix + "k");
  const auto cache = ValkeyCache::open(nodes.uri(), options).value();
  EXPECT_EQ(cache.clear().get().value(), 1U);
}

// Each of some that run at once asks for itself, or takes part in a question that came after it.
TEST(ClusterHandover, SeveralAtOnce) {
  auto options = patient_options();
  Handover nodes(options.prefix + "k");
  const auto cache = ValkeyCache::open(nodes.uri(), options).value();
  const auto began = std::chrono::steady_clock::now();
  std::vector<Future<std::uint64_t>> all;
  for (int i = 0; i < 10; ++i) all.push_back(cache.clear());
  for (auto& cleared : all) EXPECT_EQ(cleared.get().value(), 1U);
  // Ten times a second, whoever wants to know.
  const auto time = std::chrono::steady_clock::now() - began;
  EXPECT_LE(nodes.asked, 3 + time / std::chrono::milliseconds(100));
}

// A few at the end are told of, though they were no news when they went, and what came after them
// was nothing.
TEST(ClusterProgress, EndsWithAll) {
  const auto options = patient_options();
  const auto wire_key = options.prefix + "k";
  std::atomic<std::uint16_t> low{0};
  std::atomic<std::uint16_t> high{0};
  Gate erased;
  const auto node = [&](bool has_it) {
    return answering([&, has_it](const Command& command) -> std::string {
      if (command[0] == "CLUSTER") return map_to(low, high);
      if (command[0] == "DEL") return ":1\r\n";
      if (!has_it) erased.wait();
      return array(
          {bulk("0"), array(has_it ? std::vector{bulk(wire_key)} : std::vector<std::string>{})});
    });
  };
  const bool is_low = detail::key_slot(wire_key) < 8192;
  const FakeServer first(node(is_low));
  const FakeServer second(node(!is_low));
  low = first.port();
  high = second.port();
  const auto cache =
      ValkeyCache::open("valkey+cluster://127.0.0.1:" + std::to_string(low), options).value();
  std::atomic<std::uint64_t> told{0};
  auto cleared = cache.clear({.progress = [&](std::uint64_t removed) {
    told = removed;
  }});
  EXPECT_TRUE(wait_until([&] { return cache.stats().erased == 1; }));
  erased.open();
  EXPECT_EQ(cleared.get().value(), 1U);
  EXPECT_EQ(told, 1U);
}

// That all of them were reached is not claimed.
TEST(ClusterHandover, WhereNobodyCanSayWhoTheyAreItIsAnError) {
  auto options = patient_options();
  Handover nodes(options.prefix + "k");
  const auto cache = ValkeyCache::open(nodes.uri(), options).value();
  EXPECT_FALSE(cache.erase(key_of("absent")).get().value());
  nodes.knows = false;
  auto cleared = cache.clear({.timeout = std::chrono::milliseconds(500)});
  const auto outcome = cleared.get();
  ASSERT_TRUE(fails_with(outcome, {ErrorCode::timeout, ErrorCode::server_unavailable}));
  EXPECT_TRUE(outcome.error().retryable);
  nodes.knows = true;
  EXPECT_EQ(cache.clear().get().value(), 1U);
}

}  // namespace
