// Servers that are not Valkey, or not a sane one: a typed error, no crash, no hang, and nobody gets
// what was meant for somebody else.
#include "fault.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

ValkeyCacheOptions quick() {
  auto options = patient();
  options.connect_timeout = 300ms;
  options.command_timeout = 300ms;
  return options;
}

// --- from the first byte on --------------------------------------------------------------------

TEST(NotValkey, AnotherProtocol) {
  for (const std::string& greeting :
       {std::string("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        std::string("SSH-2.0-OpenSSH_9.2\r\n"), std::string("220 mail ready\r\n"),
        std::string("\x15\x03\x01\x00\x02\x02\x32", 7), std::string("\r\n\r\n"),
        std::string("\0\0\0\0", 4), std::string(100000, 'x'), std::string("*\r\n"),
        std::string("$-2\r\n"), std::string("*-2\r\n"), std::string("$abc\r\n"),
        std::string("$5\r\nhello\r\n"), std::string("*3\r\n:1\r\n:2\r\n:3\r\n:4\r\n?\r\n")}) {
    FakeServer fake([&](FakeConnection& connection) {
      if (!connection.read_command()) return;
      connection.write(greeting);
      connection.swallow();
    });
    const LogRecords log;
    auto options = patient();
    options.log = log.hook();
    const auto cache = ValkeyCache::open(fake.uri(), options).value();
    const auto before = SteadyClock::now();
    const auto got = cache.get(key_of("k")).get();
    EXPECT_TRUE(fails_with(got, ErrorCode::protocol_error)) << greeting.substr(0, 20);
    EXPECT_LT(SteadyClock::now() - before, a_moment);
    EXPECT_TRUE(fails_with(cache.set(key_of("k"), "v").get(), ErrorCode::protocol_error));
    EXPECT_FALSE(cache.connected());
    EXPECT_FALSE(log.lines().empty());
  }
}

TEST(NotValkey, ATalkerThatDoesNotWaitToBeAsked) {
  FakeServer fake([](FakeConnection& connection) {
    connection.write("+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    connection.swallow();
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  EXPECT_TRUE(fails_with(cache.get(key_of("k")).get(), ErrorCode::protocol_error));
}

TEST(NotValkey, Silence) {
  FakeServer fake([](FakeConnection& connection) { connection.swallow(); });
  const auto cache = ValkeyCache::open(fake.uri(), quick()).value();
  const auto before = SteadyClock::now();
  const auto got = cache.get(key_of("k")).get();
  EXPECT_TRUE(fails_with(got, {ErrorCode::timeout, ErrorCode::connect_failed}));
  EXPECT_TRUE(got.error().retryable);
  const auto set = cache.set(key_of("k"), "v").get();
  EXPECT_TRUE(fails_with(set, {ErrorCode::timeout, ErrorCode::connect_failed}));
  EXPECT_FALSE(set.error().maybe_applied);
  EXPECT_LT(SteadyClock::now() - before, a_moment);
}

TEST(NotValkey, ClosesAtOnce) {
  FakeServer fake([](FakeConnection&) {});
  const auto cache = ValkeyCache::open(fake.uri(), quick()).value();
  const auto got = cache.get(key_of("k")).get();
  EXPECT_TRUE(
      fails_with(got, {ErrorCode::timeout, ErrorCode::connect_failed, ErrorCode::connection_lost}));
  EXPECT_TRUE(got.error().retryable);
}

TEST(NotValkey, ResetsAtOnce) {
  FakeServer fake([](FakeConnection& connection) { connection.reset(); });
  const auto cache = ValkeyCache::open(fake.uri(), quick()).value();
  EXPECT_TRUE(
      fails_with(cache.get(key_of("k")).get(),
                 {ErrorCode::timeout, ErrorCode::connect_failed, ErrorCode::connection_lost}));
}

TEST(NotValkey, ReconnectingBacksOff) {
  FakeServer fake([](FakeConnection&) {});
  auto options = patient();
  options.reconnect_base = 10ms;
  options.reconnect_cap = 200ms;
  const auto before = SteadyClock::now();
  const auto cache = ValkeyCache::open(fake.uri(), options).value();
  // The pauses are random within 10, 20, 40, 80, 160, 200, 200, ... ms: about a second together.
  ASSERT_TRUE(wait_until([&] { return fake.connections() >= 15; }));
  EXPECT_GT(SteadyClock::now() - before, 200ms);
}

TEST(NotValkey, AConnectionThatShakesHandsAndDiesBacksOffToo) {
  FakeServer fake([](FakeConnection& connection) {
    for (int i = 0; i < 3; ++i) {
      const auto command = connection.read_command();
      if (!command) return;
      connection.write(*handshake_reply(*command));
    }
  });
  auto options = patient();
  options.reconnect_base = 10ms;
  options.reconnect_cap = 200ms;
  const auto before = SteadyClock::now();
  const auto cache = ValkeyCache::open(fake.uri(), options).value();
  ASSERT_TRUE(wait_until([&] { return fake.connections() >= 15; }));
  EXPECT_GT(SteadyClock::now() - before, 200ms);
}

// --- servers of old ----------------------------------------------------------------------------

TEST(NotValkey, AServerThatKnowsNoHello) {
  for (const char* refusal :
       {"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n",
        "-NOPROTO unsupported protocol version\r\n", "-ERR unknown command 'HELLO'\r\n"}) {
    FakeServer fake([&](FakeConnection& connection) {
      while (const auto command = connection.read_command()) {
        std::string reply = "+OK\r\n";
        if ((*command)[0] == "HELLO") reply = refusal;
        if ((*command)[0] == "CLIENT") reply = "-ERR unknown command 'CLIENT'\r\n";
        if ((*command)[0] == "GET") reply = (*command)[1].ends_with("k") ? bulk("v") : "$-1\r\n";
        if ((*command)[0] == "MGET") reply = array({bulk("v"), "$-1\r\n", bulk("")});
        if ((*command)[0] == "PTTL") reply = ":-1\r\n";
        if (!connection.write(reply)) return;
      }
    });
    auto options = patient();
    options.username = "user";
    options.password = "pass";
    options.database = 2;
    const auto cache = ValkeyCache::open(fake.uri(), options);
    ASSERT_TRUE(ok(cache));
    EXPECT_EQ(cache->get(key_of("k")).get().value(), Found("v")) << refusal;
    EXPECT_EQ(cache->get(key_of("x")).get().value(), std::nullopt);
    const auto many = cache->get({key_of("a"), key_of("b"), key_of("c")}).get().value();
    EXPECT_EQ(many[0].value(), Found("v"));
    EXPECT_EQ(many[1].value(), std::nullopt);
    EXPECT_EQ(many[2].value(), Found(""));
    EXPECT_TRUE(cache->ttl(key_of("k")).get().value()->is_none());
    EXPECT_EQ(cache->stats().protocol, 2);
    EXPECT_THAT(fake.commands(), testing::Contains(Command{"AUTH", "user", "pass"}));
    // Still logged in and in its database, whatever became of HELLO.
    EXPECT_THAT(fake.commands(), testing::Contains(Command{"SELECT", "2"}));
  }
}

// --- replies that are none ---------------------------------------------------------------------

// One connection gives the reply that is wrong; those after it are in order.
class WrongReplies : public testing::Test {
 protected:
  static FakeServer::Script wrong_once(std::string reply) {
    return [reply = std::move(reply)](FakeConnection& connection) {
      while (const auto command = connection.read_after_handshake()) {
        if (connection.number() == 0) {
          connection.write(reply);
          connection.swallow();
          return;
        }
        const bool get = (*command)[0] == "GET";
        if (!connection.write(get ? bulk("value of " + command->back()) : "+OK\r\n")) return;
      }
    };
  }
  // A later call is right, and is right again.
  static void works(const ValkeyCache& cache) {
    for (int i = 0; i < 3; ++i) {
      const CacheKey key = key_of("later" + std::to_string(i));
      ASSERT_TRUE(wait_until([&] { return cache.get(key).get().has_value(); }));
      EXPECT_EQ(cache.get(key).get().value(), Found("value of " + cache.wire_key(key)));
    }
  }
};

TEST_F(WrongReplies, Malformed) {
  for (const std::string& reply :
       {std::string("$-2\r\n"), std::string("$-99999999999999999999\r\n"), std::string("$abc\r\n"),
        std::string("$\r\n"), std::string("*-2\r\n"), std::string(":\r\n"), std::string(":1x\r\n"),
        std::string(":99999999999999999999\r\n"), std::string("?what\r\n"), std::string("\0\0", 2),
        std::string("garbage\r\n"), std::string("HTTP/1.1 200 OK\r\n\r\n"), std::string("#x\r\n"),
        std::string("$5 \r\nhello\r\n")}) {
    FakeServer fake(wrong_once(reply));
    const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
    const auto set = cache.set(key_of("k"), "v").get();
    EXPECT_TRUE(fails_with(set, ErrorCode::protocol_error)) << reply;
    EXPECT_TRUE(set.error().maybe_applied) << reply;
    works(cache);
  }
}

TEST_F(WrongReplies, OfAnotherTypeThanAsked) {
  for (const std::string& reply :
       {std::string(":5\r\n"), std::string("*0\r\n"), std::string("%0\r\n"), std::string("#t\r\n"),
        std::string("*1\r\n$1\r\nx\r\n"), std::string(",1.5\r\n"), std::string("~0\r\n")}) {
    FakeServer fake(wrong_once(reply));
    const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
    EXPECT_TRUE(
        fails_with(cache.get(key_of("k"), {.timeout = 1s}).get(), ErrorCode::protocol_error))
        << reply;
  }
}

// A reply of the wrong type is what the caller before would have got, had replies shifted: nothing
// that comes after it over the same connection can be trusted.
TEST_F(WrongReplies, OfAnotherTypePutTheConnectionInDoubt) {
  for (const std::string& reply :
       {std::string(":5\r\n"), std::string("+OK\r\n"), std::string("*1\r\n$1\r\nx\r\n"),
        std::string("|1\r\n+ttl\r\n:5\r\n"), std::string("#t\r\n")}) {
    Gate both_asked;
    FakeServer fake([&](FakeConnection& connection) {
      while (const auto command = connection.read_after_handshake()) {
        if (connection.number() == 0) {
          both_asked.wait();
          // As if shifted: the first question's answer comes as the second's.
          if (!connection.write(reply + bulk("value of " + command->back()))) return;
          connection.swallow();
          return;
        }
        if (!connection.write(bulk("value of " + command->back()))) return;
      }
    });
    const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
    auto first = cache.get(key_of("first"));
    auto second = cache.get(key_of("second"));
    both_asked.open();
    const auto one = first.get();
    if (one) {
      EXPECT_EQ(*one, Found("value of llm_cache:test/first")) << reply;
    } else {
      EXPECT_TRUE(fails_with(one, ErrorCode::protocol_error)) << reply;
    }
    EXPECT_EQ(second.get().value(), Found("value of llm_cache:test/second")) << reply;
    EXPECT_EQ(fake.connections(), 2) << reply;
  }
}

TEST_F(WrongReplies, OfAnotherTypeForEveryCall) {
  FakeServer fake(answering([](const Command&) { return std::string("%1\r\n+a\r\n+b\r\n"); }));
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  const CacheKey key = key_of("k");
  const auto wrong = [](const auto& result) {
    EXPECT_TRUE(fails_with(result, ErrorCode::protocol_error));
  };
  wrong(cache.get(key).get());
  wrong(cache.set(key, "v").get());
  wrong(cache.set_if_absent(key, "v").get());
  wrong(cache.erase_if(key, "v").get());
  wrong(cache.expire_if(key, "v", 1s).get());
  wrong(cache.erase(key).get());
  wrong(cache.touch(key, 1s).get());
  wrong(cache.ttl(key).get());
  wrong(cache.ping().get());
  wrong(cache.clear().get());
  const auto many = cache.get({key, key}).get();
  if (many) {
    for (const auto& each : *many) wrong(each);
  } else {
    wrong(many);
  }
  const auto sets = cache.set({{key, "1"}, {key, "2"}}).get();
  if (sets) {
    for (const auto& each : *sets) wrong(each);
  } else {
    wrong(sets);
  }
}

TEST_F(WrongReplies, TooFewOrTooManyValuesForAList) {
  for (const std::string& reply :
       {array({bulk("1")}), array({bulk("1"), bulk("2"), bulk("3")}), array({}),
        array({bulk("1"), ":5\r\n"}), array({bulk("1"), array({bulk("2")})})}) {
    FakeServer fake(wrong_once(reply));
    const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
    const auto many = cache.get({key_of("a"), key_of("b")}).get();
    if (many) {
      ASSERT_EQ(many->size(), 2U);
      EXPECT_TRUE(fails_with((*many)[1], ErrorCode::protocol_error)) << reply;
    } else {
      EXPECT_TRUE(fails_with(many, ErrorCode::protocol_error)) << reply;
    }
  }
}

TEST_F(WrongReplies, ABulkStringOfTwoGigabytes) {
  for (const std::string& header :
       {std::string("$2147483647\r\n"), std::string("$999999999999\r\n"),
        std::string("$9223372036854775807\r\n"), std::string("$67108865\r\n")}) {
    FakeServer fake(wrong_once(header + std::string(100000, 'x')));
    const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
    EXPECT_TRUE(fails_with(cache.get(key_of("k")).get(), ErrorCode::too_large)) << header;
    works(cache);
  }
}

TEST_F(WrongReplies, AListOfMillions) {
  for (const std::string& header :
       {std::string("*2147483647\r\n"), std::string("*999999999999\r\n"),
        std::string("*9223372036854775807\r\n"), std::string("*100000000\r\n"),
        std::string("%1000000000\r\n"), std::string("~1000000000\r\n")}) {
    FakeServer fake(wrong_once(header));
    const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
    EXPECT_TRUE(fails_with(cache.set(key_of("k"), "v").get(),
                           {ErrorCode::too_large, ErrorCode::protocol_error}))
        << header;
    works(cache);
  }
}

TEST_F(WrongReplies, NestedWithoutEnd) {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "*1\r\n";
  FakeServer fake(wrong_once(deep));
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  EXPECT_TRUE(fails_with(cache.set(key_of("k"), "v").get(),
                         {ErrorCode::too_large, ErrorCode::protocol_error}));
  works(cache);
}

TEST_F(WrongReplies, AStatusLineWithoutEnd) {
  FakeServer fake([](FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      if (connection.number() > 0) {
        if (!connection.write(bulk("v"))) return;
        continue;
      }
      connection.write("+");
      const std::string piece(1 << 20, 'x');
      // Far beyond max_reply_bytes, if it were read.
      for (int i = 0; i < 64; ++i) {
        if (!connection.write(piece)) return;
      }
      connection.swallow();
    }
  });
  auto options = patient();
  options.max_value_bytes = 1 << 20;
  options.max_reply_bytes = 4 << 20;
  const auto cache = ValkeyCache::open(fake.uri(), options).value();
  EXPECT_TRUE(fails_with(cache.set(key_of("k"), "v").get(),
                         {ErrorCode::too_large, ErrorCode::protocol_error}));
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("v"));
}

TEST_F(WrongReplies, MoreRepliesThanQuestions) {
  // The second reply belongs to nobody; it must not become the answer to the next question.
  FakeServer fake([](FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      const std::string reply = bulk("value of " + command->back());
      if (!connection.write(connection.number() < 3 ? reply + bulk("intruder") : reply)) return;
    }
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  for (int i = 0; i < 50; ++i) {
    const CacheKey key = key_of(std::to_string(i));
    const auto found = cache.get(key).get();
    if (found) {
      EXPECT_EQ(*found, Found("value of " + cache.wire_key(key)));
    } else {
      EXPECT_TRUE(fails_with(found, {ErrorCode::protocol_error, ErrorCode::connection_lost}));
    }
  }
  EXPECT_GE(fake.connections(), 2) << "such a connection is given up";
}

TEST_F(WrongReplies, PushesAreNoReplies) {
  FakeServer fake([](FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      const std::string push = ">2\r\n" + bulk("invalidate") + array({bulk("some-key")});
      if (!connection.write(push + bulk("value of " + command->back()) + push + push)) return;
    }
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  for (int i = 0; i < 50; ++i) {
    const CacheKey key = key_of(std::to_string(i));
    EXPECT_EQ(cache.get(key).get().value(), Found("value of " + cache.wire_key(key)));
  }
  EXPECT_EQ(fake.connections(), 1);
}

TEST_F(WrongReplies, NilsOfBothProtocolsAreMisses) {
  for (const char* nil : {"_\r\n", "$-1\r\n"}) {
    FakeServer fake(answering([&](const Command&) { return std::string(nil); }));
    const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
    EXPECT_EQ(cache.get(key_of("k")).get().value(), std::nullopt);
    EXPECT_FALSE(cache.set_if_absent(key_of("k"), "v").get().value());
  }
}

TEST_F(WrongReplies, ATtlThatIsAboutToEnd) {
  FakeServer fake(answering([](const Command&) { return std::string(":0\r\n"); }));
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  const auto left = cache.ttl(key_of("k")).get();
  ASSERT_TRUE(ok(left));
  // Less than a millisecond is left: as good as gone, but no invalid Ttl.
  if (*left) {
    EXPECT_TRUE((*left)->is_finite());
  }
}

TEST_F(WrongReplies, InPiecesOfOneByte) {
  FakeServer fake([](FakeConnection& connection) {
    while (const auto command = connection.read_command()) {
      std::string reply;
      if (const auto handshake = handshake_reply(*command)) {
        reply = *handshake;
      } else if ((*command)[0] == "GET") {
        reply = bulk("value\r\n of " + command->back());
      } else if ((*command)[0] == "MGET") {
        reply = ">2\r\n" + bulk("message") + ":7\r\n" + array({bulk("1"), "_\r\n", bulk("")});
      } else if ((*command)[0] == "PTTL") {
        reply = ":1234567\r\n";
      } else if ((*command)[0] == "DEL") {
        reply = "-NOPERM no\r\n";
      } else {
        reply = "+OK\r\n";
      }
      if (!connection.write_bytewise(reply)) return;
    }
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  for (int i = 0; i < 5; ++i) {
    const CacheKey key = key_of(std::to_string(i));
    EXPECT_EQ(cache.get(key).get().value(), Found("value\r\n of " + cache.wire_key(key)));
    EXPECT_TRUE(ok(cache.set(key, "v").get()));
    const auto many = cache.get({key, key, key}).get().value();
    EXPECT_EQ(many[0].value(), Found("1"));
    EXPECT_EQ(many[1].value(), std::nullopt);
    EXPECT_EQ(many[2].value(), Found(""));
    EXPECT_EQ(cache.ttl(key).get().value()->duration(), 1234567ms);
    EXPECT_TRUE(refused(cache.erase(key).get(), ErrorCode::permission, "NOPERM"));
  }
  EXPECT_EQ(fake.connections(), 1);
}

TEST_F(WrongReplies, CutOffInTheMiddle) {
  const std::string reply = bulk("value of llm_cache:test/k");
  for (std::size_t cut = 0; cut < reply.size(); ++cut) {
    FakeServer fake([&](FakeConnection& connection) {
      while (const auto command = connection.read_after_handshake()) {
        if (connection.number() == 0) {
          connection.write(reply.substr(0, cut));
          return;
        }
        if (!connection.write(bulk("value of " + command->back()))) return;
      }
    });
    const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
    const auto found = cache.get(key_of("k")).get();
    if (found) {  // asked again over the next connection
      EXPECT_EQ(*found, Found("value of llm_cache:test/k"));
    } else {
      EXPECT_TRUE(fails_with(found, ErrorCode::connection_lost));
      EXPECT_TRUE(found.error().retryable);
    }
    EXPECT_EQ(cache.get(key_of("x")).get().value(), Found("value of llm_cache:test/x"));
  }
}

TEST_F(WrongReplies, AStoreThatWasCutOffIsNotRepeated) {
  FakeServer fake([](FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      if (connection.number() == 0) return;
      if (!connection.write("+OK\r\n")) return;
    }
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  const auto set = cache.set(key_of("k"), "v").get();
  EXPECT_TRUE(fails_with(set, ErrorCode::connection_lost));
  EXPECT_TRUE(set.error().maybe_applied);
  EXPECT_TRUE(set.error().retryable);
  EXPECT_TRUE(ok(cache.set(key_of("other"), "v").get()));
  int seen = 0;
  for (const auto& command : fake.commands_after_handshake()) {
    seen += command[1] == "llm_cache:test/k" ? 1 : 0;
  }
  EXPECT_EQ(seen, 1);
}

// A reply over the limit costs the connection; the other gets are asked again.
TEST_F(WrongReplies, OneHugeReplyDoesNotHarmTheOthers) {
  Gate all_asked;
  FakeServer fake([&](FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      if (connection.number() == 0) {
        all_asked.wait();
        connection.write("$2147483647\r\n" + std::string(1000, 'x'));
        connection.swallow();
        return;
      }
      if (!connection.write(bulk("value of " + command->back()))) return;
    }
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  auto huge = cache.get(key_of("huge"));
  std::vector<Future<Found>> others;
  for (int i = 0; i < 10; ++i) others.push_back(cache.get(key_of(std::to_string(i))));
  all_asked.open();
  EXPECT_TRUE(fails_with(huge.get(), ErrorCode::too_large));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(others[static_cast<std::size_t>(i)].get().value(),
              Found("value of llm_cache:test/" + std::to_string(i)));
  }
}

// --- clear, as only a scripted server can answer it --------------------------------------------

TEST(NotValkeyClear, CursorsPassThroughAndCountsAreTheServers) {
  std::mutex mutex;
  std::vector<std::string> cursors;
  FakeServer fake(answering([&](const Command& command) -> std::string {
    if (command[0] == "DEL") return ":1\r\n";
    const std::lock_guard lock(mutex);
    cursors.push_back(command[1]);
    // The same key twice, as SCAN may show it; then an empty page; then a cursor of 64 bits.
    switch (cursors.size()) {
      case 1:
        return array({bulk("17"), array({bulk("llm_cache:a"), bulk("llm_cache:a")})});
      case 2:
        return array({bulk("18446744073709551615"), array({})});
      case 3:
        return array({bulk("5"), array({bulk("llm_cache:b")})});
      default:
        return array({bulk("0"), array({})});
    }
  }));
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  EXPECT_EQ(cache.clear().get().value(), 2U) << "as DEL tells, not as SCAN shows";
  EXPECT_THAT(cursors, testing::ElementsAre("0", "17", "18446744073709551615", "5"));
  for (const auto& command : fake.commands_after_handshake()) {
    EXPECT_GE(command.size(), 2U) << "no DEL without keys";
  }
}

TEST(NotValkeyClear, KeysOfOthersAreNotDeleted) {
  // A server (or a proxy) that does not mind MATCH.
  FakeServer fake(answering([](const Command& command) -> std::string {
    if (command[0] == "DEL") return ":" + std::to_string(command.size() - 1) + "\r\n";
    return array({bulk("0"), array({bulk("llm_cache:mine"), bulk("llm_cache2:theirs")})});
  }));
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  EXPECT_EQ(cache.clear().get().value(), 1U);
  for (const auto& command : fake.commands_after_handshake()) {
    EXPECT_THAT(command, testing::Not(testing::Contains("llm_cache2:theirs")));
  }
}

TEST(NotValkeyClear, PagesThatAreNone) {
  for (const std::string& page :
       {array({bulk("0")}), array({}), array({bulk("x"), array({})}), array({bulk("0"), bulk("a")}),
        array({array({}), bulk("0")}), bulk("0"), std::string("+OK\r\n"), std::string("_\r\n"),
        std::string(":0\r\n")}) {
    FakeServer fake(answering([&](const Command&) { return page; }));
    const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
    EXPECT_TRUE(fails_with(cache.clear({.timeout = a_moment}).get(), ErrorCode::protocol_error))
        << page;
  }
}

TEST(NotValkeyClear, ARefusedDeleteEndsIt) {
  FakeServer fake(answering([](const Command& command) -> std::string {
    if (command[0] == "DEL") return "-NOPERM no\r\n";
    return array({bulk("7"), array({bulk("llm_cache:mine")})});  // pages without end
  }));
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  EXPECT_TRUE(refused(cache.clear().get(), ErrorCode::permission, "NOPERM"));
  EXPECT_TRUE(wait_until([&] { return cache.stats().in_flight == 0; })) << "and it stops scanning";
}

}  // namespace
