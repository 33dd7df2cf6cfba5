// The near cache over a real server: what others change is seen, and what cannot be known to be
// fresh is not served.
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "contract.hpp"
#include "support/valkey/monitor.hpp"
#include "support/valkey/tcp_proxy.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

using Found = std::optional<std::string>;

ValkeyCacheOptions near_options() {
  auto options = patient_options();
  options.near_cache.max_bytes = std::size_t{1} << 20;
  // Long, where a test does not ask for less: nothing here may depend on how busy the machine is.
  options.near_cache.max_age = 10min;
  options.near_cache.heartbeat = 10min;
  options.reconnect_base = 1ms;
  options.reconnect_cap = 20ms;
  return options;
}

class Near : public testing::Test {
 protected:
  [[nodiscard]] static ValkeyCache open(const std::string& uri,
                                        ValkeyCacheOptions options = near_options()) {
    auto cache = ValkeyCache::open(uri, std::move(options)).value();
    EXPECT_TRUE(ok(cache.ping().get()));  // connected: from now on gets fill
    return cache;
  }
  static Found get(const ValkeyCache& cache, const CacheKey& key) {
    auto found = cache.get(key).get();
    EXPECT_TRUE(ok(found));
    return found ? *found : std::nullopt;
  }
  // Gets it, and says whether it came from the tier.
  static bool is_near(const ValkeyCache& cache, const CacheKey& key) {
    const auto before = cache.stats().near_hits;
    (void)get(cache, key);
    return cache.stats().near_hits > before;
  }
  // Has it in the tier; for a key that is in Valkey.
  static void warm(const ValkeyCache& cache, const CacheKey& key) {
    ASSERT_TRUE(wait_until([&] { return is_near(cache, key); }));
  }
  // Another program's command: it shares no code with the library.
  RespReply other(const std::vector<std::string>& command) const { return server.command(command); }

  ValkeyServer& server = shared_server();
  const CacheKey key = key_of("k");
};

TEST_F(Near, TheSecondGetCostsNoCommand) {
  const auto cache = open(server.uri());
  other({"SET", cache.wire_key(key), "v", "EX", "1000"});
  Monitor monitor(server);
  EXPECT_EQ(get(cache, key), "v");
  EXPECT_EQ(get(cache, key), "v");
  EXPECT_EQ(get(cache, key), "v");
  EXPECT_THAT(monitor.lines(),
              testing::ElementsAre("GET " + cache.wire_key(key), "PTTL " + cache.wire_key(key)));
  const auto stats = cache.stats();
  EXPECT_EQ(stats.near_coherence, NearCoherence::tracking);
  EXPECT_EQ(stats.near_hits, 2U);
  EXPECT_EQ(stats.near_misses, 1U);
  EXPECT_EQ(stats.near_entries, 1U);
  EXPECT_GT(stats.near_bytes, 0U);
  EXPECT_EQ(stats.gets, 3U);
  EXPECT_EQ(stats.hits, 3U);
  EXPECT_EQ(stats.misses, 0U);
}

TEST_F(Near, IsOffUnlessAskedFor) {
  const auto cache = open(server.uri(), patient_options());
  other({"SET", cache.wire_key(key), "v"});
  Monitor monitor(server);
  EXPECT_EQ(get(cache, key), "v");
  EXPECT_EQ(get(cache, key), "v");
  EXPECT_THAT(monitor.lines(),
              testing::ElementsAre("GET " + cache.wire_key(key), "GET " + cache.wire_key(key)));
  EXPECT_EQ(cache.stats().near_coherence, NearCoherence::off);
  EXPECT_FALSE(cache.find_near(key));
}

TEST_F(Near, MemoryCachesHaveNone) {
  const auto cache = open("memory://near");
  ASSERT_TRUE(ok(cache.set(key, "v").get()));
  EXPECT_EQ(get(cache, key), "v");
  EXPECT_EQ(get(cache, key), "v");
  EXPECT_EQ(cache.stats().near_coherence, NearCoherence::off);
  EXPECT_EQ(cache.stats().near_hits, 0U);
}

TEST_F(Near, AbsenceIsNotKept) {
  const auto cache = open(server.uri());
  EXPECT_EQ(get(cache, key), std::nullopt);
  other({"SET", cache.wire_key(key), "v"});
  EXPECT_EQ(get(cache, key), "v");
}

TEST_F(Near, AnEmptyValueAndOneWithEveryByteAreKeptAsTheyAre) {
  const auto cache = open(server.uri());
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  ASSERT_TRUE(ok(cache.set(key, bytes).get()));
  ASSERT_TRUE(ok(cache.set(key_of("empty"), "").get()));
  warm(cache, key);
  warm(cache, key_of("empty"));
  EXPECT_EQ(get(cache, key), bytes);
  EXPECT_EQ(get(cache, key_of("empty")), "");
}

