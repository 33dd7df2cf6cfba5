// A primary with a replica, as addresses or by sentinels: the primary is found, and found again.
#include <valkeycache/valkey_cache.hpp>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "support/valkey/sentinel.hpp"
#include "support/valkey/valkey_server.hpp"
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
  return CacheKey::raw({"replicated"}, text).value();
}

std::string address(const ValkeyServer& server) {
  return "127.0.0.1:" + std::to_string(server.port());
}

// As it says itself; empty while it ends connections, as one does that changes its role.
std::string role_of(const ValkeyServer& server) {
  try {
    return server.command({"ROLE"}).items.at(0).text;
  } catch (const std::runtime_error&) {
    return {};
  }
}

// Waits until both of them say so.
void follow(const ValkeyServer& replica, const ValkeyServer& primary) {
  replica.command({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
  ASSERT_TRUE(wait_until([&] {
    return replica.command({"INFO", "replication"}).text.find("master_link_status:up") !=
               std::string::npos &&
           !primary.command({"ROLE"}).items.at(2).items.empty();
  }));
}

class Replicated : public ::testing::Test {
 protected:
  void SetUp() override { follow(b_, a_); }
  ValkeyServer a_{{.config = {"repl-diskless-sync-delay 0"}}};
  ValkeyServer b_{{.config = {"repl-diskless-sync-delay 0"}}};
};

TEST_F(Replicated, ThePrimaryIsFoundFromEitherAddress) {
  for (const auto& uri :
       {"valkey+replicated://" + address(a_), "valkey+replicated://" + address(b_),
        "valkey+replicated://" + address(b_) + "," + address(a_)}) {
    const auto cache = ValkeyCache::open(uri, patient()).value();
    ASSERT_TRUE(ok(cache.set(key_of("k"), uri).get())) << uri;
    EXPECT_EQ(cache.get(key_of("k")).get().value(), Found(uri));
    EXPECT_EQ(cache.clear().get().value(), 1U);
  }
}

TEST_F(Replicated, ReadsGoToTheReplicaByChoice) {
  auto options = patient();
  options.read_from = ReadFrom::replica;
  const auto cache = ValkeyCache::open("valkey+replicated://" + address(a_), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  // While the replica answers it is read from: it alone counts those reads.
  const auto reads = [&] {
    const auto text = b_.command({"INFO", "commandstats"}).text;
    return text.find("cmdstat_get:") != std::string::npos;
  };
  EXPECT_TRUE(wait_until([&] {
    (void)cache.get(key_of("k")).get();
    return reads();
  }));
  EXPECT_TRUE(wait_until([&] { return cache.get(key_of("k")).get().value() == Found("v"); }));
  b_.kill();
  EXPECT_TRUE(wait_until([&] {
    const auto got = cache.get(key_of("k")).get();
    return got && *got == Found("v");
  }));
}

TEST_F(Replicated, ADemotedPrimaryIsNoticedByItsRefusal) {
  const auto cache =
      ValkeyCache::open("valkey+replicated://" + address(a_) + "," + address(b_), patient())
          .value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "1").get()));
  b_.command({"REPLICAOF", "NO", "ONE"});
  follow(a_, b_);
  ASSERT_TRUE(ok(cache.set(key_of("k"), "2").get()));
  EXPECT_EQ(b_.command({"GET", cache.wire_key(key_of("k"))}).text, "2");
}

TEST_F(Replicated, ALostPrimaryIsReplaced) {
  const auto cache =
      ValkeyCache::open("valkey+replicated://" + address(a_) + "," + address(b_), patient())
          .value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "1").get()));
  a_.kill();
  b_.command({"REPLICAOF", "NO", "ONE"});
  EXPECT_TRUE(wait_until([&] { return cache.set(key_of("k"), "2").get().has_value(); }));
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("2"));
}

// Before anybody's time is over.
TEST_F(Replicated, APrimaryThatHangsIsReplaced) {
  const auto cache =
      ValkeyCache::open("valkey+replicated://" + address(a_) + "," + address(b_), patient())
          .value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "1").get()));
  ASSERT_TRUE(wait_until([&] {
    return b_.command({"GET", cache.wire_key(key_of("k"))}).text == "1";
  }));
  a_.pause();
  auto waiting = cache.get(key_of("k"));
  b_.command({"REPLICAOF", "NO", "ONE"});
  EXPECT_EQ(waiting.get().value(), Found("1"));
  ASSERT_TRUE(ok(cache.set(key_of("k"), "2").get()));
  EXPECT_EQ(b_.command({"GET", cache.wire_key(key_of("k"))}).text, "2");
  a_.resume();
}

TEST_F(Replicated, SentinelsAreAskedAndAskedAgain) {
  const Sentinel sentinel(a_);
  const auto cache =
      ValkeyCache::open("valkey+sentinel://127.0.0.1:1," + sentinel.address() + "/main", patient())
          .value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "1").get()));
  sentinel.watch_closely(500ms);
  a_.kill();
  EXPECT_TRUE(wait_until([&] { return cache.set(key_of("k"), "2").get().has_value(); }));
  EXPECT_EQ(b_.command({"GET", cache.wire_key(key_of("k"))}).text, "2");
  // It comes back, follows, and is given its place again: the one before refuses writes.
  a_.start();
  ASSERT_TRUE(wait_until([&] {
    if (role_of(a_) == "master") return role_of(b_) == "slave";
    sentinel.ask_for_failover();  // which may come to nothing
    return false;
  }));
  // One that is on its way when connections are ended may be lost.
  ASSERT_TRUE(wait_until([&] { return cache.set(key_of("k"), "3").get().has_value(); }));
  EXPECT_EQ(a_.command({"GET", cache.wire_key(key_of("k"))}).text, "3");
}

}  // namespace
