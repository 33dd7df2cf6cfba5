// The ACL lines of docs/operations.md are enough, and none of their commands is too much; and what
// ElastiCache Serverless refuses is not missed.
#include <valkeycache/cached_llm.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "support/valkey/valkey_cluster.hpp"
#include "support/valkey/valkey_server.hpp"
#include "support/valkey/wait.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

using Words = std::vector<std::string>;

// The lines in the guide, without their comments.
std::vector<Words> documented() {
  std::ifstream file(VALKEYCACHE_OPERATIONS);
  std::vector<Words> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("ACL SETUSER app ", 0) != 0) continue;
    std::istringstream text(line.substr(0, line.find('#')));
    lines.emplace_back(std::istream_iterator<std::string>(text),
                       std::istream_iterator<std::string>());
  }
  if (lines.size() != 5) throw std::runtime_error("the guide has other lines than expected");
  return lines;
}

// The first one, and that which allows a command.
std::vector<Words> documented_for(const std::string& command) {
  std::vector<Words> chosen{documented().front()};
  for (const auto& line : documented()) {
    if (std::find(line.begin(), line.end(), "+" + command) != line.end()) chosen.push_back(line);
  }
  if (chosen.size() != 2) throw std::runtime_error("the guide does not allow " + command);
  return chosen;
}

void set_up(const ValkeyServer& server, const std::vector<Words>& lines) {
  for (const auto& line : lines) server.command(line);
}

ValkeyCacheOptions app() {
  ValkeyCacheOptions options;
  options.username = "app";
  options.password = "PASSWORD";
  options.connect_timeout = patience;
  options.command_timeout = patience;
  options.near_cache.max_bytes = std::size_t{1} << 20;
  options.near_cache.max_age = patience;
  return options;
}

CacheKey key_of(const std::string& text) {
  return CacheKey::raw({"acl"}, text).value();
}

void use_the_cache(const ValkeyCache& cache) {
  const auto key = key_of("k");
  ASSERT_TRUE(ok(cache.set(key, "v", 1h).get()));
  ASSERT_TRUE(ok(cache.set(key, "v", 3600500ms).get()));
  EXPECT_EQ(cache.get(key).get().value(), "v");
  ASSERT_TRUE(wait_until([&] {
    EXPECT_EQ(cache.get(key).get().value(), "v");
    return cache.stats().near_hits != 0;
  }));
  std::vector<KeyValue> entries;
  std::vector<CacheKey> keys;
  for (const char* name : {"a", "b", "c", "d"}) {
    keys.push_back(key_of(name));
    entries.push_back({keys.back(), name});
  }
  for (const auto& stored : cache.set(entries).get().value()) EXPECT_TRUE(ok(stored));
  keys.push_back(key_of("absent"));
  const auto found = cache.get(keys).get().value();
  ASSERT_EQ(found.size(), 5U);
  for (const auto& one : found) EXPECT_TRUE(ok(one));
  EXPECT_EQ(found[3].value(), "d");
  EXPECT_TRUE(cache.touch(key, 2h).get().value());
  EXPECT_TRUE(cache.touch(key, 7200500ms).get().value());
  EXPECT_GT(cache.ttl(key).get().value()->duration(), 1h);
  EXPECT_TRUE(cache.expire_if(key, "v", 3h).get().value());
  EXPECT_TRUE(cache.replace_if(key, "v", "w", 1h).get().value());
  EXPECT_TRUE(cache.replace_if(key, "w", "x").get().value());
  EXPECT_FALSE(cache.set_if_absent(key, "y").get().value());
  EXPECT_TRUE(cache.erase_if(key, "x").get().value());
  EXPECT_FALSE(cache.erase(key).get().value());
  EXPECT_TRUE(ok(cache.ping().get()));
  EXPECT_EQ(cache.clear({"acl"}).get().value(), 4U);
}