// --- what others change ------------------------------------------------------------------------

TEST_F(Near, EveryChangeByAnotherProgramIsSeen) {
  const auto cache = open(server.uri());
  const auto wire_key = cache.wire_key(key);
  struct Change {
    std::vector<std::string> command;
    Found afterwards;
  };
  const std::vector<Change> changes{
      {{"SET", wire_key, "new"}, "new"},
      {{"APPEND", wire_key, "er"}, "newer"},
      {{"DEL", wire_key}, std::nullopt},
      {{"SETEX", wire_key, "1000", "again"}, "again"},
      {{"PEXPIRE", wire_key, "1"}, std::nullopt},
      {{"SET", wire_key, "third"}, "third"},
      {{"RENAME", wire_key, wire_key + "2"}, std::nullopt},
      {{"RENAME", wire_key + "2", wire_key}, "third"},
      {{"EVAL", "return redis.call('SET', KEYS[1], 'by script')", "1", wire_key}, "by script"},
      {{"UNLINK", wire_key}, std::nullopt},
  };
  other({"SET", wire_key, "first"});
  for (const auto& change : changes) {
    SCOPED_TRACE(change.command[0]);
    if (get(cache, key)) warm(cache, key);
    other(change.command);
    EXPECT_TRUE(wait_until([&] { return get(cache, key) == change.afterwards; }));
  }
}

TEST_F(Near, FlushingTheServerEmptiesTheTier) {
  ValkeyServer own;
  const auto cache = open(own.uri());
  for (const auto* command : {"FLUSHALL", "FLUSHDB"}) {
    own.command({"SET", cache.wire_key(key), "v"});
    ASSERT_TRUE(wait_until([&] { return get(cache, key) == "v"; }));
    warm(cache, key);
    own.command({command});
    EXPECT_TRUE(wait_until([&] { return !get(cache, key).has_value(); })) << command;
  }
}

// What the server has to evict, or to forget that it tracks, it tells of as well.
TEST_F(Near, AServerThatForgetsWhoReadWhatSaysSo) {
  ValkeyServer own({.config = {"tracking-table-max-keys 1"}});
  const auto cache = open(own.uri());
  for (const auto& each : many_keys(20)) own.command({"SET", cache.wire_key(each), "v"});
  for (const auto& each : many_keys(20)) (void)get(cache, each);
  EXPECT_TRUE(wait_until([&] { return cache.stats().near_entries <= 1; }));
}

TEST_F(Near, OtherProgramsKeysAreNoConcernOfOurs) {
  const auto cache = open(server.uri());
  ASSERT_TRUE(ok(cache.set(key, "v").get()));
  warm(cache, key);
  other({"SET", "k", "x"});
  other({"SET", "other:" + cache.wire_key(key), "x"});
  ASSERT_TRUE(ok(cache.ping().get()));  // behind any push about it
  EXPECT_TRUE(is_near(cache, key));
}

// Two caches of this library, each with a tier.
TEST_F(Near, TwoTiersAgree) {
  const auto a = open(server.uri());
  const auto b = open(server.uri());
  for (int i = 0; i < 50; ++i) {
    const auto& writer = i % 2 == 0 ? a : b;
    const auto value = std::to_string(i);
    ASSERT_TRUE(ok(writer.set(key, value).get()));
    EXPECT_EQ(get(writer, key), value) << "at once where it was written";
    for (const auto& cache : {a, b}) {
      EXPECT_TRUE(wait_until([&] { return get(cache, key) == value; }));
      warm(cache, key);
    }
  }
}

// --- what we change ----------------------------------------------------------------------------

TEST_F(Near, OwnWritesAreReadAtOnceWhicheverWayTheyAreMade) {
  const auto cache = open(server.uri());
  using Write = std::function<void()>;
  const auto dropped = [](auto future) {
    static_cast<void>(future);
  };
  const std::vector<std::pair<Write, Found>> writes{
      {[&] { dropped(cache.set(key, "1")); }, "1"},
      {[&] { dropped(cache.set({{.key = key, .value = "2"}})); }, "2"},
      {[&] { dropped(cache.erase(key)); }, std::nullopt},
      {[&] { dropped(cache.set_if_absent(key, "3")); }, "3"},
      {[&] { dropped(cache.erase_if(key, "3")); }, std::nullopt},
      {[&] { dropped(cache.set(key, "4")); }, "4"},
  };
  for (int round = 0; round < 20; ++round) {
    for (const auto& [write, afterwards] : writes) {
      write();  // not waited for
      EXPECT_EQ(get(cache, key), afterwards);
      if (afterwards) warm(cache, key);
    }
  }
}

