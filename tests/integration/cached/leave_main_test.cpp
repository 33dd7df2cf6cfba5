// A program that leaves main right after its answer has stored it.
#include <cstdlib>
#include <string>

#include "cached_fixture.hpp"
#include "support/valkey/child_process.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

class LeavingMain : public CachedTest {
 protected:
  std::string run(const std::string& uri, const std::string& lease_ms = "0") {
    const auto file = folder_.path() + "/output-" + std::to_string(++runs_);
    ChildProcess program({"/usr/bin/env", std::string("AWS_ACCESS_KEY_ID=") + simulated_access_key,
                          std::string("AWS_SECRET_ACCESS_KEY=") + simulated_secret_key,
                          VALKEYCACHE_CACHED_LEAVE_MAIN, uri, bedrock().url(), lease_ms},
                         file);
    const auto status = program.wait(patience);
    EXPECT_EQ(status, 0);
    return read_text(file);
  }

 private:
  TemporaryFolder folder_;
  int runs_ = 0;
};

TEST_F(LeavingMain, TheSecondRunHits) {
  const ValkeyServer server;
  EXPECT_EQ(run(server.uri()), "MISS\n");
  EXPECT_EQ(run(server.uri()), "HIT\n");
  for (int i = 0; i < 10; ++i) {
    server.command({"FLUSHALL"});
    EXPECT_EQ(run(server.uri()), "MISS\n");
    EXPECT_EQ(server.command({"DBSIZE"}).integer, 1) << i;
  }
}

TEST_F(LeavingMain, TheLeaseGoesWithIt) {
  const ValkeyServer server;
  const std::string minutes = "240000";
  EXPECT_EQ(run(server.uri(), minutes), "MISS\n");
  EXPECT_EQ(run(server.uri(), minutes), "HIT\n");
  for (int i = 0; i < 10; ++i) {
    server.command({"FLUSHALL"});
    EXPECT_EQ(run(server.uri(), minutes), "MISS\n");
    EXPECT_EQ(server.command({"DBSIZE"}).integer, 1) << "the entry";
  }
}

}  // namespace