void use_cached_llm(const ValkeyCache& cache) {
  int asked = 0;
  const auto model = make_text_llm({.model = "m", .scope = "local"}, [&](const ChatRequest&) {
    return "answer " + std::to_string(++asked);
  });
  CachedLlmOptions options;
  options.ttl = 1h;
  options.advanced.connect_timeout = patience;
  options.advanced.command_timeout = patience;
  options.advanced.lease = 10s;
  const CachedLlm llm(cache, model, options);
  const auto miss = llm.ask("What is Valkey?").get().value();
  EXPECT_FALSE(miss.cached);
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  const auto hit = llm.ask("What is Valkey?").get().value();
  EXPECT_TRUE(hit.cached);
  EXPECT_EQ(hit.response, "answer 1");
  for (const bool cached : {false, true}) {
    std::string told;
    const auto streamed = llm.stream(ChatRequest("And ACLs?").temperature(0.7),
                                     [&](const StreamEvent& event) {
                                       if (event.type == StreamEvent::Type::text_delta)
                                         told += event.text;
                                     })
                              .get()
                              .value();
    EXPECT_EQ(streamed.cached, cached);
    EXPECT_EQ(told, "answer 2");
    ASSERT_TRUE(ok(cache.flush(patience).get()));
  }
  EXPECT_TRUE(ok(llm.ask("What is Valkey?", {.refresh = true}).get()));
  EXPECT_EQ(asked, 3);
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  EXPECT_EQ(cache.clear().get().value(), 2U);
}

void use_everything(const ValkeyCache& cache) {
  use_the_cache(cache);
  use_cached_llm(cache);
  EXPECT_EQ(cache.stats().errors, 0U);
  EXPECT_EQ(cache.stats().connect_failures, 0U);
}

// What the server has refused anybody.
std::string denied(const ValkeyServer& server) {
  std::string all;
  for (const auto& entry : server.command({"ACL", "LOG"}).items) {
    for (const auto& item : entry.items) all += item.text + " ";
  }
  return all;
}

void expect_used(const ValkeyServer& server, const std::vector<Words>& lines) {
  const auto stats = server.command({"INFO", "commandstats"}).text;
  for (const auto& line : lines) {
    for (const auto& word : line) {
      if (word.front() != '+') continue;
      EXPECT_NE(stats.find("cmdstat_" + word.substr(1) + ":"), stats.npos) << word;
    }
  }
}

// --- the guide's lines ---------------------------------------------------------------------------

TEST(Acl, TheFirstLineIsEnoughAndNoMore) {
  const ValkeyServer server;
  set_up(server, {documented().front()});
  {
    const auto cache = ValkeyCache::open(server.uri(), app()).value();
    use_everything(cache);
    EXPECT_EQ(cache.stats().near_coherence, NearCoherence::tracking);
  }
  EXPECT_EQ(denied(server), "");
  expect_used(server, {documented().front()});

  auto user = server.connect();
  ASSERT_FALSE(user.command({"AUTH", "app", "PASSWORD"}).is_error());
  for (const Words& command :
       {Words{"GET", "other:key"}, Words{"SET", "llm_cach", "v"}, Words{"KEYS", "*"},
        Words{"FLUSHALL"}, Words{"CONFIG", "GET", "*"}, Words{"ACL", "LIST"}, Words{"SELECT", "1"},
        Words{"CLIENT", "LIST"}, Words{"EVAL", "return redis.call('KEYS', '*')", "0"},
        Words{"EVAL", "return redis.call('GET', KEYS[1])", "1", "other:key"},
        Words{"PUBLISH", "channel", "message"}, Words{"CLUSTER", "SLOTS"}, Words{"ROLE"}}) {
    const auto reply = user.command(command);
    EXPECT_TRUE(reply.is_error()) << command.front();
    EXPECT_NE(reply.text.find("o permissions"), std::string::npos) << reply.text;
  }
}

