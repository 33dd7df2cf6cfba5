// warm(): what is there is skipped, the rest is asked once, and every request is told of.
#include <valkeycache/warm.hpp>

#include <array>
#include <chrono>
#include <limits>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cached/pace.hpp"
#include "support/valkey/fake_server.hpp"
#include "support/valkey/gate.hpp"
#include "unit/cached/ask_support.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using test::adds_up;
using test::answer_of;
using test::cached;
using test::fails_with;
using test::FakeLlm;
using test::fresh_cache;
using test::ok;

std::vector<std::string> prompts(int count) {
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i) all.push_back("question " + std::to_string(i));
  return all;
}

testing::AssertionResult sums(const WarmReport& r) {
  std::uint64_t errors = 0;
  for (const auto& [code, count] : r.errors) errors += count;
  const auto all = r.skipped + r.stored + r.not_stored + r.unstorable + r.failed + r.cancelled;
  if (all == r.requests && errors == r.failed) return testing::AssertionSuccess();
  return testing::AssertionFailure() << all << " of " << r.requests << " requests, " << errors
                                     << " of " << r.failed << " errors";
}

TEST(Warm, AsksOnceAndThenSkips) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model);
  const auto first = warm(llm, prompts(50));
  ASSERT_TRUE(ok(first));
  EXPECT_EQ(first->requests, 50U);
  EXPECT_EQ(first->asked, 50U);
  EXPECT_EQ(first->stored, 50U);
  EXPECT_FALSE(first->stopped);
  EXPECT_TRUE(sums(*first));

  const auto second = warm(llm, prompts(60));
  ASSERT_TRUE(ok(second));
  EXPECT_EQ(second->skipped, 50U);
  EXPECT_EQ(second->stored, 10U);
  EXPECT_TRUE(sums(*second));
  EXPECT_EQ(model->calls(), 60U);
  EXPECT_TRUE(llm.ask("question 59").get().value().cached);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(Warm, TakesRequestsAndAnEmptyRange) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model);
  const std::array requests{ChatRequest("x").system("be brief"), ChatRequest("y").temperature(0.1)};
  EXPECT_EQ(warm(llm, requests).value().stored, 2U);
  EXPECT_TRUE(llm.ask(requests[0]).get().value().cached);
  EXPECT_TRUE(llm.ask(requests[1]).get().value().cached);
  EXPECT_EQ(warm(llm, std::vector<std::string>()).value().requests, 0U);
}

TEST(Warm, TellsWhatFailedAndAsksOnlyThatAgain) {
  bool well = false;
  const auto model = std::make_shared<FakeLlm>([&](const ChatRequest& request, const CallOptions&) {
    const auto prompt = request.as_triple()->prompt;
    Result<Completion> result = answer_of("a");
    if (!well && prompt == "question 3") {
      result = Error{.code = ErrorCode::throttled, .message = "", .retryable = true};
    }
    if (!well && prompt == "question 5")
      result = Error{.code = ErrorCode::model_error, .message = ""};
    return make_ready_future<Completion>(std::move(result));
  });
  const auto llm = cached(fresh_cache(), model);
  auto questions = prompts(8);
  questions.emplace_back("  ");  // blank
  const auto first = warm(llm, questions, {.concurrency = 1}).value();
  EXPECT_EQ(first.stored, 6U);
  EXPECT_EQ(first.asked, 8U);
  EXPECT_EQ(first.failed, 3U);
  ASSERT_EQ(first.failures.size(), 3U);
  EXPECT_EQ(first.failures[0].index, 3U);
  EXPECT_EQ(first.failures[0].code, ErrorCode::throttled);
  EXPECT_EQ(first.failures[1].index, 5U);
  EXPECT_EQ(first.failures[1].code, ErrorCode::model_error);
  EXPECT_EQ(first.failures[2].index, 8U);
  EXPECT_EQ(first.failures[2].code, ErrorCode::invalid_argument);
  EXPECT_TRUE(sums(first));

  well = true;
  const auto calls = model->calls();
  const auto second = warm(llm, prompts(8), {.max_failures = 0}).value();
  EXPECT_EQ(second.skipped, 6U);
  EXPECT_EQ(second.stored, 2U);
  EXPECT_EQ(model->calls() - calls, 2U);
}

TEST(Warm, CountsAnswersThatAreNotStored) {
  const auto llm = cached(fresh_cache(), FakeLlm::saying(answer_of("cut", "max_tokens")));
  const auto report = warm(llm, prompts(3)).value();
  EXPECT_EQ(report.not_stored, 3U);
  EXPECT_EQ(report.stored, 0U);
  EXPECT_TRUE(sums(report));
}

TEST(Warm, DoesNotAskWhatCannotBeStored) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model);
  const std::array requests{ChatRequest("x").guardrail("id", "DRAFT")};
  const auto report = warm(llm, requests).value();
  EXPECT_EQ(report.unstorable, 1U);
  EXPECT_EQ(model->calls(), 0U);
  EXPECT_TRUE(sums(report));
}