TEST_F(Near, AShorterTtlOfOurOwnCounts) {
  const auto cache = open(server.uri());
  ASSERT_TRUE(ok(cache.set(key, "v", 1000s).get()));
  warm(cache, key);
  ASSERT_TRUE(ok(cache.touch(key, 1ms).get()));
  EXPECT_TRUE(wait_until([&] { return !get(cache, key).has_value(); }));
  ASSERT_TRUE(ok(cache.set(key, "v", 1000s).get()));
  warm(cache, key);
  ASSERT_TRUE(ok(cache.expire_if(key, "v", 1ms).get()));
  EXPECT_TRUE(wait_until([&] { return !get(cache, key).has_value(); }));
}

TEST_F(Near, ClearTakesWhatIsUnderItsPrefixFromTheTierToo) {
  const auto cache = open(server.uri());
  const auto below = key_of("x", {"a"});
  const auto beside = key_of("x", {"ab"});
  for (const auto& each : {below, beside}) {
    ASSERT_TRUE(ok(cache.set(each, "v").get()));
    warm(cache, each);
  }
  ASSERT_TRUE(ok(cache.clear({"a"}).get()));
  EXPECT_FALSE(cache.find_near(below));
  EXPECT_EQ(get(cache, below), std::nullopt);
  warm(cache, beside);
  ASSERT_TRUE(ok(cache.clear().get()));
  EXPECT_FALSE(cache.find_near(beside));
  EXPECT_EQ(get(cache, beside), std::nullopt);
}

// --- time --------------------------------------------------------------------------------------

TEST_F(Near, AnEntryDiesByItsOwnClockThoughTheServerSaysNothing) {
  ValkeyServer own({.config = {"enable-debug-command yes"}});
  own.command({"DEBUG", "SET-ACTIVE-EXPIRE", "0"});  // so that no push tells of the end
  const auto cache = open(own.uri());
  ASSERT_TRUE(wait_until([&] {  // on a busy machine it may be over before it is near
    own.command({"SET", cache.wire_key(key), "v", "PX", "300"});
    return get(cache, key) == "v" && cache.stats().near_entries == 1;
  }));
  EXPECT_TRUE(wait_until([&] { return !cache.find_near(key); }));
  EXPECT_EQ(cache.stats().near_invalidations, 0U);
  // Its TTL ran from before the question, so it may be over a moment before the entry's own.
  EXPECT_TRUE(wait_until([&] { return !get(cache, key).has_value(); }));
}

// --- servers that do not track -----------------------------------------------------------------

TEST_F(Near, WithResp2AHitIsNoOlderThanMaxAge) {
  auto options = near_options();
  options.near_cache.max_age = 100ms;
  const auto cache = open(shared_resp2_server().uri(), options);
  EXPECT_EQ(cache.stats().near_coherence, NearCoherence::max_age);
  ASSERT_TRUE(ok(cache.set(key, "old").get()));
  warm(cache, key);
  shared_resp2_server().command({"SET", cache.wire_key(key), "new"});
  const auto changed = std::chrono::steady_clock::now();
  for (bool late = false; !late;) {
    late = std::chrono::steady_clock::now() >= changed + 100ms;
    const auto found = get(cache, key);
    if (late) {
      EXPECT_EQ(found, "new");
    }
    if (found == "new") break;
  }
  // Own writes count at once all the same.
  warm(cache, key);
  ASSERT_TRUE(ok(cache.set(key, "own").get()));
  EXPECT_EQ(get(cache, key), "own");
}

TEST_F(Near, AServerThatRefusesTrackingIsUsedWithMaxAge) {
  ValkeyServer own;
  own.command({"ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-client|tracking"});
  auto options = near_options();
  options.username = "app";
  options.password = "secret";
  const auto cache = open(own.uri(), options);
  EXPECT_EQ(cache.stats().near_coherence, NearCoherence::max_age);
  EXPECT_EQ(cache.stats().protocol, 3);
  ASSERT_TRUE(ok(cache.set(key, "v").get()));
  warm(cache, key);
}

TEST_F(Near, AServerThatRefusesPttlAnswersAndFillsNothing) {
  ValkeyServer own;
  own.command({"ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-pttl"});
  auto options = near_options();
  options.username = "app";
  options.password = "secret";
  const auto cache = open(own.uri(), options);
  ASSERT_TRUE(ok(cache.set(key, "v").get()));
  EXPECT_EQ(get(cache, key), "v");
  EXPECT_EQ(get(cache, key), "v");
  EXPECT_EQ(cache.stats().near_entries, 0U);
  EXPECT_EQ(cache.stats().errors, 0U) << "no call failed";
}

