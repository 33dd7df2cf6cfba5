// Another server process behind the same address, in the middle of a scan: to it a cursor means
// nothing.
#include <valkeycache/transfer.hpp>

#include <string>

#include "fault.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/tcp_proxy.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class ScanRestart : public testing::Test {
 protected:
  // Keys of `prefix`, so many.
  static void fill(const ValkeyServer& server, const std::string& prefix, int count) {
    server.command({"EVAL", "for i = 1, ARGV[2] do redis.call('SET', ARGV[1] .. i, 'v') end", "0",
                    prefix, std::to_string(count)});
  }
  static long scans(const ValkeyServer& server) {
    const auto told = server.command({"INFO", "commandstats"}).text;
    const std::string before = "cmdstat_scan:calls=";
    const auto at = told.find(before);
    return at == std::string::npos ? 0 : std::stol(told.substr(at + before.size()));
  }

  const ValkeyServer first_;
  const ValkeyServer second_;
  TcpProxy proxy_{first_.port()};
  const ValkeyCache cache_ = ValkeyCache::open(proxy_.uri(), patient()).value();
};

TEST_F(ScanRestart, ClearFindsAllThatTheServerWhichTookOverHas) {
  fill(first_, "other:", 20'000);
  fill(second_, "other:", 20'000);
  fill(second_, cache_.prefix() + "name/space/", 500);
  ASSERT_TRUE(ok(cache_.ping().get()));
  proxy_.hold_replies(100);  // a few pages, each without a key
  auto cleared = cache_.clear();
  ASSERT_TRUE(wait_until([&] { return scans(first_) >= 3; }));
  proxy_.lead_to(second_.port());
  proxy_.release_replies();
  EXPECT_EQ(cleared.get(patience).value(), 500U);
  EXPECT_EQ(second_.command({"DBSIZE"}).integer, 20'000);
}

TEST_F(ScanRestart, AnExportHasAllThatTheServerWhichTookOverHas) {
  for (const auto* server : {&first_, &second_})
    fill(*server, cache_.prefix() + "name/space/", 5000);
  const TemporaryFolder folder;
  bool led = false;
  ExportOptions options;
  options.progress = [&](const ExportReport& report) {
    if (report.entries < 1500 || std::exchange(led, true)) return;
    proxy_.lead_to(second_.port());
  };
  const auto exported = export_entries(cache_, folder.path() + "/entries", options);
  ASSERT_TRUE(ok(exported));
  EXPECT_TRUE(led);
  EXPECT_EQ(exported->entries, 5000U);
}

// A connection that is lost again and again is an error, and no scan for ever.
TEST_F(ScanRestart, HasAnEnd) {
  fill(first_, cache_.prefix() + "name/space/", 5000);
  const TemporaryFolder folder;
  ExportOptions options;
  options.progress = [&](const ExportReport&) {
    proxy_.cut();
  };
  const auto exported = export_entries(cache_, folder.path() + "/entries", options);
  EXPECT_TRUE(fails_with(exported, ErrorCode::connection_lost));
  EXPECT_TRUE(exported.error().retryable);
  EXPECT_NE(exported.error().message.find("again and again"), std::string::npos);
}

}  // namespace
