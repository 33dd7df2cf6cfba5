// Entries out of a real Valkey and into another one, or into no server at all.
#include <valkeycache/transfer.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include <sys/stat.h>
#include <sys/wait.h>

#include "contract.hpp"
#include "support/valkey/monitor.hpp"
#include "support/valkey/valkey_cluster.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

const std::string secret(32, 's');

class Transfer : public CacheContract {
 protected:
  void fill(int count) const {
    std::vector<KeyValue> entries;
    for (const auto& key : many_keys(static_cast<std::size_t>(count))) {
      entries.push_back({key, "value of " + key.text(), 1h});
    }
    for (const auto& stored : cache.set(entries).get().value()) ASSERT_TRUE(ok(stored));
  }
  // Of the same prefix, elsewhere.
  [[nodiscard]] ValkeyCache empty_copy() const {
    auto options = patient_options();
    options.prefix = cache.prefix();
    static int made = 0;
    return ValkeyCache::open("memory://copy" + std::to_string(++made), options).value();
  }

  const TemporaryFolder folder_;
  const std::string file_ = folder_.path() + "/entries.ndjson";
};
VALKEYCACHE_EVERY_TRANSPORT(Transfer);

TEST_P(Transfer, OutAndBack) {
  fill(2500);
  const std::string bytes("\0\xFF\n\r\"", 5);
  ASSERT_TRUE(ok(cache.set(key_of("bytes\xFF"), bytes).get()));
  const auto gets = cache.stats().gets;
  const auto exported = export_entries(cache, file_, {.secret = secret});
  ASSERT_TRUE(ok(exported));
  EXPECT_EQ(exported->entries, 2501U);
  EXPECT_EQ(cache.stats().gets, gets);
  EXPECT_EQ(exported->bytes, fs::file_size(file_));
  struct stat status = {};
  ASSERT_EQ(stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);

  const auto copy = empty_copy();
  const auto to_memory = import_entries(copy, file_, {.secret = secret});
  ASSERT_TRUE(ok(to_memory));
  EXPECT_EQ(to_memory->stored, 2501U);
  EXPECT_TRUE(to_memory->complete);
  EXPECT_EQ(copy.get(key_of("bytes\xFF")).get().value(), bytes);

  ASSERT_EQ(cache.clear().get().value(), 2501U);
  const auto back = import_entries(cache, file_, {.secret = secret});
  ASSERT_TRUE(ok(back));
  EXPECT_EQ(back->stored, 2501U);
  EXPECT_EQ(cache.get(key_of("bytes\xFF")).get().value(), bytes);
  EXPECT_EQ(cache.get(key_of("key2499")).get().value(), "value of key2499");
  const auto left = cache.ttl(key_of("key7")).get().value()->duration();
  EXPECT_LE(left, 1h);
  EXPECT_GT(left, 50min);
  EXPECT_EQ(import_entries(cache, file_, {.secret = secret}).value().present, 2501U);
}

TEST_P(Transfer, OnlyWhatIsUnderThePrefix) {
  fill(3);
  auto options = patient_options();
  options.prefix = cache.prefix().substr(0, cache.prefix().size() - 1) + "2:";
  const auto neighbour = open(options);
  ASSERT_TRUE(ok(neighbour.set(key_of("k"), "v").get()));
  EXPECT_EQ(export_entries(cache, file_).value().entries, 3U);
  EXPECT_TRUE(
      fails_with(import_entries(neighbour, file_, {.trust = true}), ErrorCode::file_refused));
  EXPECT_EQ(neighbour.clear().get().value(), 1U);
}

class TransferFromServer : public Transfer {};
INSTANTIATE_TEST_SUITE_P(Over, TransferFromServer, testing::Values(Transport::tcp), transport_name);

// Lists and names that no CacheKey has are somebody else's.
TEST_P(TransferFromServer, WhatIsNoEntryIsLeftOut) {
  fill(2);
  const auto& server = shared_server();
  server.command({"RPUSH", cache.prefix() + "list", "x"});
  server.command({"SET", cache.prefix() + "a//b", "x"});
  server.command({"SET", cache.prefix() + "key:lease", "x"});
  const auto report = export_entries(cache, file_);
  ASSERT_TRUE(ok(report));
  EXPECT_EQ(report->entries, 2U);
  EXPECT_EQ(report->foreign, 2U);
  EXPECT_EQ(report->leases, 1U);
}

TEST_P(TransferFromServer, AsksForEachKeyOnce) {
  fill(300);
  Monitor monitor(shared_server());
  ASSERT_EQ(export_entries(cache, file_).value().entries, 300U);
  std::multiset<std::string> asked;
  std::set<std::string> names;
  for (const auto& command : monitor.commands()) {
    names.insert(command.arguments[0]);
    if (command.arguments[0] == "GET") asked.insert(command.arguments[1]);
  }
  EXPECT_EQ(asked.size(), 300U);
  EXPECT_EQ(std::set<std::string>(asked.begin(), asked.end()).size(), 300U);
  EXPECT_EQ(names.count("KEYS"), 0U);
}

