// Servers that refuse: each refusal is a typed error with the server's own word, and the connection
// goes on where it can.
#include <optional>
#include <stdexcept>

#include <sys/stat.h>

#include "fault.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

// --- who may log in ----------------------------------------------------------------------------

TEST(Refusals, AWrongPassword) {
  const ValkeyServer server({.password = "right"});
  const std::string at = "@127.0.0.1:" + std::to_string(server.port());
  for (const std::string login : {":hunter2", "default:hunter2", "nobody:hunter2"}) {
    const LogRecords log;
    auto options = patient();
    options.log = log.hook();
    const auto cache = ValkeyCache::open("valkey://" + login + at, options).value();
    const auto before = SteadyClock::now();
    const auto got = cache.get(key_of("k")).get();
    EXPECT_TRUE(refused(got, ErrorCode::authentication, "WRONGPASS"));
    EXPECT_LT(SteadyClock::now() - before, a_moment) << "it is told, and not waited out";
    EXPECT_FALSE(got.error().retryable);
    const auto set = cache.set(key_of("k"), "value").get();
    EXPECT_TRUE(refused(set, ErrorCode::authentication, "WRONGPASS"));
    EXPECT_FALSE(set.error().maybe_applied);
    EXPECT_EQ(set.error().message.find("hunter2"), std::string::npos);
    EXPECT_FALSE(cache.connected());
    EXPECT_GE(cache.stats().connect_failures, 1U);
    EXPECT_EQ(cache.stats().connects, 0U);
    EXPECT_TRUE(wait_until([&] { return !log.lines().empty(); }));
    EXPECT_FALSE(log.hold("hunter2"));
  }
  EXPECT_EQ(server.command({"DBSIZE"}).integer, 0);
}

TEST(Refusals, NoPasswordWhereOneIsWanted) {
  const ValkeyServer server({.password = "right"});
  const auto cache =
      ValkeyCache::open("valkey://127.0.0.1:" + std::to_string(server.port()), patient()).value();
  EXPECT_TRUE(refused(cache.get(key_of("k")).get(), ErrorCode::authentication, "NOAUTH"));
  EXPECT_TRUE(refused(cache.set(key_of("k"), "v").get(), ErrorCode::authentication, "NOAUTH"));
}

TEST(Refusals, NoPasswordWhereOneIsWantedByAServerWithoutHello) {
  const ValkeyServer server({.config = {"rename-command HELLO \"\""}, .password = "right"});
  const auto cache =
      ValkeyCache::open("valkey://127.0.0.1:" + std::to_string(server.port()), patient()).value();
  EXPECT_TRUE(refused(cache.get(key_of("k")).get(), ErrorCode::authentication, "NOAUTH"));
}

TEST(Refusals, APasswordWhereNoneIsWanted) {
  const ValkeyServer server;
  auto options = patient();
  options.password = "hunter2";
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  // The default user of a server without a password takes any by AUTH user password, and refuses it
  // by AUTH password: either is an answer.
  const auto got = cache.get(key_of("k")).get();
  if (!got) {
    EXPECT_TRUE(fails_with(got, ErrorCode::authentication));
    EXPECT_EQ(got.error().message.find("hunter2"), std::string::npos);
  }
}

TEST(Refusals, ThePasswordIsSetRightOnTheServerLater) {
  const ValkeyServer server({.config = {"user alice on >old ~* +@all"}});
  auto options = patient();
  options.username = "alice";
  options.password = "new";
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  EXPECT_TRUE(refused(cache.get(key_of("k")).get(), ErrorCode::authentication, "WRONGPASS"));
  server.command({"ACL", "SETUSER", "alice", ">new"});
  EXPECT_TRUE(wait_until([&] { return cache.get(key_of("k")).get().has_value(); }));
}

// --- what they may do --------------------------------------------------------------------------

