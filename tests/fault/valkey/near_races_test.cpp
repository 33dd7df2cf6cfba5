// The near cache's races, forced: a scripted server decides in which order replies and
// invalidations come.
#include <functional>

#include "fault.hpp"
#include "support/valkey/resp_client.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

ValkeyCacheOptions with_near_cache() {
  auto options = patient();
  options.near_cache.max_bytes = std::size_t{1} << 20;
  options.near_cache.max_age = 10min;
  options.near_cache.heartbeat = 10min;
  return options;
}

std::string invalidation(const std::string& wire_key) {
  return ">2\r\n" + bulk("invalidate") + array({bulk(wire_key)});
}
const std::string flushed = ">2\r\n" + bulk("invalidate") + "_\r\n";
const std::string no_ttl = ":-1\r\n";

// A server that answers each GET, and each PTTL, with what the test says, and counts the GETs.
class NearRace : public testing::Test {
 protected:
  using Answer = std::function<std::string(int nth)>;
  static FakeServer::Script script(
      Answer get, Answer pttl = [](int) { return no_ttl; }) {
    return [get = std::move(get), pttl = std::move(pttl)](FakeConnection& connection) {
      int gets = 0;
      for (auto command = connection.read_after_handshake(); command;
           command = connection.read_command()) {
        const auto& name = command->front();
        std::string answer = "+OK\r\n";
        if (name == "GET") answer = get(++gets);
        if (name == "PTTL") answer = pttl(gets);
        if (name == "PING") answer = "+PONG\r\n";
        if (!connection.write(answer)) return;
      }
    };
  }
  static ValkeyCache open(const FakeServer& fake, ValkeyCacheOptions options = with_near_cache()) {
    auto cache = ValkeyCache::open(fake.uri(), std::move(options)).value();
    EXPECT_TRUE(ok(cache.ping().get()));
    return cache;
  }
  static Found get(const ValkeyCache& cache) {
    auto found = cache.get(key_of("k")).get();
    EXPECT_TRUE(ok(found));
    return found ? *found : std::nullopt;
  }
  static inline const std::string wire_key = "llm_cache:test/k";
};

TEST_F(NearRace, WithoutARaceTheFillStays) {
  FakeServer fake(script([](int nth) { return bulk("v" + std::to_string(nth)); }));
  const auto cache = open(fake);
  ASSERT_EQ(cache.stats().near_coherence, NearCoherence::tracking);
  EXPECT_EQ(get(cache), "v1");
  EXPECT_EQ(get(cache), "v1");
  EXPECT_EQ(cache.stats().near_hits, 1U);
}

TEST_F(NearRace, AnInvalidationAheadOfItsReplyKeepsTheValueOut) {
  for (const auto& push : {invalidation(wire_key), flushed}) {
    FakeServer fake(
        script([&](int nth) { return (nth == 1 ? push : "") + bulk("v" + std::to_string(nth)); }));
    const auto cache = open(fake);
    EXPECT_EQ(get(cache), "v1") << "the call gets what the server said";
    EXPECT_EQ(get(cache), "v2") << "and nobody else does";
    EXPECT_EQ(get(cache), "v2");
  }
}

TEST_F(NearRace, AnInvalidationBetweenTheTwoRepliesKeepsTheValueOut) {
  for (const auto& push : {invalidation(wire_key), flushed}) {
    FakeServer fake(script([](int nth) { return bulk("v" + std::to_string(nth)); },
                           [&](int nth) { return (nth == 1 ? push : "") + no_ttl; }));
    const auto cache = open(fake);
    EXPECT_EQ(get(cache), "v1");
    EXPECT_EQ(get(cache), "v2");
    EXPECT_EQ(get(cache), "v2");
  }
}

TEST_F(NearRace, AnInvalidationBehindBothRepliesTakesTheEntry) {
  for (const auto& push : {invalidation(wire_key), flushed}) {
    FakeServer fake(script([](int nth) { return bulk("v" + std::to_string(nth)); },
                           [&](int nth) { return no_ttl + (nth == 1 ? push : ""); }));
    const auto cache = open(fake);
    EXPECT_EQ(get(cache), "v1");
    ASSERT_TRUE(ok(cache.ping().get()));  // behind the push
    EXPECT_EQ(get(cache), "v2");
    EXPECT_EQ(get(cache), "v2");
  }
}