TEST(Warm, KeepsToItsConcurrency) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model);
  std::jthread answering([&] {
    for (std::size_t i = 0; i < 9; ++i) {
      if (!model->wait_for_calls(i + 1)) return;
      // Never more than two that have no answer yet.
      EXPECT_LE(model->calls(), i + 2);
      model->answer(i, answer_of("a"));
    }
  });
  EXPECT_EQ(warm(llm, prompts(9), {.concurrency = 2}).value().stored, 9U);
}

TEST(Warm, EndsWhenItIsCancelledAndIsResumed) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model);
  std::stop_source stop;
  std::jthread cancelling([&] {
    if (!model->wait_for_calls(1)) return;
    model->answer(0, answer_of("a"));
    if (!model->wait_for_calls(5)) return;
    stop.request_stop();
  });
  const auto report =
      warm(llm, prompts(100), {.concurrency = 4, .stop_token = stop.get_token()}).value();
  cancelling.join();
  EXPECT_EQ(report.stopped, ErrorCode::cancelled);
  EXPECT_EQ(report.stored, 1U);
  EXPECT_EQ(report.cancelled, 4U);
  EXPECT_LT(report.requests, 100U);
  EXPECT_TRUE(sums(report));
}

// The range waits for a turn that will not come for a year.
TEST(Warm, EndsInTheMiddleOfAPause) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model);
  std::stop_source stop;
  const auto report = warm(llm, prompts(10),
                           {.concurrency = 2,
                            .per_second = 1e-9,
                            .stop_token = stop.get_token(),
                            .progress =
                                [&](const WarmReport& so_far) {
                                  if (so_far.stored == 1) stop.request_stop();
                                }})
                          .value();
  EXPECT_EQ(report.stored, 1U);
  EXPECT_EQ(model->calls(), 1U);
  EXPECT_EQ(report.stopped, ErrorCode::cancelled);
  EXPECT_TRUE(sums(report));
}

TEST(Warm, TellsProgressOnTheCallersThread) {
  const auto llm = cached(fresh_cache(), FakeLlm::saying(answer_of("a")));
  std::vector<std::uint64_t> told;
  const auto me = std::this_thread::get_id();
  const auto report =
      warm(llm, prompts(20), {.concurrency = 3, .progress = [&](const WarmReport& r) {
                                EXPECT_EQ(std::this_thread::get_id(), me);
                                told.push_back(r.stored);
                                throw std::runtime_error("ignored");
                              }});
  ASSERT_TRUE(ok(report));
  ASSERT_FALSE(told.empty());
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), 20U);
}

TEST(Warm, ARangeThatThrowsEndsIt) {
  const auto llm = cached(fresh_cache(), FakeLlm::saying(answer_of("a")));
  int given = 0;
  const auto report = warm_from(llm, [&]() -> std::optional<WarmRequest> {
                        if (given == 3) throw std::runtime_error("disk");
                        return WarmRequest("question " + std::to_string(given++));
                      }).value();
  EXPECT_EQ(report.stored, 3U);
  EXPECT_EQ(report.stopped, ErrorCode::callback_failed);
}

TEST(Warm, RefusesWhatCannotWork) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model);
  const auto refused = [&](WarmOptions options) {
    return fails_with(warm(llm, prompts(1), options), ErrorCode::invalid_argument);
  };
  EXPECT_TRUE(refused({.concurrency = 0}));
  EXPECT_TRUE(refused({.per_second = -1}));
  EXPECT_TRUE(refused({.per_second = std::numeric_limits<double>::quiet_NaN()}));
  EXPECT_TRUE(refused({.ttl = 0ms}));
  EXPECT_TRUE(refused({.timeout = 0ms}));
  EXPECT_TRUE(fails_with(warm(cached(fresh_cache(), model, {.no_store = true}), prompts(1)),
                         ErrorCode::invalid_argument));
  EXPECT_EQ(model->calls(), 0U);
}

TEST(Warm, RefusesToWaitOnTheIoThread) {
  test::Gate asked;
  test::FakeServer server(test::answering([&](const test::Command& command) -> std::string {
    if (command[0] == "PING") asked.wait();
    return "+PONG\r\n";
  }));
  const auto cache = ValkeyCache::open(server.uri()).value();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")));
  auto tried =
      cache.ping({.timeout = test::patience}).then([&](const Result<std::chrono::microseconds>&) {
        return warm(llm, prompts(1));
      });
  asked.open();  // the reply comes to the I/O thread
  EXPECT_TRUE(fails_with(tried.get(test::patience), ErrorCode::would_deadlock));
}

TEST(Pace, BeginsNoMoreThanItMay) {
  const detail::Pace::TimePoint start{};
  detail::Pace pace(100, start);
  EXPECT_EQ(pace.next(), start);
  pace.begun(start);
  EXPECT_EQ(pace.next(), start + 10ms);
  // Late by less than it may catch up.
  pace.begun(start + 35ms);
  EXPECT_EQ(pace.next(), start + 20ms);
  // After a long pause no more than a tenth of a second's worth at once.
  const auto later = start + 10s;
  int at_once = 0;
  for (; pace.next() <= later; ++at_once) pace.begun(later);
  EXPECT_EQ(at_once, 11);
}

TEST(Pace, WithoutALimit) {
  const detail::Pace::TimePoint start{};
  detail::Pace pace(0, start);
  pace.begun(start);
  EXPECT_EQ(pace.next(), start);
}

}  // namespace
}  // namespace valkeycache