TEST(Refusals, CommandsThatTheAclForbids) {
  const ValkeyServer server({.config = {"user reader on >pass ~* -@all +get +mget +ping +pttl",
                                        "user narrow on >pass ~llm_cache:mine/* +@all",
                                        "user nothing on >pass ~* -@all"}});
  auto options = patient();
  options.password = "pass";
  options.username = "reader";
  const auto reader = ValkeyCache::open(server.uri(), options).value();
  EXPECT_EQ(reader.get(key_of("k")).get().value(), std::nullopt)
      << "CLIENT is forbidden too, and is only a courtesy";
  for (int i = 0; i < 3; ++i) {
    const auto set = reader.set(key_of("k"), "value").get();
    EXPECT_TRUE(refused(set, ErrorCode::permission, "NOPERM"));
    EXPECT_FALSE(set.error().retryable);
    EXPECT_EQ(reader.get(key_of("k")).get().value(), std::nullopt);
  }
  EXPECT_TRUE(refused(reader.erase(key_of("k")).get(), ErrorCode::permission, "NOPERM"));
  EXPECT_TRUE(refused(reader.touch(key_of("k"), 1s).get(), ErrorCode::permission, "NOPERM"));
  EXPECT_TRUE(refused(reader.erase_if(key_of("k"), "v").get(), ErrorCode::permission, "NOPERM"));
  EXPECT_TRUE(
      refused(reader.set_if_absent(key_of("k"), "v").get(), ErrorCode::permission, "NOPERM"));
  EXPECT_TRUE(refused(reader.clear().get(), ErrorCode::permission, "NOPERM"));
  EXPECT_TRUE(ok(reader.ping().get()));
  EXPECT_EQ(reader.stats().connects, 1U) << "a refusal does not cost the connection";

  options.username = "narrow";
  const auto narrow = ValkeyCache::open(server.uri(), options).value();
  const auto results = narrow
                           .set({{key_of("a", {"mine"}), "1"},
                                 {key_of("b", {"theirs"}), "2"},
                                 {key_of("c", {"mine"}), "3"}})
                           .get()
                           .value();
  EXPECT_TRUE(ok(results[0]));
  EXPECT_TRUE(refused(results[1], ErrorCode::permission, "NOPERM"));
  EXPECT_TRUE(ok(results[2]));
  EXPECT_EQ(narrow.get(key_of("a", {"mine"})).get().value(), Found("1"));

  options.username = "nothing";
  const auto nothing = ValkeyCache::open(server.uri(), options).value();
  EXPECT_TRUE(fails_with(nothing.get(key_of("k")).get(), ErrorCode::permission));
}

TEST(Refusals, AMgetThatTheAclForbidsFailsEachKey) {
  const ValkeyServer server({.config = {"user u on >pass ~* +@all -mget"}});
  auto options = patient();
  options.username = "u";
  options.password = "pass";
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  const auto results = cache.get({key_of("a"), key_of("b")}).get();
  ASSERT_TRUE(ok(results)) << "each key has its own success";
  ASSERT_EQ(results->size(), 2U);
  for (const auto& each : *results) EXPECT_TRUE(refused(each, ErrorCode::permission, "NOPERM"));
}

TEST(Refusals, ADatabaseThatDoesNotExist) {
  const ValkeyServer server({.config = {"databases 4"}});
  const auto cache = ValkeyCache::open(server.uri() + "/9", patient()).value();
  const auto before = SteadyClock::now();
  const auto set = cache.set(key_of("k"), "v").get();
  ASSERT_FALSE(set.has_value());
  EXPECT_TRUE(refused(set, ErrorCode::server_error, "ERR"));
  EXPECT_NE(set.error().message.find("SELECT"), std::string::npos) << set.error().message;
  EXPECT_LT(SteadyClock::now() - before, a_moment);
  EXPECT_FALSE(cache.get(key_of("k")).get().has_value());
  EXPECT_EQ(server.command({"DBSIZE"}).integer, 0) << "never another database instead";
}

// --- what they can do --------------------------------------------------------------------------

TEST(Refusals, AFullServer) {
  const ValkeyServer server({.config = {"maxmemory-policy noeviction"}});
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  ASSERT_TRUE(ok(cache.set(key_of("there"), "v").get()));
  server.command({"CONFIG", "SET", "maxmemory", "1"});
  const auto set = cache.set(key_of("k"), "value").get();
  EXPECT_TRUE(refused(set, ErrorCode::server_unavailable, "OOM"));
  EXPECT_TRUE(
      refused(cache.set_if_absent(key_of("k"), "v").get(), ErrorCode::server_unavailable, "OOM"));
  EXPECT_EQ(cache.get(key_of("there")).get().value(), Found("v")) << "reading goes on";
  EXPECT_TRUE(cache.erase(key_of("there")).get().value()) << "and so does making room";
  server.command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_TRUE(ok(cache.set(key_of("k"), "value").get()));
  EXPECT_EQ(cache.stats().connects, 1U);
}