TEST_F(NearRace, AnEntryThatWentBetweenTheTwoCommandsFillsNothing) {
  FakeServer fake(script([](int nth) { return bulk("v" + std::to_string(nth)); },
                         [](int nth) { return nth == 1 ? std::string(":-2\r\n") : no_ttl; }));
  const auto cache = open(fake);
  EXPECT_EQ(get(cache), "v1");
  EXPECT_EQ(get(cache), "v2");
  EXPECT_EQ(get(cache), "v2");
}

// The get stands before the set in the connection's order, so its reply is the old value; it comes
// when the set has been issued.
TEST_F(NearRace, AGetThatOurOwnSetOvertakesFillsNothing) {
  Gate get_arrived;
  Gate set_issued;
  FakeServer fake(script([&](int nth) {
    if (nth == 1) {
      get_arrived.open();
      set_issued.wait();
    }
    return bulk(nth == 1 ? "old" : "new");
  }));
  const auto cache = open(fake);
  auto old = cache.get(key_of("k"));
  ASSERT_TRUE(get_arrived.wait());
  auto stored = cache.set(key_of("k"), "new");
  set_issued.open();
  EXPECT_EQ(old.get().value(), "old") << "it was asked for before";
  EXPECT_TRUE(ok(stored.get()));
  EXPECT_EQ(get(cache), "new");
  EXPECT_EQ(get(cache), "new");
}

// The same with a set whose outcome nobody knows.
TEST_F(NearRace, ASetThatTimedOutCountsAsDone) {
  Gate get_arrived;
  Gate set_over;
  FakeServer fake(script([&](int nth) {
    if (nth == 1) {
      get_arrived.open();
      set_over.wait();
    }
    return bulk(nth == 1 ? "old" : "new");
  }));
  const auto cache = open(fake);
  auto old = cache.get(key_of("k"));
  ASSERT_TRUE(get_arrived.wait());
  const auto stored = cache.set(key_of("k"), "new", {}, {.timeout = 5ms}).get();
  EXPECT_TRUE(fails_with(stored, ErrorCode::timeout));
  set_over.open();
  EXPECT_EQ(old.get().value(), "old");
  EXPECT_EQ(get(cache), "new");
}

TEST_F(NearRace, AClearSpoilsTheFillsThatItOvertakes) {
  Gate get_arrived;
  Gate clear_done;
  std::atomic<bool> on_second{false};
  // Two connections would be two caches; one script thread holds the first GET's replies back until
  // the clear is behind it, so the clear's own replies come with them.
  FakeServer fake([&](FakeConnection& connection) {
    for (auto command = connection.read_after_handshake(); command;
         command = connection.read_command()) {
      const auto& name = command->front();
      if (name == "GET") {
        if (!on_second.exchange(true)) {
          get_arrived.open();
          clear_done.wait();
          connection.write(bulk("old"));
        } else {
          connection.write("$-1\r\n");
        }
      } else if (name == "PTTL") {
        connection.write(no_ttl);
      } else if (name == "SCAN") {
        connection.write(array({bulk("0"), array({bulk(wire_key)})}));
      } else {
        connection.write(name == "DEL" ? ":1\r\n" : "+PONG\r\n");
      }
    }
  });
  const auto cache = open(fake);
  auto old = cache.get(key_of("k"));
  ASSERT_TRUE(get_arrived.wait());
  auto cleared = cache.clear();
  clear_done.open();
  EXPECT_EQ(old.get().value(), "old");
  EXPECT_EQ(cleared.get().value(), 1U);
  EXPECT_FALSE(cache.find_near(key_of("k")));
  EXPECT_EQ(get(cache), std::nullopt);
}

// An abandoned fetch owns two replies, and may still be answered.
TEST_F(NearRace, ACancelledFetchShiftsNoReplyAndFillsNothing) {
  for (const bool between : {false, true}) {
    Gate arrived;
    Gate cancelled;
    FakeServer fake(script(
        [&](int nth) {
          if (nth == 1 && !between) {
            arrived.open();
            cancelled.wait();
          }
          return bulk("v" + std::to_string(nth));
        },
        [&](int nth) {
          if (nth == 1 && between) {
            arrived.open();
            cancelled.wait();
          }
          return no_ttl;
        }));
    const auto cache = open(fake);
    std::stop_source stop;
    auto first = cache.get(key_of("k"), {.stop_token = stop.get_token()});
    ASSERT_TRUE(arrived.wait());
    stop.request_stop();
    EXPECT_TRUE(fails_with(first.get(), ErrorCode::cancelled));
    cancelled.open();
    EXPECT_EQ(get(cache), "v2");
    EXPECT_EQ(get(cache), "v2");
    EXPECT_EQ(cache.stats().connects, 1U);
  }
}

