// What is sent again, and what is not: silence, races with a server that closes, proxies.
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "support/valkey/child_process.hpp"

namespace valkeycache::test {
namespace {

class BedrockRetries : public BedrockTest {
 protected:
  [[nodiscard]] BedrockOptions with_read_timeout(std::chrono::milliseconds limit) {
    auto made = options();
    made.read_timeout = limit;
    return made;
  }
};

TEST_F(BedrockRetries, SilenceEndsACall) {
  auto bedrock = client(with_read_timeout(100ms));
  server_.add_fault(faults::hang());
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::timeout));
  EXPECT_TRUE(answer.error().retryable);
  EXPECT_TRUE(answer.error().maybe_applied);
  EXPECT_NE(answer.error().message.find("for 100 ms"), std::string::npos);
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 1; }));
  EXPECT_EQ(server_.calls(), 1u) << "each attempt pays for a whole answer";
}

TEST_F(BedrockRetries, SilenceIsTriedAgainWhereAskedFor) {
  auto asking = with_read_timeout(500ms);
  asking.retry_read_timeouts = true;
  auto bedrock = client(asking);
  server_.add_fault(faults::hang());
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_GE(server_.calls(), 2u);
}

TEST_F(BedrockRetries, SilenceInTheMiddleOfAnAnswerCounts) {
  auto bedrock = client(with_read_timeout(100ms));
  server_.add_fault(faults::slow(10, 60s));
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::timeout));
}

TEST_F(BedrockRetries, WhoeverSpeaksIsNotSilent) {
  auto bedrock = client(with_read_timeout(800ms));
  server_.add_fault(faults::slow(4, 15ms));  // over a second altogether
  EXPECT_TRUE(ok(ask(bedrock)));
}

TEST_F(BedrockRetries, LimitsBeyondAllBoundsAreNone) {
  constexpr auto most = std::chrono::milliseconds::max();
  auto patient = with_read_timeout(most);
  patient.timeout = patient.connect_timeout = patient.stream_read_timeout = most;
  auto bedrock = client(patient);
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_TRUE(ok(ask(bedrock, {.timeout = most})));
  EXPECT_TRUE(ok(bedrock.stream(ChatRequest("x"), [](const StreamEvent&) {}).get()));
}

TEST_F(BedrockRetries, UnusableLimits) {
  EXPECT_TRUE(fails_with(try_client(with_read_timeout(-1ms)), ErrorCode::invalid_argument));
  auto negative = options();
  negative.stream_read_timeout = -1ms;
  EXPECT_TRUE(fails_with(try_client(negative), ErrorCode::invalid_argument));
}

TEST_F(BedrockRetries, AConnectionClosedJustNowCostsNoAttempt) {
  auto twice = options();
  twice.max_attempts = 2;
  auto bedrock = client(twice);
  ASSERT_TRUE(ok(ask(bedrock)));  // so that there is a connection to keep
  // The kept connection, then an attempt's own; without the former for free there would be no
  // third.
  server_.add_fault(faults::reset(), 2);
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(server_.calls(), 4u);
  EXPECT_EQ(log_.count("a kept connection had been closed"), 1u);
  EXPECT_EQ(log_.count("attempt 1 of 2"), 1u);
}

TEST_F(BedrockRetries, AFreshConnectionThatBreaksIsAnAttempt) {
  auto bedrock = client();
  server_.add_fault(faults::reset());
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(log_.count("a kept connection had been closed"), 0u);
  EXPECT_EQ(log_.count("attempt 1 of 3"), 1u);
}

TEST_F(BedrockRetries, AttemptsFromTheProfile) {
  TemporaryFolder folder;
  std::ofstream(folder.path() + "/config") << "[default]\nmax_attempts = 2\nretry_mode = legacy\n";
  variables_["AWS_CONFIG_FILE"] = folder.path() + "/config";
  auto bedrock = client();
  server_.add_fault(faults::unavailable(), 5);
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::model_unavailable));
  EXPECT_EQ(server_.calls(), 2u);
  variables_["AWS_MAX_ATTEMPTS"] = "1";
  auto once = client();
  EXPECT_TRUE(fails_with(ask(once), ErrorCode::model_unavailable));
  EXPECT_EQ(server_.calls(), 3u);
  variables_["AWS_MAX_ATTEMPTS"] = "many";
  EXPECT_TRUE(fails_with(try_client(options()), ErrorCode::invalid_argument));
}

// Standard mode's three attempts, where legacy would make five and adaptive hold calls back.
TEST_F(BedrockRetries, TheModeOfTheEnvironmentChangesNothing) {
  for (const auto* mode : {"legacy", "adaptive", "standard", "no such mode"}) {
    SCOPED_TRACE(mode);
    variables_["AWS_RETRY_MODE"] = mode;
    auto bedrock = client();
    const auto before = server_.calls();
    server_.add_fault(faults::unavailable(), 3);
    EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::model_unavailable));
    EXPECT_EQ(server_.calls(), before + 3);
    EXPECT_TRUE(ok(ask(bedrock)));
  }
}

TEST_F(BedrockRetries, TokensRunOutWhenTooMuchFails) {
  auto bedrock = client();
  server_.set_rule([](const RecordedRequest&) { return faults::unavailable(); });
  for (int i = 0; i < 30; ++i) EXPECT_FALSE(ask(bedrock).has_value());
  // 30 first attempts, and 500 / 14 retries.
  EXPECT_EQ(server_.calls(), 65u);
}

TEST_F(BedrockRetries, RetryAfterInSeconds) {
  random_ = 0;
  auto bedrock = client();
  auto fault = faults::unavailable();
  fault.headers.emplace_back("Retry-After", "1");
  server_.add_fault(fault);
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(ok(ask(bedrock)));
  EXPECT_GE(std::chrono::steady_clock::now() - began, 1s);
}

}  // namespace
}  // namespace valkeycache::test