TEST(Refusals, AReplica) {
  const ValkeyServer primary({.config = {"repl-diskless-sync-delay 0"}});
  const ValkeyServer replica({.config = {"replicaof 127.0.0.1 " + std::to_string(primary.port())}});
  primary.command({"SET", "llm_cache:test/k", "from the primary"});
  const auto cache = ValkeyCache::open(replica.uri(), patient()).value();
  EXPECT_TRUE(wait_until([&] {
    const auto found = cache.get(key_of("k")).get();
    return found && *found == Found("from the primary");
  }));
  const CacheKey key = key_of("k");
  EXPECT_TRUE(refused(cache.set(key, "v").get(), ErrorCode::server_unavailable, "READONLY"));
  EXPECT_TRUE(refused(cache.erase(key).get(), ErrorCode::server_unavailable, "READONLY"));
  EXPECT_TRUE(refused(cache.clear().get(), ErrorCode::server_unavailable, "READONLY"));
  EXPECT_TRUE(refused(cache.erase_if(key, "from the primary").get(), ErrorCode::server_unavailable,
                      "READONLY"))
      << "a script's error has the word, too";
  EXPECT_EQ(cache.get(key).get().value(), Found("from the primary"));
}

TEST(Refusals, AServerThatCannotSave) {
  const ValkeyServer server({.config = {"save 3600 1", "stop-writes-on-bgsave-error yes"}});
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  ASSERT_TRUE(ok(cache.set(key_of("there"), "v").get()));
  // A folder by the name of the snapshot cannot be replaced by it.
  ASSERT_EQ(mkdir((server.folder() + "/dump.rdb").c_str(), 0700), 0);
  server.command({"BGSAVE"});
  ASSERT_TRUE(wait_until([&] {
    return server.command({"INFO", "persistence"}).text.find("rdb_last_bgsave_status:err") !=
           std::string::npos;
  }));
  EXPECT_TRUE(refused(cache.set(key_of("k"), "v").get(), ErrorCode::server_unavailable, "MISCONF"));
  EXPECT_EQ(cache.get(key_of("there")).get().value(), Found("v"));
  server.command({"CONFIG", "SET", "save", ""});  // or it would not end without having saved
}

TEST(Refusals, AKeyThatHoldsSomethingElse) {
  const ValkeyServer server;
  server.command({"LPUSH", "llm_cache:test/list", "a", "b"});
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  EXPECT_TRUE(refused(cache.get(key_of("list")).get(), ErrorCode::server_error, "WRONGTYPE"));
  const auto many = cache.get(std::vector{key_of("list")}).get().value();
  EXPECT_EQ(many.at(0).value(), std::nullopt) << "as MGET has it";
  EXPECT_TRUE(ok(cache.set(key_of("list"), "now a string").get()));
  EXPECT_EQ(cache.get(key_of("list")).get().value(), Found("now a string"));
}

TEST(Refusals, AServerThatTakesNoMoreClients) {
  const ValkeyServer server({.config = {"maxclients 1", "user alice on >pass ~* +@all"}});
  for (const bool with_password : {false, true}) {
    auto options = patient();
    if (with_password) {
      options.username = "alice";
      options.password = "pass";
    }
    // Those before it have gone, but the server may not have noticed.
    std::optional<RespClient> occupant;
    ASSERT_TRUE(wait_until([&] {
      try {
        occupant.emplace(server.connect());
        return !occupant->command({"PING"}).is_error();
      } catch (const std::runtime_error&) {
        return false;
      }
    }));
    options.command_timeout = 200ms;
    options.connect_timeout = 200ms;
    const auto cache = ValkeyCache::open(server.uri(), options).value();
    const auto got = cache.get(key_of("k")).get();
    ASSERT_FALSE(got.has_value());
    EXPECT_NE(got.error().code, ErrorCode::authentication)
        << "it is not about the password: " << described(got.error());
    EXPECT_TRUE(got.error().retryable) << described(got.error());
    occupant.reset();
    EXPECT_TRUE(wait_until([&] { return cache.get(key_of("k")).get().has_value(); }));
  }
}

// --- words that a real server cannot easily be made to say -------------------------------------