// The connection goes between the two replies: the fetch is made again on the next one, and what
// the first one brought is not kept.
TEST_F(NearRace, AConnectionLostBetweenTheTwoRepliesFillsNothing) {
  FakeServer fake([](FakeConnection& connection) {
    int gets = 0;
    for (auto command = connection.read_after_handshake(); command;
         command = connection.read_command()) {
      const auto& name = command->front();
      if (name == "GET") {
        ++gets;
        connection.write(
            bulk("c" + std::to_string(connection.number()) + "g" + std::to_string(gets)));
        if (connection.number() == 0) return;
      } else {
        connection.write(name == "PTTL" ? no_ttl : "+PONG\r\n");
      }
    }
  });
  const auto cache = open(fake);
  EXPECT_EQ(get(cache), "c1g1");
  EXPECT_EQ(get(cache), "c1g2") << "the fetch began on a connection that is no more";
  EXPECT_EQ(get(cache), "c1g2");
}

TEST_F(NearRace, AReplyThatIsNoTtlCostsTheConnection) {
  FakeServer fake([](FakeConnection& connection) {
    for (auto command = connection.read_after_handshake(); command;
         command = connection.read_command()) {
      const auto& name = command->front();
      if (name == "GET") connection.write(bulk("v"));
      if (name == "PTTL") connection.write(connection.number() == 0 ? bulk("soon") : no_ttl);
      if (name == "PING") connection.write("+PONG\r\n");
    }
  });
  const auto cache = open(fake);
  EXPECT_EQ(get(cache), "v") << "the value itself was in order";
  EXPECT_TRUE(wait_until([&] { return cache.stats().connects == 2; }));
}

// Every byte of a push and of what surrounds it in a packet of its own.
TEST_F(NearRace, PushesMayComeInPieces) {
  FakeServer fake([](FakeConnection& connection) {
    int gets = 0;
    for (auto command = connection.read_after_handshake(); command;
         command = connection.read_command()) {
      const auto& name = command->front();
      if (name == "GET") {
        ++gets;
        connection.write_bytewise(bulk("v" + std::to_string(gets)) +
                                  (gets == 1 ? invalidation(wire_key) : ""));
      } else {
        connection.write_bytewise(name == "PTTL" ? no_ttl : "+PONG\r\n");
      }
    }
  });
  const auto cache = open(fake);
  EXPECT_EQ(get(cache), "v1");
  EXPECT_EQ(get(cache), "v2");
  EXPECT_EQ(get(cache), "v2");
}

// What is in the tier is of no use once nobody knows whether it still holds: the server is asked,
// and when it says nothing the tier is silent, too.
TEST_F(NearRace, AnUnansweredHeartbeatStopsTheServing) {
  Gate answer_pings;
  FakeServer fake([&](FakeConnection& connection) {
    bool first_ping = true;
    for (auto command = connection.read_after_handshake(); command;
         command = connection.read_command()) {
      const auto& name = command->front();
      if (name == "GET") connection.write(bulk("v"));
      if (name == "PTTL") connection.write(no_ttl);
      if (name == "PING") {
        if (!std::exchange(first_ping, false)) answer_pings.wait();
        connection.write("+PONG\r\n");
      }
    }
  });
  auto options = with_near_cache();
  options.near_cache.heartbeat = 20ms;
  const auto cache = open(fake, options);
  EXPECT_EQ(get(cache), "v");
  EXPECT_TRUE(wait_until([&] { return !cache.find_near(key_of("k")); }));
  EXPECT_EQ(cache.stats().near_coherence, NearCoherence::off);
  EXPECT_EQ(cache.stats().near_entries, 1U);
  answer_pings.open();
  EXPECT_TRUE(wait_until([&] { return bool(cache.find_near(key_of("k"))); }));
}

}  // namespace