TEST_F(Near, AKeyOfAnotherKindIsAnErrorAsEver) {
  const auto cache = open(server.uri());
  other({"RPUSH", cache.wire_key(key), "x"});
  const auto found = cache.get(key).get();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().server_code, "WRONGTYPE");
  EXPECT_EQ(cache.stats().errors, 1U);
  EXPECT_TRUE(ok(cache.ping().get()));
}

// --- connections that go -----------------------------------------------------------------------

TEST_F(Near, ARestartEmptiesTheTier) {
  ValkeyServer own;
  const auto cache = open(own.uri());
  ASSERT_TRUE(ok(cache.set(key, "v").get()));
  warm(cache, key);
  own.restart();
  EXPECT_TRUE(wait_until([&] { return !get(cache, key).has_value(); }));
  EXPECT_EQ(cache.stats().near_coherence, NearCoherence::tracking) << "tracked again";
  ASSERT_TRUE(ok(cache.set(key, "w").get()));
  warm(cache, key);
  own.command({"SET", cache.wire_key(key), "x"});
  EXPECT_TRUE(wait_until([&] { return get(cache, key) == "x"; }));
}

TEST_F(Near, AKilledConnectionEmptiesTheTierAndTheNextOneTracks) {
  ValkeyServer own;
  const auto cache = open(own.uri());
  ASSERT_TRUE(ok(cache.set(key, "old").get()));
  warm(cache, key);
  // In one go: nothing can be said about the change on a connection that is gone.
  auto observer = own.connect();
  observer.send({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  observer.send({"SET", cache.wire_key(key), "new"});
  (void)observer.read();
  (void)observer.read();
  EXPECT_TRUE(wait_until([&] { return cache.stats().connects >= 2; }));
  EXPECT_EQ(get(cache, key), "new");
  warm(cache, key);
  own.command({"SET", cache.wire_key(key), "newest"});
  EXPECT_TRUE(wait_until([&] { return get(cache, key) == "newest"; }));
}

TEST_F(Near, NothingIsServedOnceTheServerIsKnownToBeGone) {
  ValkeyServer own;
  const auto cache = open(own.uri());
  ASSERT_TRUE(ok(cache.set(key, "v").get()));
  warm(cache, key);
  own.kill();
  ASSERT_TRUE(wait_until([&] { return !cache.connected(); }));
  EXPECT_FALSE(cache.find_near(key));
  EXPECT_EQ(cache.stats().near_coherence, NearCoherence::off);
  EXPECT_EQ(cache.stats().near_entries, 0U);
}

// The peer is there and says nothing more: no loss that anybody could see.
TEST_F(Near, ASilentConnectionIsTrustedForTwoHeartbeatsOnly) {
  TcpProxy proxy(server.port());
  auto options = near_options();
  options.near_cache.heartbeat = 50ms;
  const auto cache = open(proxy.uri(), options);
  ASSERT_TRUE(ok(cache.set(key, "old").get()));
  warm(cache, key);
  proxy.hold_replies();
  const auto held = std::chrono::steady_clock::now();
  other({"SET", cache.wire_key(key), "new"});
  // Whoever is served the old value is served it in time.
  while (true) {
    const auto hit = cache.find_near(key);
    const auto asked_by = std::chrono::steady_clock::now();
    if (!hit) break;
    if (asked_by > held + patience) FAIL() << "still served";
    std::this_thread::yield();
  }
  EXPECT_TRUE(wait_until([&] { return cache.stats().near_coherence == NearCoherence::off; }));
  proxy.release_replies();
  EXPECT_TRUE(wait_until([&] { return get(cache, key) == "new"; }));
  EXPECT_TRUE(wait_until([&] { return is_near(cache, key); })) << "trusted again";
  EXPECT_EQ(cache.stats().connects, 1U);
}

// Heartbeats keep an idle tier alive, and are all that an idle tier costs.
TEST_F(Near, AnIdleTierIsKeptAliveByHeartbeats) {
  auto options = near_options();
  options.near_cache.heartbeat = 20ms;
  const auto cache = open(server.uri(), options);
  ASSERT_TRUE(ok(cache.set(key, "v").get()));
  warm(cache, key);
  Monitor monitor(server);
  const auto pings = [&] {
    std::size_t count = 0;
    for (const auto& line : monitor.lines()) count += line == "PING" ? 1 : 0;
    return count;
  };
  EXPECT_TRUE(wait_until([&] { return pings() >= 5; }));
  EXPECT_TRUE(wait_until([&] { return bool(cache.find_near(key)); }));
  ASSERT_TRUE(ok(cache.erase(key).get()));
  // With nothing to serve there is nothing to ask. One may be on its way already.
  ASSERT_TRUE(ok(cache.ping().get()));
  EXPECT_EQ(cache.stats().near_entries, 0U);
}

// --- batches, objects, bounds ------------------------------------------------------------------

TEST_F(Near, ABatchAsksForWhatIsMissing) {
  const auto cache = open(server.uri());
  const auto keys = many_keys(6);
  for (std::size_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(ok(cache.set(keys[i], std::to_string(i)).get()));
  }
  warm(cache, keys[1]);
  warm(cache, keys[3]);
  Monitor monitor(server);
  const auto found = cache.get(keys).get().value();
  ASSERT_EQ(found.size(), 6U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(found[i].value(), std::to_string(i));
  EXPECT_EQ(found[5].value(), std::nullopt);
  EXPECT_THAT(
      monitor.lines(),
      testing::ElementsAre("MGET " + cache.wire_key(keys[0]) + " " + cache.wire_key(keys[2]) + " " +
                           cache.wire_key(keys[4]) + " " + cache.wire_key(keys[5])));
  monitor.clear();
  EXPECT_EQ(cache.get({keys[1], keys[3]}).get().value()[1].value(), "3");
  EXPECT_THAT(monitor.lines(), testing::IsEmpty());
}

TEST_F(Near, AnObjectIsKeptUntilItsValueChanges) {
  const auto cache = open(server.uri());
  ASSERT_TRUE(ok(cache.set(key, "41").get()));
  warm(cache, key);
  const auto hit = cache.find_near(key);
  ASSERT_TRUE(hit);
  EXPECT_EQ(hit.object<int>(), nullptr);
  EXPECT_TRUE(cache.keep(hit, std::make_shared<const int>(41), sizeof(int)));
  ASSERT_NE(cache.find_near(key).object<int>(), nullptr);
  EXPECT_EQ(*cache.find_near(key).object<int>(), 41);
  EXPECT_EQ(cache.find_near(key).object<long>(), nullptr);
  EXPECT_FALSE(cache.keep(hit, std::make_shared<const int>(42), sizeof(int)));
  EXPECT_FALSE(cache.keep(NearHit(), std::make_shared<const int>(42), sizeof(int)));
  ASSERT_TRUE(ok(cache.set(key, "43").get()));
  EXPECT_EQ(*hit.object<int>(), 41) << "for whoever holds it";
  warm(cache, key);
  EXPECT_EQ(cache.find_near(key).object<int>(), nullptr);
}

TEST_F(Near, TheBoundHolds) {
  auto options = near_options();
  options.near_cache.max_bytes = 50'000;
  const auto cache = open(server.uri(), options);
  for (const auto& each : many_keys(200)) {
    ASSERT_TRUE(ok(cache.set(each, std::string(500, 'v')).get()));
    ASSERT_EQ(get(cache, each), std::string(500, 'v'));
    ASSERT_LE(cache.stats().near_bytes, 50'000U);
  }
  EXPECT_GT(cache.stats().near_evictions, 0U);
  EXPECT_GT(cache.stats().near_entries, 10U);
}

TEST_F(Near, CancelledCallsAreNotAnswered) {
  const auto cache = open(server.uri());
  ASSERT_TRUE(ok(cache.set(key, "v").get()));
  warm(cache, key);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(
      fails_with(cache.get(key, {.stop_token = stop.get_token()}).get(), ErrorCode::cancelled));
}

// Many threads, own and foreign writers: no read may give a value that is older than one which the
// same thread knows to have been stored.
TEST_F(Near, ThreadsReadTheirOwnWritesUnderForeignOnes) {
  const auto cache = open(server.uri());
  constexpr int rounds = 100;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      const auto own = key_of("own" + std::to_string(t));
      for (int i = 0; i < rounds; ++i) {
        const auto value = std::to_string(i);
        EXPECT_TRUE(ok(cache.set(own, value).get()));
        for (int n = 0; n < 3; ++n) EXPECT_EQ(get(cache, own), value);
        (void)get(cache, key);
      }
    });
  }
  auto writer = server.connect();
  for (int i = 0; i < rounds; ++i) writer.command({"SET", cache.wire_key(key), std::to_string(i)});
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(wait_until([&] { return get(cache, key) == std::to_string(rounds - 1); }));
}

}  // namespace
