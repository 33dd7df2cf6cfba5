// What is said to the server, by the server's own account: these commands and no others.
#include <algorithm>
#include <set>

#include <gmock/gmock.h>

#include "contract.hpp"
#include "support/valkey/fake_server.hpp"
#include "support/valkey/monitor.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

namespace {

class Wire : public testing::Test {
 protected:
  Wire() {
    EXPECT_TRUE(ok(cache.ping().get()));
    monitor.clear();
  }
  [[nodiscard]] std::string wire(const std::string& text) const {
    return cache.wire_key(key_of(text));
  }
  // All commands but those of a certain name.
  std::vector<Command> arguments() {
    std::vector<Command> all;
    for (auto& command : monitor.commands()) all.push_back(std::move(command.arguments));
    return all;
  }

  ValkeyServer& server = shared_server();
  Monitor monitor{server};
  ValkeyCache cache = ValkeyCache::open(server.uri(), patient_options()).value();
};

TEST_F(Wire, Get) {
  (void)cache.get(key_of("k")).get();
  EXPECT_THAT(monitor.lines(), ElementsAre("GET " + wire("k")));
}

TEST_F(Wire, Set) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 3600s).get()));
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 1500ms).get()));
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 2000ms).get()));
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 5min).get()));
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 1ms).get()));
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", Ttl::none()).get()));
  const std::string set = "SET " + wire("k") + " v";
  EXPECT_THAT(monitor.lines(), ElementsAre(set, set + " EX 3600", set + " PX 1500", set + " EX 2",
                                           set + " EX 300", set + " PX 1", set));
}

TEST_F(Wire, SetWithTheDefaultTtl) {
  auto options = patient_options();
  options.ttl = 1h;
  const auto hourly = ValkeyCache::open(server.uri(), options).value();
  ASSERT_TRUE(ok(hourly.ping().get()));
  monitor.clear();
  ASSERT_TRUE(ok(hourly.set(key_of("k"), "v").get()));
  ASSERT_TRUE(ok(hourly.set(key_of("k"), "v", 300s).get()));
  ASSERT_TRUE(ok(hourly.set(key_of("k"), "v", Ttl::none()).get()));
  const std::string set = "SET " + wire("k") + " v";
  EXPECT_THAT(monitor.lines(), ElementsAre(set + " EX 3600", set + " EX 300", set));
}

TEST_F(Wire, GetManyAsksFor512AtATime) {
  const auto keys = many_keys(1300);
  (void)cache.get(keys).get();
  const auto seen = arguments();
  ASSERT_EQ(seen.size(), 3U);
  std::size_t next = 0;
  for (const std::size_t size : {512U, 512U, 276U}) {
    const auto& command = seen[next / 512];
    ASSERT_EQ(command.size(), size + 1);
    EXPECT_EQ(command[0], "MGET");
    for (std::size_t i = 1; i <= size; ++i) {
      ASSERT_EQ(command[i], cache.wire_key(keys[next++]));
    }
  }
}

TEST_F(Wire, EmptyListsSayNothing) {
  (void)cache.get(std::vector<CacheKey>{}).get();
  (void)cache.set(std::vector<KeyValue>{}).get();
  EXPECT_THAT(monitor.lines(), IsEmpty());
}

TEST_F(Wire, SetManyLeavesOutTheBadOnes) {
  (void)cache
      .set({{key_of("a"), "1"},
            {key_of("bad"), "x", 0s},
            {key_of("b"), "2", 60s},
            {key_of("c"), "3", 500ms}})
      .get();
  EXPECT_THAT(monitor.lines(),
              ElementsAre("SET " + wire("a") + " 1", "SET " + wire("b") + " 2 EX 60",
                          "SET " + wire("c") + " 3 PX 500"));
}

TEST_F(Wire, SetIfAbsent) {
  ASSERT_TRUE(ok(cache.set_if_absent(key_of("k"), "v").get()));
  ASSERT_TRUE(ok(cache.set_if_absent(key_of("k"), "v", 10s).get()));
  ASSERT_TRUE(ok(cache.set_if_absent(key_of("k"), "v", 1500ms).get()));
  const auto seen = arguments();
  ASSERT_EQ(seen.size(), 3U);
  for (const auto& command : seen) {
    EXPECT_EQ(command[0], "SET");
    EXPECT_EQ(command[1], wire("k"));
    EXPECT_EQ(command[2], "v");
  }
  // Valkey takes its options in any order.
  const auto rest = [&](std::size_t i) {
    return std::multiset<std::string>(seen[i].begin() + 3, seen[i].end());
  };
  EXPECT_EQ(rest(0), (std::multiset<std::string>{"NX"}));
  EXPECT_EQ(rest(1), (std::multiset<std::string>{"NX", "EX", "10"}));
  EXPECT_EQ(rest(2), (std::multiset<std::string>{"NX", "PX", "1500"}));
}

