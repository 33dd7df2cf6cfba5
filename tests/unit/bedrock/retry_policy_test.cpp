#include "bedrock/retry_policy.hpp"

#include <chrono>
#include <optional>

#include <gtest/gtest.h>

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using detail::CallRetries;
using detail::RetryKind;
using detail::RetryPolicy;
using Delay = std::optional<std::chrono::milliseconds>;

RetryPolicy policy(int max_attempts = 3, double random = 1.0) {
  return RetryPolicy(max_attempts, [random] { return random; });
}

TEST(RetryPolicy, BacksOffExponentiallyUpToTheCap) {
  auto retries = policy(100);
  CallRetries call;
  auto expected = 50ms;
  for (int i = 0; i < 8; ++i, expected *= 2) {
    EXPECT_EQ(retries.next_delay(call, RetryKind::transient, {}, 1h), expected);
  }
  auto last = Delay();
  while (call.attempts < 20) {
    last = retries.next_delay(call, RetryKind::transient, {}, 1h);
    ASSERT_TRUE(last);
  }
  EXPECT_EQ(last, 20s);
}

TEST(RetryPolicy, ThrottlingStartsWithASecond) {
  auto retries = policy();
  CallRetries call;
  EXPECT_EQ(retries.next_delay(call, RetryKind::throttling, {}, 1h), 1s);
  EXPECT_EQ(retries.next_delay(call, RetryKind::throttling, {}, 1h), 2s);
}

TEST(RetryPolicy, JitterIsAFactorFromZeroToOne) {
  auto half = policy(3, 0.5);
  CallRetries call;
  EXPECT_EQ(half.next_delay(call, RetryKind::throttling, {}, 1h), 500ms);
  auto none = policy(3, 0.0);
  CallRetries other;
  EXPECT_EQ(none.next_delay(other, RetryKind::throttling, {}, 1h), 0ms);
  auto broken = policy(3, 7.0);
  CallRetries third;
  EXPECT_EQ(broken.next_delay(third, RetryKind::throttling, {}, 1h), 1s);
}

TEST(RetryPolicy, TheHintLengthensTheDelayByFiveSecondsAtMost) {
  auto retries = policy(10, 0.5);
  const auto delay = [&retries](std::chrono::milliseconds hint) {
    CallRetries call;
    return retries.next_delay(call, RetryKind::throttling, hint, 1h);
  };
  EXPECT_EQ(delay(100ms), 500ms) << "a shorter hint shortens nothing";
  EXPECT_EQ(delay(3s), 3s);
  EXPECT_EQ(delay(1h), 5500ms);
}

TEST(RetryPolicy, AttemptsAreCounted) {
  auto retries = policy(3);
  CallRetries call;
  EXPECT_TRUE(retries.next_delay(call, RetryKind::transient, {}, 1h));
  EXPECT_TRUE(retries.next_delay(call, RetryKind::transient, {}, 1h));
  EXPECT_EQ(call.attempts, 3);
  EXPECT_FALSE(retries.next_delay(call, RetryKind::transient, {}, 1h));
  EXPECT_EQ(call.attempts, 3);
  auto once = policy(1);
  CallRetries only;
  EXPECT_FALSE(once.next_delay(only, RetryKind::transient, {}, 1h));
}

TEST(RetryPolicy, OtherKindsAreNotForIt) {
  auto retries = policy();
  for (const auto kind :
       {RetryKind::never, RetryKind::renew_credentials, RetryKind::correct_clock}) {
    CallRetries call;
    EXPECT_FALSE(retries.next_delay(call, kind, {}, 1h));
  }
  EXPECT_EQ(retries.tokens(), 500);
}

TEST(RetryPolicy, NoWaitPassesTheDeadline) {
  auto retries = policy();
  CallRetries call;
  EXPECT_FALSE(retries.next_delay(call, RetryKind::throttling, {}, 1s));
  EXPECT_EQ(call.attempts, 1);
  EXPECT_EQ(retries.tokens(), 500) << "what is not done costs nothing";
  EXPECT_TRUE(retries.next_delay(call, RetryKind::throttling, {}, 1001ms));
  EXPECT_FALSE(retries.next_delay(call, RetryKind::throttling, {}, 0ms));
  EXPECT_FALSE(retries.next_delay(call, RetryKind::throttling, {}, -1ms));
}

TEST(RetryPolicy, TokensRunOutAndComeBack) {
  auto retries = policy(1000);
  CallRetries transient;
  CallRetries throttling;
  EXPECT_TRUE(retries.next_delay(throttling, RetryKind::throttling, {}, 1h));
  EXPECT_EQ(retries.tokens(), 495);
  int count = 0;
  while (retries.next_delay(transient, RetryKind::transient, {}, 1h)) ++count;
  EXPECT_EQ(count, 35);
  EXPECT_EQ(retries.tokens(), 5);
  EXPECT_TRUE(retries.next_delay(throttling, RetryKind::throttling, {}, 1h));
  EXPECT_EQ(retries.tokens(), 0);
  EXPECT_FALSE(retries.next_delay(throttling, RetryKind::throttling, {}, 1h));

  retries.succeeded(transient);  // what its last retry cost
  EXPECT_EQ(retries.tokens(), 14);
  retries.succeeded(throttling);
  EXPECT_EQ(retries.tokens(), 19);
  retries.succeeded(CallRetries());  // there was no retry
  EXPECT_EQ(retries.tokens(), 20);
  for (int i = 0; i < 1000; ++i) retries.succeeded(CallRetries());
  EXPECT_EQ(retries.tokens(), 500);
}

}  // namespace
}  // namespace valkeycache