TEST_P(TransferFromServer, ACrashLeavesWhatWasThere) {
  fill(2000);
  std::ofstream(file_) << "before";
  const auto crash = [&](const std::string& to) {
    ChildProcess program({VALKEYCACHE_TRANSFER_EXPORT, shared_server().uri(), cache.prefix(), to});
    const auto status = program.wait(patience);
    return status && WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL;
  };
  ASSERT_TRUE(crash(file_));
  EXPECT_EQ(read_text(file_), "before");
  ASSERT_TRUE(crash(folder_.path() + "/new"));
  EXPECT_FALSE(fs::exists(folder_.path() + "/new"));
  int partial = 0;
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    if (entry.path() == file_) continue;
    ++partial;
    struct stat status = {};
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U) << entry.path();
  }
  EXPECT_EQ(partial, 2);
}

TEST(TransferFailures, AServerThatIsGone) {
  auto server = std::make_unique<ValkeyServer>();
  auto options = patient_options();
  const auto cache = ValkeyCache::open(server->uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  const TemporaryFolder folder;
  const auto file = folder.path() + "/entries.ndjson";
  ASSERT_TRUE(ok(export_entries(cache, file)));
  const auto before = read_text(file);
  server->stop();
  options.connect_timeout = options.command_timeout = 50ms;
  const auto hasty = ValkeyCache::open(server->uri(), options).value();
  const auto exported = export_entries(hasty, file);
  EXPECT_TRUE(fails_with(
      exported, {ErrorCode::connect_failed, ErrorCode::timeout, ErrorCode::connection_lost}));
  EXPECT_EQ(read_text(file), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
  const auto imported = import_entries(hasty, file, {.trust = true});
  ASSERT_TRUE(ok(imported));
  EXPECT_EQ(imported->failed, 1U);
  EXPECT_TRUE(imported->stopped);
  EXPECT_FALSE(imported->complete);
}

TEST(TransferFailures, AFullServerStopsTheImport) {
  ValkeyServer server({.config = {"maxmemory 8mb", "maxmemory-policy noeviction"}});
  const auto options = patient_options();
  const auto from = ValkeyCache::open("memory://transfer-full", options).value();
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(ok(from.set(key_of("k" + std::to_string(i)), std::string(100'000, 'x')).get()));
  }
  const TemporaryFolder folder;
  const auto file = folder.path() + "/entries.ndjson";
  ASSERT_TRUE(ok(export_entries(from, file)));
  const auto to = ValkeyCache::open(server.uri(), options).value();
  const auto report = import_entries(to, file, {.trust = true}).value();
  EXPECT_EQ(report.stopped, ErrorCode::server_unavailable);
  EXPECT_LT(report.stored, 200U);
  EXPECT_GT(report.failed, 0U);
  EXPECT_EQ(static_cast<std::uint64_t>(server.command({"DBSIZE"}).integer), report.stored);
}

TEST(TransferCluster, EveryPrimary) {
  const ValkeyCluster cluster;
  const auto options = patient_options();
  const auto cache = ValkeyCache::open(cluster.uri(), options).value();
  std::vector<KeyValue> entries;
  for (const auto& key : many_keys(1500)) entries.push_back({key, key.text(), 1h});
  for (const auto& stored : cache.set(entries).get().value()) ASSERT_TRUE(ok(stored));
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    ASSERT_GT(cluster.server(i).command({"DBSIZE"}).integer, 0);
  }
  const TemporaryFolder folder;
  const auto file = folder.path() + "/entries.ndjson";
  const auto exported = export_entries(cache, file, {.secret = secret});
  ASSERT_TRUE(ok(exported));
  EXPECT_EQ(exported->entries, 1500U);
  ASSERT_EQ(cache.clear().get().value(), 1500U);
  const auto imported = import_entries(cache, file, {.secret = secret});
  ASSERT_TRUE(ok(imported));
  EXPECT_EQ(imported->stored, 1500U);
  EXPECT_TRUE(imported->complete);
  EXPECT_EQ(cache.get(key_of("key1499")).get().value(), "key1499");
}

// A slot whose keys move while they are exported: each is there, and once.
TEST(TransferCluster, WhileSlotsMove) {
  const ValkeyCluster cluster;
  const auto cache = ValkeyCache::open(cluster.uri(), patient_options()).value();
  std::vector<KeyValue> entries;
  for (const auto& key : many_keys(3000)) entries.push_back({key, key.text(), 1h});
  for (const auto& stored : cache.set(entries).get().value()) ASSERT_TRUE(ok(stored));
  const auto slot = cluster.slot_of(cache.wire_key(key_of("key0")));
  const auto owner = cluster.owner_of(slot, 0).value();
  const TemporaryFolder folder;
  const auto file = folder.path() + "/entries.ndjson";
  ExportOptions options;
  bool moved = false;
  options.progress = [&](const ExportReport&) {
    if (!std::exchange(moved, true)) cluster.move(slot, owner, (owner + 1) % 3);
  };
  const auto exported = export_entries(cache, file, options);
  ASSERT_TRUE(ok(exported));
  EXPECT_EQ(exported->entries + exported->gone, 3000U);
  EXPECT_EQ(exported->gone, 0U);
}

}  // namespace