TEST_F(Wire, ConditionalCallsAreScriptsOfOneKey) {
  ASSERT_TRUE(ok(cache.erase_if(key_of("k"), "v").get()));
  ASSERT_TRUE(ok(cache.expire_if(key_of("k"), "v", 10s).get()));
  const auto seen = arguments();
  ASSERT_EQ(seen.size(), 2U);
  for (const auto& command : seen) {
    ASSERT_GE(command.size(), 5U);
    EXPECT_EQ(command[0], "EVAL");
    EXPECT_EQ(command[2], "1");
    EXPECT_EQ(command[3], wire("k"));
    EXPECT_EQ(command[4], "v");
    EXPECT_EQ(command[1].find(wire("k")), std::string::npos) << "keys are no part of the script";
  }
}

TEST_F(Wire, EraseTouchTtlPing) {
  (void)cache.erase(key_of("k")).get();
  (void)cache.touch(key_of("k"), 60s).get();
  (void)cache.touch(key_of("k"), 1500ms).get();
  (void)cache.ttl(key_of("k")).get();
  (void)cache.ping().get();
  EXPECT_THAT(monitor.lines(),
              ElementsAre("DEL " + wire("k"), "EXPIRE " + wire("k") + " 60",
                          "PEXPIRE " + wire("k") + " 1500", "PTTL " + wire("k"), "PING"));
}

TEST_F(Wire, WhatIsRefusedBeforehandSaysNothing) {
  std::stop_source stop;
  stop.request_stop();
  (void)cache.set(key_of("k"), "v", 0s).get();
  (void)cache.touch(key_of("k"), Ttl::none()).get();
  (void)cache.get(key_of("k"), {.timeout = 0ms}).get();
  (void)cache.get(key_of("k"), {.stop_token = stop.get_token()}).get();
  (void)cache.clear({"a/b"}).get();
  (void)cache.flush(1ms).get();
  (void)cache.stats();
  EXPECT_THAT(monitor.lines(), IsEmpty());
}

TEST_F(Wire, ClearScansAndDeletes) {
  std::vector<KeyValue> entries;
  for (const auto& key : many_keys(10000)) entries.push_back({key, "v"});
  ASSERT_TRUE(ok(cache.set(std::move(entries)).get()));
  const auto client_of_cache = monitor.commands().back().client;
  monitor.clear();
  EXPECT_EQ(cache.clear().get().value(), 10000U);

  long last_count = 0;
  std::size_t scans = 0;
  std::size_t deletes = 0;
  std::size_t deleted = 0;
  for (const auto& command : monitor.commands()) {
    const auto& arguments = command.arguments;
    ASSERT_EQ(command.client, client_of_cache);
    if (arguments[0] == "SCAN") {
      ASSERT_EQ(arguments.size(), 6U);
      if (scans == 0) {
        EXPECT_EQ(arguments[1], "0");
        EXPECT_EQ(arguments[5], "100");
      }
      ++scans;
      EXPECT_EQ(arguments[2], "MATCH");
      EXPECT_EQ(arguments[3], unique_prefix() + "*");
      EXPECT_EQ(arguments[4], "COUNT");
      const long count = std::stol(arguments[5]);
      EXPECT_GE(count, last_count) << "COUNT grows";
      EXPECT_LE(count, 1000);
      last_count = count;
    } else {
      ASSERT_EQ(arguments[0], "DEL");
      ++deletes;
      deleted += arguments.size() - 1;
      for (std::size_t i = 1; i < arguments.size(); ++i) {
        ASSERT_THAT(arguments[i], StartsWith(unique_prefix()));
      }
    }
  }
  EXPECT_EQ(last_count, 1000) << "with so many pages COUNT has grown";
  EXPECT_GE(deleted, 10000U);
  EXPECT_LT(deletes, 200U) << "keys are deleted in batches";
}

TEST_F(Wire, ClearOfNothingDeletesNothing) {
  EXPECT_EQ(cache.clear().get().value(), 0U);
  for (const auto& command : arguments()) EXPECT_EQ(command[0], "SCAN");
}

TEST_F(Wire, ClearEscapesGlobCharacters) {
  auto options = patient_options();
  options.prefix = "a*b?[c]\\:";
  const auto awkward = ValkeyCache::open(server.uri(), options).value();
  ASSERT_TRUE(ok(awkward.ping().get()));
  monitor.clear();
  EXPECT_EQ(awkward.clear({"n*"}).get().value(), 0U);
  const auto seen = arguments();
  ASSERT_FALSE(seen.empty());
  // ']' outside of a class needs no escape, but may have one.
  EXPECT_THAT(seen[0][3], testing::AnyOf("a\\*b\\?\\[c]\\\\:n\\*/*", "a\\*b\\?\\[c\\]\\\\:n\\*/*"));
}

TEST_F(Wire, KeysCannotInjectCommands) {
  const std::string nasty = "x\r\nFLUSHALL\r\n*1\r\n$8\r\nFLUSHALL\r\n";
  ASSERT_TRUE(ok(cache.set(key_of(nasty), nasty).get()));
  const auto seen = arguments();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0][1], wire(nasty));
  EXPECT_EQ(seen[0][2], nasty);
}

