// What happens to a primary and its replica, under load: each call of CachedLlm is answered, no
// value is wrong, and a second after there is a primary again all calls are well.
#include <stdexcept>

#include "cache_load.hpp"
#include "support/valkey/sentinel.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class Failover : public ::testing::Test {
 protected:
  void SetUp() override {
    b_.command({"REPLICAOF", "127.0.0.1", std::to_string(a_.port())});
    // By the word of either: one knows before the other does.
    const auto says = [](const ValkeyServer& server, const char* text) {
      return server.command({"INFO", "replication"}).text.find(text) != std::string::npos;
    };
    ASSERT_TRUE(
        wait_until([&] { return says(b_, "master_link_status:up") && says(a_, "state=online"); }));
  }
  static std::string address(const ValkeyServer& server) {
    return "127.0.0.1:" + std::to_string(server.port());
  }
  [[nodiscard]] std::string by_addresses() const {
    return "valkey+replicated://" + address(a_) + "," + address(b_);
  }
  static std::string by(const Sentinel& sentinel) {
    return "valkey+sentinel://" + sentinel.address() + "/main";
  }
  static ValkeyCacheOptions with_near_cache() {
    auto options = hurried();
    options.near_cache.max_bytes = 1 << 20;
    return options;
  }
  // As it says itself; empty while it ends connections, as one does that changes its role.
  static std::string role_of(const ValkeyServer& server) {
    try {
      return server.command({"ROLE"}).items.at(0).text;
    } catch (const std::runtime_error&) {
      return {};
    }
  }
  // By somebody whose connection may be ended, as by a change of roles.
  static bool takes(const ValkeyServer& server, const std::string& key, const std::string& value) {
    try {
      server.command({"SET", key, value});
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  }
  void expect_recovery(CacheLoad& load) const {
    load.expect_recovery_after(
        [&](const auto& key, const auto& value) { return takes(b_, key, value); });
  }
  // Its clients are to ask it, so it has to know.
  void expect_recovery(CacheLoad& load, const Sentinel& sentinel) const {
    ASSERT_TRUE(wait_until([&] { return sentinel.primary_port() == b_.port(); }));
    expect_recovery(load);
  }

  static constexpr auto until_fallen = sanitized ? 2000ms : 500ms;
  ValkeyServer a_{{.config = {"repl-diskless-sync-delay 0"}}};
  ValkeyServer b_{{.config = {"repl-diskless-sync-delay 0"}}};
};

TEST_F(Failover, AGivenPrimaryDies) {
  CacheLoad load(by_addresses(), with_near_cache());
  load.go_on(50);
  a_.kill();
  load.go_on(2);  // while there is none
  b_.command({"REPLICAOF", "NO", "ONE"});
  expect_recovery(load);
  load.go_on(50);
  load.expect_nothing_wrong();
  load.expect_coherence("valkey+replicated://" + address(b_));
}

TEST_F(Failover, AGivenPrimaryHangs) {
  CacheLoad load(by_addresses(), hurried());
  load.go_on(50);
  a_.pause();
  load.go_on(2);
  b_.command({"REPLICAOF", "NO", "ONE"});
  expect_recovery(load);
  load.go_on(50);
  load.expect_nothing_wrong();
  a_.resume();
}

// As before an upgrade: nothing dies.
TEST_F(Failover, APrimaryAndItsReplicaChangePlaces) {
  CacheLoad load(by_addresses(), with_near_cache());
  load.go_on(50);
  a_.command({"FAILOVER", "TO", "127.0.0.1", std::to_string(b_.port())});
  ASSERT_TRUE(wait_until([&] { return role_of(b_) == "master" && role_of(a_) == "slave"; }));
  expect_recovery(load);
  load.go_on(50);
  load.expect_nothing_wrong();
  load.expect_coherence(by_addresses());
}

TEST_F(Failover, APrimaryOfSentinelsDies) {
  const Sentinel sentinel(a_);
  CacheLoad load(by(sentinel), with_near_cache());
  load.go_on(50);
  sentinel.watch_closely(until_fallen);
  a_.kill();
  expect_recovery(load, sentinel);
  load.go_on(50);
  load.expect_nothing_wrong();
  load.expect_coherence(by(sentinel));
}

TEST_F(Failover, APrimaryOfSentinelsHangsAndComesBack) {
  const Sentinel sentinel(a_);
  CacheLoad load(by(sentinel), hurried());
  load.go_on(50);
  sentinel.watch_closely(until_fallen);
  a_.pause();
  expect_recovery(load, sentinel);
  load.go_on(50);
  // It wakes as a primary, with calls in its sockets, and is told to follow.
  a_.resume();
  ASSERT_TRUE(wait_until([&] { return role_of(a_) == "slave"; }));
  EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  load.go_on(50);
  load.expect_nothing_wrong();
}

}  // namespace
