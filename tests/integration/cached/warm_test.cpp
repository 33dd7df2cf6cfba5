// warm() over a real Valkey and the simulated Bedrock.
#include <valkeycache/warm.hpp>

#include <string>
#include <vector>

#include "integration/cached/cached_fixture.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using test::ok;
using test::patience;

class CachedWarm : public test::CachedTest {
 protected:
  static std::vector<std::string> prompts(int count) {
    std::vector<std::string> all;
    for (int i = 0; i < count; ++i) all.push_back("question " + std::to_string(i));
    return all;
  }
};

TEST_F(CachedWarm, FillsValkeyAndResumes) {
  test::ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), guide_cache()).value();
  const CachedLlm llm(cache, claude(), guide_options());
  ASSERT_EQ(warm(llm, prompts(20)).value().stored, 20U);
  EXPECT_EQ(model_calls(), 20U);
  EXPECT_EQ(server.command({"DBSIZE"}).integer, 20);

  server.command({"DEL", cache.wire_key(llm.key_of("question 7").value())});
  const auto again = warm(llm, prompts(20), {.ttl = 10min}).value();
  EXPECT_EQ(again.skipped, 19U);
  EXPECT_EQ(again.stored, 1U);
  EXPECT_EQ(model_calls(), 21U);
  const auto left =
      server.command({"TTL", cache.wire_key(llm.key_of("question 7").value())}).integer;
  EXPECT_GT(left, 500);
  EXPECT_LE(left, 600);
}

// Nothing is paid for that could not be kept.
TEST_F(CachedWarm, AsksNobodyWhileValkeyIsDown) {
  test::ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), guide_cache()).value();
  auto options = guide_options();
  options.advanced.connect_timeout = options.advanced.command_timeout = 50ms;
  options.advanced.store_timeout = 50ms;
  const CachedLlm llm(cache, claude(), options);
  ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
  server.stop();
  const auto down = warm(llm, prompts(10)).value();
  EXPECT_EQ(down.failed, 10U);
  EXPECT_EQ(down.failures.size(), 10U);
  EXPECT_EQ(model_calls(), 0U);

  server.start();
  ASSERT_TRUE(
      test::wait_until([&] { return cache.ping({.timeout = patience}).get().has_value(); }));
  const CachedLlm patient(cache, claude(), guide_options());
  EXPECT_EQ(warm(patient, prompts(10)).value().stored, 10U);
}

}  // namespace
}  // namespace valkeycache