// The guide's ElastiCache user is allowed what the lines for a cluster and its replicas allow.
TEST(Acl, TheElastiCacheUserHasTheSame) {
  std::ifstream file(VALKEYCACHE_OPERATIONS);
  const std::string before = "--access-string \"";
  std::string line;
  while (line.find(before) == line.npos) {
    ASSERT_TRUE(std::getline(file, line)) << "the guide has no access string";
  }
  line.erase(0, line.find(before) + before.size());
  line.erase(line.find('"'));
  std::set<std::string> allowed;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (word.front() == '+' || word.front() == '~') allowed.insert(word);
  }
  std::set<std::string> wanted;
  const auto lines = documented();
  for (std::size_t i = 0; i < 3; ++i) {
    for (const auto& word : lines[i]) {
      if (word.front() == '+' || word.front() == '~') wanted.insert(word);
    }
  }
  EXPECT_EQ(allowed, wanted);
}

TEST(Acl, ADatabaseOtherThanZero) {
  const ValkeyServer server;
  set_up(server, documented_for("select"));
  auto options = app();
  options.database = 1;
  use_everything(ValkeyCache::open(server.uri(), options).value());
  EXPECT_EQ(denied(server), "");
}

TEST(Acl, APrimary) {
  const ValkeyServer server;
  set_up(server, documented_for("role"));
  use_everything(
      ValkeyCache::open("valkey+replicated://127.0.0.1:" + std::to_string(server.port()), app())
          .value());
  EXPECT_EQ(denied(server), "");
  expect_used(server, documented_for("role"));
}

// --- clusters, and what Serverless refuses -------------------------------------------------------

class AclCluster : public testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<ValkeyCluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }
  static void apply_everywhere(const std::vector<Words>& lines) {
    for (std::size_t i = 0; i < cluster_->size(); ++i) {
      set_up(cluster_->server(i), lines);
      cluster_->server(i).command({"ACL", "LOG", "RESET"});
    }
  }
  static inline std::unique_ptr<ValkeyCluster> cluster_;
};

TEST_F(AclCluster, TheSecondLineIsEnough) {
  apply_everywhere(documented_for("cluster|slots"));
  const auto cache = ValkeyCache::open(cluster_->uri(), app()).value();
  use_everything(cache);
  EXPECT_EQ(cache.stats().near_coherence, NearCoherence::tracking);
  // A slot on its way is asked for with ASKING.
  const auto key = key_of("moving");
  const auto slot = cluster_->slot_of(cache.wire_key(key));
  const auto from = cluster_->owner_of(slot, 0).value();
  const auto to = (from + 1) % cluster_->size();
  cluster_->begin_move(slot, from, to);
  EXPECT_TRUE(ok(cache.set(key, "v").get()));
  cluster_->end_move(slot, from, to);
  EXPECT_EQ(cache.get(key).get().value(), "v");
  EXPECT_EQ(cache.clear().get().value(), 1U);
  for (std::size_t i = 0; i < cluster_->size(); ++i) {
    EXPECT_EQ(denied(cluster_->server(i)), "");
  }
  expect_used(cluster_->server(to), {{"+asking"}});
}

TEST_F(AclCluster, WhatServerlessRefusesIsNotMissed) {
  const Words user{"ACL", "SETUSER", "app", "reset", "on", ">PASSWORD", "~*", "&*", "+@all"};
  const std::vector<Words> limits = {
      {"-keys", "-select", "-client"},
      {"-keys", "-select", "-client|setinfo"},
      {"-keys", "-select", "-client|tracking"},
      {"-keys", "-select", "-client|setname", "-readonly", "-role", "-info", "-config", "-wait"}};
  for (const auto& limit : limits) {
    auto line = user;
    line.insert(line.end(), limit.begin(), limit.end());
    apply_everywhere({line});
    const auto cache = ValkeyCache::open(cluster_->uri(), app()).value();
    use_everything(cache);
    const bool tracks = limit[2] == "-client|setinfo" || limit[2] == "-client|setname";
    EXPECT_EQ(cache.stats().near_coherence,
              tracks ? NearCoherence::tracking : NearCoherence::max_age)
        << limit[2];
    EXPECT_NE(denied(cluster_->server(0)), "") << limit[2];
  }
}

}  // namespace
