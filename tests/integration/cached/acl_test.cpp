// The ACL lines of docs/operations.md are enough, and none of their commands is too much; and what
// ElastiCache Serverless refuses is not missed.
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

#include "acl_uses.hpp"
#include "support/valkey/valkey_cluster.hpp"
#include "support/valkey/valkey_server.hpp"

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

// The first one, and those which allow these commands.
std::vector<Words> documented_for(const std::vector<std::string>& commands) {
  std::vector<Words> chosen{documented().front()};
  for (const auto& command : commands) {
    for (const auto& line : documented()) {
      if (std::find(line.begin(), line.end(), "+" + command) != line.end()) chosen.push_back(line);
    }
  }
  if (chosen.size() != 1 + commands.size()) {
    throw std::runtime_error("the guide has not a line for each of these");
  }
  return chosen;
}

void set_up(const ValkeyServer& server, const std::vector<Words>& lines) {
  for (const auto& line : lines) server.command(line);
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
  set_up(server, documented_for({"select"}));
  auto options = app();
  options.database = 1;
  use_everything(ValkeyCache::open(server.uri(), options).value());
  EXPECT_EQ(denied(server), "");
}

TEST(Acl, APrimary) {
  const ValkeyServer server;
  set_up(server, documented_for({"role"}));
  use_everything(
      ValkeyCache::open("valkey+replicated://127.0.0.1:" + std::to_string(server.port()), app())
          .value());
  EXPECT_EQ(denied(server), "");
  expect_used(server, documented_for({"role"}));
}

// Reads are those of a replica as soon as it is connected; writes are the primary's.
void read_from_replica(const std::string& uri, const ValkeyServer& primary,
                       const ValkeyServer& replica) {
  auto options = app();
  options.near_cache = {};  // which is filled by the primary
  options.read_from = ReadFrom::replica;
  const auto cache = ValkeyCache::open(uri, options).value();
  const auto reads_of = [](const ValkeyServer& server) {
    const auto stats = server.command({"INFO", "commandstats"}).text;
    const auto at = stats.find("cmdstat_get:calls=");
    return at == stats.npos
               ? 0
               : std::stoi(stats.substr(at + std::string("cmdstat_get:calls=").size()));
  };
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  ASSERT_TRUE(wait_until([&] {
    EXPECT_TRUE(ok(cache.get(key_of("k")).get()));
    return reads_of(replica) != 0;
  }));
  const auto of_primary = reads_of(primary);
  ASSERT_TRUE(wait_until([&] { return cache.get(key_of("k")).get().value() == "v"; }));
  const CachedLlm llm(
      cache,
      make_text_llm({.model = "m", .scope = "local"}, [](const ChatRequest&) { return "answer"; }),
      patient_llm());
  ASSERT_TRUE(ok(llm.ask("What is Valkey?").get()));
  ASSERT_TRUE(wait_until([&] { return llm.ask("What is Valkey?").get().value().cached; }));
  EXPECT_EQ(reads_of(primary), of_primary);
  EXPECT_EQ(cache.clear().get().value(), 2U);
  EXPECT_EQ(cache.stats().errors, 0U);
  EXPECT_EQ(denied(primary), "");
  EXPECT_EQ(denied(replica), "");
}

TEST(Acl, ReadingFromTheReplicaOfAPrimary) {
  const ValkeyServer primary{{.config = {"repl-diskless-sync-delay 0"}}};
  const ValkeyServer replica;
  for (const auto* server : {&primary, &replica}) {
    set_up(*server, documented_for({"role", "readonly"}));
  }
  replica.command({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
  ASSERT_TRUE(wait_until([&] {
    return replica.command({"INFO", "replication"}).text.find("master_link_status:up") !=
               std::string::npos &&
           !primary.command({"ROLE"}).items.at(2).items.empty();
  }));
  read_from_replica("valkey+replicated://127.0.0.1:" + std::to_string(primary.port()), primary,
                    replica);
}

TEST(Acl, ReadingFromTheReplicasOfACluster) {
  const ValkeyCluster cluster({.primaries = 1, .replicas = 1});
  const auto lines = documented_for({"cluster|slots", "readonly"});
  for (std::size_t i = 0; i < cluster.size(); ++i) set_up(cluster.server(i), lines);
  cluster.server(0).command({"SET", "other:key", "v"});
  ASSERT_TRUE(wait_until([&] {  // a replica is told of once it has something
    return cluster.server(0).command({"CLUSTER", "SLOTS"}).items.at(0).items.size() == 4;
  }));
  read_from_replica(cluster.uri(), cluster.server(0), cluster.server(1));
  expect_used(cluster.server(1), {{"+readonly", "+get"}});
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
  apply_everywhere(documented_for({"cluster|slots"}));
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

// As it presents itself: all of that behind one name, over TLS.
TEST(AclServerless, OneEndpointOverTlsThatRefusesIsUsedInFull) {
  const ValkeyCluster cluster({.primaries = 1,
                               .config = {"cluster-preferred-endpoint-type unknown-endpoint"},
                               .tls = true,
                               .certificate = {.names = "DNS:localhost"},
                               .fronted = true});
  for (const bool tracks : {true, false}) {
    set_up(cluster.server(0), {{"ACL", "SETUSER", "app", "reset", "on", ">PASSWORD", "~*", "&*",
                                "+@all", "-keys", "-select", "-readonly", "-role", "-info",
                                "-config", "-wait", tracks ? "-client|setinfo" : "-client"}});
    auto options = app();
    options.tls.ca_file = cluster.server(0).ca_file();
    const auto cache = ValkeyCache::open(cluster.uri(0), options).value();
    use_everything(cache);
    EXPECT_EQ(cache.stats().near_coherence,
              tracks ? NearCoherence::tracking : NearCoherence::max_age);
    EXPECT_EQ(cache.stats().connects, 1U);
    EXPECT_EQ(cache.stats().connect_failures, 0U);
  }
}

}  // namespace
