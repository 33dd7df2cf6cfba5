#include "cached/breaker.hpp"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace valkeycache {
namespace {

using detail::Breaker;
using detail::judge_lookup;
using detail::judge_store;
using detail::Verdict;
using Decision = Breaker::Decision;
using namespace std::chrono_literals;

const Error broken{.code = ErrorCode::timeout, .message = "too slow", .maybe_applied = true};
const Breaker::TimePoint start{};

void fail(Breaker& breaker, int times, Breaker::TimePoint now = start) {
  for (int i = 0; i < times; ++i) breaker.failed(broken, now);
}

TEST(Breaker, StaysClosedBelowItsNumberOfFailures) {
  Breaker breaker(5, 5s);
  fail(breaker, 4);
  EXPECT_FALSE(breaker.is_open());
  EXPECT_EQ(breaker.decide(start), Decision::use);
  EXPECT_EQ(breaker.trips(), 0U);
}

TEST(Breaker, OpensAtThatNumberAndSaysSoOnce) {
  Breaker breaker(5, 5s);
  fail(breaker, 4);
  EXPECT_TRUE(breaker.failed(broken, start));
  EXPECT_TRUE(breaker.is_open());
  EXPECT_FALSE(breaker.failed(broken, start));
  EXPECT_EQ(breaker.trips(), 1U);
  EXPECT_EQ(breaker.decide(start), Decision::skip);
  EXPECT_EQ(breaker.decide(start + 4999ms), Decision::skip);
}

TEST(Breaker, CountsOnlyFailuresInARow) {
  Breaker breaker(5, 5s);
  fail(breaker, 4);
  breaker.succeeded();
  fail(breaker, 4);
  EXPECT_FALSE(breaker.is_open());
  fail(breaker, 1);
  EXPECT_TRUE(breaker.is_open());
}

TEST(Breaker, AsksForOneProbeWhenItsTimeIsUp) {
  Breaker breaker(1, 5s);
  fail(breaker, 1);
  EXPECT_EQ(breaker.decide(start + 5s), Decision::probe);
  EXPECT_EQ(breaker.decide(start + 5s), Decision::skip);
  EXPECT_EQ(breaker.decide(start + 9s), Decision::skip);
  EXPECT_TRUE(breaker.is_open());
}

TEST(Breaker, ClosesAfterAGoodProbe) {
  Breaker breaker(1, 5s);
  fail(breaker, 1);
  EXPECT_EQ(breaker.decide(start + 5s), Decision::probe);
  EXPECT_TRUE(breaker.probed(true, start + 5s));
  EXPECT_FALSE(breaker.is_open());
  EXPECT_EQ(breaker.decide(start + 5s), Decision::use);
}

TEST(Breaker, StartsCountingAnewAfterAGoodProbe) {
  Breaker breaker(3, 5s);
  fail(breaker, 3);
  EXPECT_EQ(breaker.decide(start + 5s), Decision::probe);
  breaker.probed(true, start + 5s);
  fail(breaker, 2, start + 5s);
  EXPECT_FALSE(breaker.is_open());
}

TEST(Breaker, StaysOpenAfterABadProbeForAsLongAgain) {
  Breaker breaker(1, 5s);
  fail(breaker, 1);
  EXPECT_EQ(breaker.decide(start + 5s), Decision::probe);
  EXPECT_FALSE(breaker.probed(false, start + 6s));
  EXPECT_EQ(breaker.decide(start + 10s), Decision::skip);
  EXPECT_EQ(breaker.decide(start + 11s), Decision::probe);
  EXPECT_EQ(breaker.trips(), 1U);
}

TEST(Breaker, ProbesAgainWhenAProbeGotLost) {
  Breaker breaker(1, 5s);
  fail(breaker, 1);
  EXPECT_EQ(breaker.decide(start + 5s), Decision::probe);
  EXPECT_EQ(breaker.decide(start + 10s), Decision::probe);
}

TEST(Breaker, IgnoresWhatEndsLateWhileItIsOpen) {
  Breaker breaker(2, 5s);
  fail(breaker, 2);
  breaker.succeeded();
  EXPECT_TRUE(breaker.is_open());
  fail(breaker, 10, start + 4s);
  EXPECT_EQ(breaker.decide(start + 5s), Decision::probe) << "late failures must not prolong it";
  EXPECT_EQ(breaker.trips(), 1U);
}

TEST(Breaker, IgnoresAProbeThatNobodyAskedFor) {
  Breaker breaker(1, 5s);
  EXPECT_FALSE(breaker.probed(false, start));
  EXPECT_FALSE(breaker.is_open());
  fail(breaker, 1);
  EXPECT_FALSE(breaker.probed(true, start));
  EXPECT_TRUE(breaker.is_open());
}

TEST(Breaker, NeverOpensWithoutANumber) {
  Breaker breaker(0, 5s);
  fail(breaker, 1000);
  EXPECT_FALSE(breaker.is_open());
}

TEST(Breaker, SaysWhyItIsOpen) {
  Breaker breaker(2, 5s);
  fail(breaker, 2);
  const auto reason = breaker.reason();
  EXPECT_EQ(reason.code, ErrorCode::timeout);
  EXPECT_TRUE(reason.retryable);
  EXPECT_FALSE(reason.maybe_applied);
  EXPECT_NE(reason.message.find("failed 2 times in a row"), std::string::npos);
  EXPECT_NE(reason.message.find("too slow"), std::string::npos);
}

TEST(Breaker, ManyThreadsOpenItOnceAndAskForOneProbe) {
  Breaker breaker(100, 5s);
  std::atomic<int> opened{0};
  std::atomic<int> probes{0};
  {
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 100; ++n) opened += breaker.failed(broken, start) ? 1 : 0;
        for (int n = 0; n < 100; ++n)
          probes += breaker.decide(start + 5s) == Decision::probe ? 1 : 0;
      });
    }
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(opened, 1);
  EXPECT_EQ(probes, 1);
}

Error error_with(ErrorCode code, std::string server_code = {}) {
  return {.code = code, .message = "m", .server_code = std::move(server_code)};
}

TEST(BreakerVerdict, OfLookups) {
  using enum ErrorCode;
  for (const auto code : {timeout, connect_failed, connection_lost, protocol_error, authentication,
                          server_unavailable, permission, server_error}) {
    EXPECT_EQ(judge_lookup(error_with(code)), Verdict::failing) << to_string(code);
  }
  for (const auto code : {cancelled, overloaded, closed, forked, too_large, invalid_argument}) {
    EXPECT_EQ(judge_lookup(error_with(code)), Verdict::neutral) << to_string(code);
  }
  EXPECT_EQ(judge_lookup(error_with(server_error, "WRONGTYPE")), Verdict::neutral);
}

TEST(BreakerVerdict, OfStores) {
  using enum ErrorCode;
  for (const auto code :
       {timeout, connect_failed, connection_lost, protocol_error, authentication}) {
    EXPECT_EQ(judge_store(error_with(code)), Verdict::failing) << to_string(code);
  }
  for (const auto code : {cancelled, overloaded, closed, forked, too_large, invalid_argument,
                          server_unavailable, permission, server_error}) {
    EXPECT_EQ(judge_store(error_with(code)), Verdict::neutral) << to_string(code);
  }
}

}  // namespace
}  // namespace valkeycache