struct Word {
  const char* reply;
  const char* word;
  std::vector<ErrorCode> codes;
  bool retryable;
};

TEST(Refusals, EveryWordIsTyped) {
  for (const auto& word : std::vector<Word>{
           {"-LOADING Valkey is loading the dataset in memory",
            "LOADING",
            {ErrorCode::server_unavailable},
            true},
           {"-READONLY You can't write against a read only replica.",
            "READONLY",
            {ErrorCode::server_unavailable},
            true},
           {"-OOM command not allowed when used memory > 'maxmemory'.",
            "OOM",
            {ErrorCode::server_unavailable},
            true},
           {"-MISCONF Valkey is configured to save RDB snapshots",
            "MISCONF",
            {ErrorCode::server_unavailable},
            true},
           {"-BUSY Valkey is busy running a script.",
            "BUSY",
            {ErrorCode::server_unavailable},
            true},
           {"-MASTERDOWN Link with MASTER is down",
            "MASTERDOWN",
            {ErrorCode::server_unavailable},
            true},
           {"-CLUSTERDOWN The cluster is down",
            "CLUSTERDOWN",
            {ErrorCode::server_unavailable},
            true},
           {"-TRYAGAIN Multiple keys request", "TRYAGAIN", {ErrorCode::server_unavailable}, true},
           {"-NOREPLICAS Not enough good replicas",
            "NOREPLICAS",
            {ErrorCode::server_unavailable},
            true},
           {"-NOPERM No permissions to access a key", "NOPERM", {ErrorCode::permission}, false},
           {"-NOAUTH Authentication required.", "NOAUTH", {ErrorCode::authentication}, false},
           {"-WRONGTYPE Operation against a key", "WRONGTYPE", {ErrorCode::server_error}, false},
           {"-MOVED 3999 127.0.0.1:6381",
            "MOVED",
            {ErrorCode::unsupported, ErrorCode::server_error},
            false},
           {"-ERR unknown command 'GET'", "ERR", {ErrorCode::server_error}, false},
           {"-ERR", "ERR", {ErrorCode::server_error}, false},
           {"-SOMETHINGNEW happened", "SOMETHINGNEW", {ErrorCode::server_error}, false},
       }) {
    FakeServer fake(answering([&](const Command&) { return std::string(word.reply) + "\r\n"; }));
    const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
    for (const auto& result : {Result<void>(cache.set(key_of("k"), "value").get()),
                               Result<void>(cache.get(key_of("k")).get().error()),
                               Result<void>(cache.erase(key_of("k")).get().error()),
                               Result<void>(cache.ttl(key_of("k")).get().error()),
                               Result<void>(cache.touch(key_of("k"), 1s).get().error()),
                               Result<void>(cache.set_if_absent(key_of("k"), "v").get().error()),
                               Result<void>(cache.erase_if(key_of("k"), "v").get().error()),
                               Result<void>(cache.expire_if(key_of("k"), "v", 1s).get().error()),
                               Result<void>(cache.clear().get().error())}) {
      ASSERT_FALSE(result.has_value()) << word.reply;
      EXPECT_THAT(word.codes, testing::Contains(result.error().code))
          << word.reply << ": " << described(result.error());
      EXPECT_EQ(result.error().server_code, word.word);
      EXPECT_NE(result.error().message.find(word.word), std::string::npos)
          << result.error().message;
      EXPECT_EQ(result.error().retryable, word.retryable) << described(result.error());
    }
    EXPECT_EQ(fake.connections(), 1) << word.reply;
  }
}

TEST(Refusals, AServersErrorMayHoldDataAndIsNotRepeated) {
  // "ERR unknown command 'GET', with args beginning with: 'secret…'" quotes what it was sent.
  FakeServer fake(answering([](const Command& command) {
    return "-ERR unknown command, with args beginning with: '" + command.back() + "'\r\n";
  }));
  const LogRecords log;
  auto options = patient();
  options.log = log.hook();
  const auto cache = ValkeyCache::open(fake.uri(), options).value();
  const auto set = cache.set(key_of("k"), "top-secret-answer").get();
  ASSERT_FALSE(set.has_value());
  EXPECT_EQ(set.error().message.find("top-secret"), std::string::npos) << set.error().message;
  EXPECT_FALSE(log.hold("top-secret"));
}

}  // namespace
