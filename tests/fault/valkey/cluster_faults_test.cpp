// What happens to clusters, under load: each call of CachedLlm is answered, no value is wrong, and
// a second after the cluster is well again all calls are.
#include "cluster_load.hpp"
#include "support/valkey/tcp_proxy.hpp"
#include "support/valkey/valkey_cluster.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

// Three primaries with a replica each. Every test leaves them so, though others may be primaries.
class ClusterFaults : public ::testing::Test {
 protected:
  static constexpr int node_timeout_ms = sanitized ? 3000 : 1000;
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<ValkeyCluster>(ValkeyClusterOptions{
        .replicas = 1, .node_timeout_ms = node_timeout_ms, .relayed_bus = true});
  }
  static void TearDownTestSuite() { cluster_.reset(); }
  static ValkeyCluster& cluster() { return *cluster_; }
  static std::uint16_t slot_of(const ClusterLoad& load, int i) {
    return cluster().slot_of(load.cache().wire_key(key_of("load" + std::to_string(i))));
  }
  // Of 60 keys some are there.
  static std::size_t some_primary() { return cluster().owners().at(0); }
  // Nobody takes over from anybody for as long as this lives, however busy the machine is.
  class NoFailover {
   public:
    NoFailover() { set_node_timeout(600'000); }
    ~NoFailover() { set_node_timeout(node_timeout_ms); }
    NoFailover(const NoFailover&) = delete;
    NoFailover& operator=(const NoFailover&) = delete;

   private:
    static void set_node_timeout(int milliseconds) {
      for (std::size_t i = 0; i < cluster().size(); ++i) {
        if (!cluster().alive(i)) continue;
        cluster().server(i).command(
            {"CONFIG", "SET", "cluster-node-timeout", std::to_string(milliseconds)});
      }
    }
  };

 private:
  static inline std::unique_ptr<ValkeyCluster> cluster_;
};

TEST_F(ClusterFaults, APrimaryDies) {
  auto options = hurried();
  options.near_cache.max_bytes = 1 << 20;
  const auto victim = some_primary();
  ClusterLoad load(cluster().uri(victim), options);  // it is the seed, too
  load.go_on(50);
  cluster().kill(victim);
  load.expect_recovery_with(cluster());
  cluster().await_order();
  load.go_on(50);
  load.expect_nothing_wrong();
  load.expect_coherence(cluster().uri());
  cluster().start_again(victim);
}

// Nobody's time has to be over before it is noticed. It wakes with what it took for its own, and
// commands in its sockets.
TEST_F(ClusterFaults, APrimaryHangsAndComesBack) {
  const auto victim = some_primary();
  auto options = hurried();
  options.command_timeout = a_moment;
  ClusterLoad load(cluster().uri(victim), options);
  load.go_on(50);
  cluster().server(victim).pause();
  load.expect_recovery_with(cluster(), victim);
  load.go_on(50);
  cluster().server(victim).resume();
  cluster().await_order();
  EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  load.go_on(50);
  load.expect_nothing_wrong();
}

// It still answers, as long as it thinks that it is a primary, and then that the cluster is down.
TEST_F(ClusterFaults, APrimaryIsCutOffFromTheOthers) {
  const auto outcast = some_primary();
  ClusterLoad load(cluster().uri(outcast), hurried());
  load.go_on(50);
  cluster().isolate(outcast);
  auto observer = cluster().server(outcast).connect();
  std::string said;
  const auto key = load.cache().wire_key(key_of("load0"));
  ASSERT_TRUE(wait_until([&] {
    said = observer.command({"GET", key}).text;
    return said.starts_with("CLUSTERDOWN");
  })) << said;
  load.expect_recovery_with(cluster(), outcast);
  load.go_on(50);
  cluster().rejoin();
  cluster().await_order();
  EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  load.go_on(50);
  load.expect_nothing_wrong();
}

TEST_F(ClusterFaults, SlotsMove) {
  const NoFailover none;
  auto options = patient();
  options.command_timeout = 4s;  // not long enough to wait for a look without a cause
  ClusterLoad load(cluster().uri(), options);
  load.go_on(50);
  const auto owners = cluster().owners();
  for (int i = 0; i < 10; ++i) {
    const auto slot = slot_of(load, i);
    const auto from = cluster().owner_of(slot).value();
    const auto to = from == owners[0] ? owners[1] : owners[0];
    cluster().begin_move(slot, from, to);
    load.go_on(5);
    while (!cluster().move_keys(slot, from, to, 1)) load.go_on(1);
    cluster().end_move(slot, from, to);
  }
  EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  load.stop();
  EXPECT_EQ(load.failed(), 0) << "a slot on the move is no failure";
  load.expect_nothing_wrong();
}

// Of each prompt there is one lease, on whatever node.
TEST_F(ClusterFaults, LeasesHoldWhileSlotsMove) {
  const NoFailover none;
  constexpr int prompts = 12;
  std::atomic<int> asked{0};
  const auto model =
      make_text_llm({.model = "slow-1", .scope = "local"}, [&](const ChatRequest& request) {
        ++asked;
        std::this_thread::sleep_for(20ms);  // as models do
        return request.as_triple().value().prompt;
      });
  CachedLlmOptions options;
  options.advanced.connect_timeout = patience;
  options.advanced.command_timeout = patience;
  options.advanced.lease = patience;
  const auto cache = ValkeyCache::open(cluster().uri(), patient()).value();
  const auto other = ValkeyCache::open(cluster().uri(), patient()).value();
  const CachedLlm one(cache, model, options);
  const CachedLlm two(other, model, options);
  const auto owners = cluster().owners();
  for (int i = 0; i < prompts; ++i) {
    const auto prompt = "leased " + std::to_string(i);
    auto first = one.ask(prompt);
    auto second = two.ask(prompt);
    const auto answer = first.get().value();
    EXPECT_EQ(second.get().value().response, prompt);
    EXPECT_EQ(answer.response, prompt);
    ASSERT_TRUE(ok(cache.flush(patience).get()));
    ASSERT_TRUE(ok(other.flush(patience).get()));
    const auto slot = cluster().slot_of(cache.wire_key(answer.key.value()));
    const auto from = cluster().owner_of(slot).value();
    cluster().move(slot, from, from == owners[0] ? owners[1] : owners[0]);
    EXPECT_TRUE(one.ask(prompt).get().value().cached);
  }
  EXPECT_EQ(asked, prompts);
}

TEST_F(ClusterFaults, ANodeComesAndAnotherOneGoes) {
  const NoFailover none;
  ClusterLoad load(cluster().uri(), hurried());
  load.go_on(20);
  const auto added = cluster().add_node();
  std::map<std::uint16_t, std::size_t> owners;
  for (int i = 0; i < 60; i += 10) {
    const auto slot = slot_of(load, i);
    owners[slot] = cluster().owner_of(slot).value();
  }
  for (const auto& [slot, owner] : owners) cluster().move(slot, owner, added);
  load.go_on(20);
  EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  for (const auto& [slot, owner] : owners) cluster().move(slot, added, owner);
  EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  cluster().remove_node(added);
  load.expect_recovery_with(cluster());
  load.go_on(20);
  load.expect_nothing_wrong();
}

// One by one, as an upgrade does it. Who sleeps through all of it has the seed's name left.
TEST_F(ClusterFaults, AllAddressesAreReplaced) {
  TcpProxy name(cluster().server(some_primary()).port());
  const auto asleep =
      ValkeyCache::open("valkey+cluster://127.0.0.1:" + std::to_string(name.port()), patient())
          .value();
  ASSERT_TRUE(ok(asleep.set(key_of("kept"), "v").get()));
  ClusterLoad load(cluster().uri(), hurried());
  load.go_on(50);
  std::vector<std::size_t> old;
  for (std::size_t i = 0; i < cluster().size(); ++i) {
    if (cluster().alive(i)) old.push_back(i);
  }
  for (const auto primary : cluster().owners()) {
    const auto heir = cluster().add_replica(primary);
    cluster().promote(heir);
    cluster().add_replica(heir);
  }
  for (const auto node : old) cluster().remove_node(node);
  load.expect_recovery_with(cluster());
  name.lead_to(cluster().server(some_primary()).port());
  EXPECT_EQ(asleep.get(key_of("kept")).get().value(), Found("v"));
  load.go_on(50);
  load.expect_nothing_wrong();
}

// Nobody takes over: what it serves is not to be had, and the rest is as quick as ever.
TEST_F(ClusterFaults, ANodeThatHangsDelaysNobodyElse) {
  const NoFailover none;
  const auto hung = some_primary();
  auto options = hurried();
  options.command_timeout = patience;
  const auto cache = ValkeyCache::open(cluster().uri(), options).value();
  std::vector<CacheKey> there;
  std::vector<CacheKey> elsewhere;
  for (int i = 0; i < 60; ++i) {
    const auto key = key_of("hang" + std::to_string(i));
    ASSERT_TRUE(ok(cache.set(key, "v").get()));
    const auto owner = cluster().owner_of(cluster().slot_of(cache.wire_key(key))).value();
    (owner == hung ? there : elsewhere).push_back(key);
  }
  ASSERT_FALSE(there.empty());
  cluster().server(hung).pause();
  std::vector<Future<Found>> waiting;
  for (const auto& key : there) waiting.push_back(cache.get(key));
  for (const auto& key : elsewhere) EXPECT_EQ(cache.get(key).get().value(), Found("v"));
  EXPECT_TRUE(std::none_of(waiting.begin(), waiting.end(), [](auto& f) { return f.ready(); }));
  EXPECT_TRUE(fails_with(cache.get(there[0], {.timeout = 20ms}).get(), ErrorCode::timeout));
  auto all = cache.get(elsewhere).get().value();
  for (const auto& found : all) EXPECT_EQ(found.value(), Found("v"));
  cluster().server(hung).resume();
  for (auto& got : waiting) EXPECT_EQ(got.get().value(), Found("v"));
}

// In a batch each key has its own outcome: those of the node that hangs run out of time.
TEST_F(ClusterFaults, ANodeThatHangsFailsItsOwnPartOfABatch) {
  const NoFailover none;
  const auto hung = some_primary();
  auto options = patient();
  options.prefix = "batches";
  const auto cache = ValkeyCache::open(cluster().uri(), options).value();
  std::vector<CacheKey> keys;
  std::vector<KeyValue> entries;
  std::vector<bool> hangs;
  for (int i = 0; i < 60; ++i) {
    keys.push_back(key_of("batch" + std::to_string(i)));
    entries.push_back({.key = keys.back(), .value = std::to_string(i)});
    hangs.push_back(cluster().owner_of(cluster().slot_of(cache.wire_key(keys.back()))) == hung);
  }
  ASSERT_NE(std::count(hangs.begin(), hangs.end(), true), 0);
  for (const auto& stored : cache.set(entries).get().value()) ASSERT_TRUE(ok(stored));
  cluster().server(hung).pause();
  const CallOptions in_time{.timeout = sanitized ? 6s : 2s};
  auto getting = cache.get(keys, in_time);
  auto setting = cache.set(entries, in_time);
  const auto found = getting.get().value();
  const auto stored = setting.get().value();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (hangs[i]) {
      EXPECT_TRUE(fails_with(found[i], ErrorCode::timeout)) << i;
      EXPECT_TRUE(fails_with(stored[i], ErrorCode::timeout)) << i;
      EXPECT_TRUE(stored[i].error().maybe_applied) << i;
    } else {
      EXPECT_EQ(found[i].value(), Found(std::to_string(i)));
      EXPECT_TRUE(ok(stored[i])) << i;
    }
  }
  cluster().server(hung).resume();
  for (const auto& each : cache.get(keys).get().value()) EXPECT_TRUE(ok(each));
}

}  // namespace