TEST_F(Wire, AReconnectIsAHandshakeAndNoMore) {
  server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  ASSERT_TRUE(wait_until([&] { return cache.stats().connects == 2; }));
  Monitor after(server);  // the other one's connection was killed, too
  EXPECT_TRUE(ok(cache.ping().get()));
  EXPECT_THAT(after.lines(), ElementsAre("PING"));
}

TEST_F(Wire, AllUseOneConnection) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([copy = cache] {
      for (int i = 0; i < 100; ++i) (void)copy.get(key_of("k")).get();
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<std::string> clients;
  for (const auto& command : monitor.commands()) clients.insert(command.client);
  EXPECT_EQ(clients.size(), 1U);
  EXPECT_EQ(cache.stats().connects, 1U);
}

// --- the handshake -----------------------------------------------------------------------------

// What a connection says before its first command of a user.
std::vector<Command> handshake_of(ValkeyCacheOptions options) {
  FakeServer fake(answering([](const Command&) { return std::string("+PONG\r\n"); }));
  options.host = "127.0.0.1";
  options.port = fake.port();
  const auto cache = ValkeyCache::open(options).value();
  EXPECT_TRUE(ok(cache.ping().get()));
  auto commands = fake.commands();
  EXPECT_EQ(commands.back(), Command{"PING"});
  commands.pop_back();
  return commands;
}

// The server's view of who has logged in how: (user, password) by AUTH or by HELLO … AUTH.
std::vector<Command> logins(const std::vector<Command>& commands) {
  std::vector<Command> found;
  for (const auto& command : commands) {
    if (command[0] == "AUTH") found.emplace_back(command.begin() + 1, command.end());
    const auto inside = std::find(command.begin(), command.end(), "AUTH");
    if (command[0] == "HELLO" && inside != command.end()) {
      found.push_back({*(inside + 1), *(inside + 2)});
    }
  }
  return found;
}

TEST(Handshake, SaysHelloAndItsName) {
  const auto commands = handshake_of(patient_options());
  int hellos = 0;
  bool named = false;
  bool library = false;
  bool version = false;
  for (const auto& command : commands) {
    EXPECT_TRUE(is_handshake(command)) << command[0];
    EXPECT_NE(command[0], "AUTH");
    EXPECT_NE(command[0], "SELECT") << "database 0 is where a connection starts";
    if (command[0] == "HELLO") {
      ++hellos;
      EXPECT_EQ(command.at(1), "3");
    }
    if (command[0] != "CLIENT") continue;
    named = named || command == Command{"CLIENT", "SETNAME", "valkeycache"};
    library =
        library || (command.size() == 4 && command[1] == "SETINFO" && command[2] == "LIB-NAME");
    version =
        version || command == Command{"CLIENT", "SETINFO", "LIB-VER", VALKEYCACHE_VERSION_STRING};
    EXPECT_TRUE(command[1] == "SETNAME" || command[1] == "SETINFO") << command[1];
  }
  EXPECT_EQ(hellos, 1);
  EXPECT_TRUE(named);
  EXPECT_TRUE(library);
  EXPECT_TRUE(version);
}

TEST(Handshake, LogsInBeforeAllElse) {
  auto options = patient_options();
  options.username = "user";
  options.password = "pass word";
  options.database = 3;
  const auto commands = handshake_of(options);
  EXPECT_THAT(logins(commands), ElementsAre(Command{"user", "pass word"}));
  ASSERT_FALSE(commands.empty());
  EXPECT_TRUE(commands[0][0] == "AUTH" || commands[0][0] == "HELLO");
  EXPECT_THAT(commands, testing::Contains(Command{"SELECT", "3"}));
}

TEST(Handshake, APasswordAloneIsTheDefaultUsers) {
  auto options = patient_options();
  options.password = "secret";
  const auto found = logins(handshake_of(options));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0], testing::AnyOf(Command{"secret"}, Command{"default", "secret"}));
}

TEST(Handshake, NoNameNoSetName) {
  auto options = patient_options();
  options.client_name.clear();
  for (const auto& command : handshake_of(options)) {
    EXPECT_FALSE(command.size() > 1 && command[1] == "SETNAME");
  }
}

TEST(Handshake, TheServerKnowsTheClient) {
  ValkeyServer& server = shared_server();
  auto options = patient_options();
  options.client_name = "the-test";
  options.database = 5;
  const auto cache = ValkeyCache::open(server.unix_uri() + "?db=5", options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  const auto list = server.command({"CLIENT", "LIST"}).text;
  const auto at = list.find("name=the-test");
  ASSERT_NE(at, std::string::npos) << list;
  const auto line = list.substr(at, list.find('\n', at) - at);
  EXPECT_NE(line.find("db=5"), std::string::npos) << line;
  EXPECT_NE(line.find("resp=3"), std::string::npos) << line;
  auto observer = server.connect();
  observer.command({"SELECT", "5"});
  EXPECT_EQ(observer.command({"GET", cache.wire_key(key_of("k"))}).text, "v");
  EXPECT_FALSE(stored(server, cache.wire_key(key_of("k"))).has_value());
  EXPECT_EQ(cache.clear().get().value(), 1U);
}

}  // namespace
