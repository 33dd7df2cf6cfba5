// One call for all who ask with one key at one time.
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

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
using test::FakeServer;
using test::fresh_cache;
using test::Gate;
using test::ok;
using test::patience;
using test::settled;
using test::wait_until;

Error permanent() {
  return {.code = ErrorCode::access_denied, .message = "no"};
}
Error passing() {
  return {.code = ErrorCode::throttled, .message = "later", .retryable = true};
}

TEST(Flight, TenThousandCallersOneCall) {
  constexpr std::size_t callers = 10000;
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  const auto llm = cached(cache, model);
  std::vector<Future<CachedAnswer>> answers(callers);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (auto i = t; i < callers; i += 4) answers[i] = llm.ask("x");
    });
  }
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(model->wait_for_calls(1));
  model->answer(0, answer_of("a"));
  std::size_t shared = 0;
  for (auto& answer : answers) {
    const auto result = answer.get(patience);
    ASSERT_TRUE(ok(result));
    EXPECT_EQ(result->response, "a");
    EXPECT_FALSE(result->cached);
    EXPECT_EQ(result->cache_status, CacheStatus::miss);
    const bool follows = result->source == AnswerSource::shared;
    shared += follows ? 1U : 0U;
    EXPECT_EQ((follows ? result->avoided_usage : result->usage).total_tokens, 18);
    EXPECT_EQ((follows ? result->usage : result->avoided_usage).total_tokens, 0);
  }
  EXPECT_EQ(shared, callers - 1);
  EXPECT_EQ(model->calls(), 1U);
  EXPECT_EQ(cache.stats().gets, 1U);
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(llm.stats().shared, callers - 1);
  EXPECT_EQ(llm.stats().misses, 1U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(Flight, EachHasADeadlineAndAStopTokenOfItsOwn) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  const auto llm = cached(cache, model);
  std::stop_source stop;
  auto leader = llm.ask("x", {.stop_token = stop.get_token()});
  ASSERT_TRUE(model->wait_for_calls(1));
  auto patient = llm.ask("x");
  auto hasty = llm.ask("x", {.timeout = 5ms});
  EXPECT_TRUE(fails_with(hasty.get(patience), ErrorCode::timeout));
  stop.request_stop();
  EXPECT_TRUE(fails_with(leader.get(patience), ErrorCode::cancelled));
  EXPECT_FALSE(model->options(0).stop_token.stop_requested()) << "one still waits";
  EXPECT_FALSE(model->options(0).timeout);
  auto later = llm.ask("x");
  model->answer(0, answer_of("a"));
  EXPECT_EQ(patient.get(patience)->source, AnswerSource::shared);
  EXPECT_EQ(later.get(patience)->source, AnswerSource::shared);
  EXPECT_EQ(model->calls(), 1U);
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(wait_until([&] { return llm.stats().unfinished == 1; })) << "the hasty one";
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(Flight, TheModelIsStoppedWhenTheLastHasGone) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  const auto llm = cached(cache, model);
  std::stop_source stop;
  auto leader = llm.ask("x", {.stop_token = stop.get_token()});
  ASSERT_TRUE(model->wait_for_calls(1));
  auto follower = llm.ask("x", {.stop_token = stop.get_token()});
  stop.request_stop();
  EXPECT_TRUE(fails_with(leader.get(patience), ErrorCode::cancelled));
  EXPECT_TRUE(fails_with(follower.get(patience), ErrorCode::cancelled));
  ASSERT_TRUE(wait_until([&] { return model->options(0).stop_token.stop_requested(); }));
  // Who comes now waits for no call that is being stopped.
  auto next = llm.ask("x");
  ASSERT_TRUE(model->wait_for_calls(2));
  model->answer(0, Error{.code = ErrorCode::cancelled, .message = "stopped", .retryable = true});
  model->answer(1, answer_of("a"));
  EXPECT_EQ(next.get(patience)->source, AnswerSource::model);
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(wait_until([&] { return adds_up(llm.stats()); }));
}

TEST(Flight, APermanentErrorIsEverybodys) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model);
  std::vector<Future<CachedAnswer>> answers;
  for (int i = 0; i < 10; ++i) answers.push_back(llm.ask("x"));
  ASSERT_TRUE(model->wait_for_calls(1));
  model->answer(0, permanent());
  for (auto& answer : answers) {
    EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::access_denied));
  }
  EXPECT_EQ(model->calls(), 1U);
  EXPECT_EQ(llm.stats().shared, 9U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(Flight, ARetryableErrorHasOneOtherAskAgain) {
  for (const bool well : {true, false}) {
    const auto cache = fresh_cache();
    const auto model = FakeLlm::manual();
    const auto llm = cached(cache, model);
    std::vector<Future<CachedAnswer>> answers;
    for (int i = 0; i < 10; ++i) answers.push_back(llm.ask("x"));
    ASSERT_TRUE(model->wait_for_calls(1));
    model->answer(0, passing());
    EXPECT_TRUE(fails_with(answers[0].get(patience), ErrorCode::throttled));
    ASSERT_TRUE(model->wait_for_calls(2));
    EXPECT_FALSE(answers[2].ready());
    model->answer(1, well ? Result<Completion>(answer_of("a")) : passing());
    for (std::size_t i = 1; i < answers.size(); ++i) {
      const auto result = answers[i].get(patience);
      ASSERT_EQ(result.has_value(), well);
      if (well) {
        EXPECT_EQ(result->source, i == 1 ? AnswerSource::model : AnswerSource::shared);
      }
    }
    EXPECT_EQ(model->calls(), 2U) << "the second failure is shared";
    ASSERT_TRUE(settled(cache));
    EXPECT_EQ(llm.stats().misses, 2U);
    EXPECT_EQ(llm.stats().shared, 8U);
    EXPECT_TRUE(adds_up(llm.stats()));
  }
}

TEST(Flight, AHitIsOneLookupForAll) {
  Gate let_go;
  std::string stored;
  const auto model = FakeLlm::saying(answer_of("a"));
  {
    const auto cache = fresh_cache();
    const auto llm = cached(cache, model);
    ASSERT_TRUE(ok(llm.ask("x").get()));
    ASSERT_TRUE(settled(cache));
    stored = cache.get(llm.key_of("x").value()).get().value().value();
  }
  FakeServer server([&](test::FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      if ((*command)[0] == "GET") let_go.wait();
      if (!connection.write((*command)[0] == "GET" ? test::bulk(stored) : "+PONG\r\n")) return;
    }
  });
  const auto cache = ValkeyCache::open(server.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
  const auto llm = cached(cache, model, {.advanced = {.command_timeout = 1h}});
  std::vector<Future<CachedAnswer>> answers;
  for (int i = 0; i < 10; ++i) answers.push_back(llm.ask("x"));
  let_go.open();
  for (auto& answer : answers) {
    const auto result = answer.get(patience);
    ASSERT_TRUE(ok(result));
    EXPECT_TRUE(result->cached);
    EXPECT_EQ(result->source, AnswerSource::valkey);
    EXPECT_EQ(result->response, "a");
  }
  EXPECT_EQ(cache.stats().gets, 1U);
  EXPECT_EQ(llm.stats().hits, 10U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(Flight, TheLookupOfACancelledLeaderIsMadeAnew) {
  Gate let_go;
  std::atomic<int> gets{0};
  FakeServer server([&](test::FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      const bool get = (*command)[0] == "GET";
      if (get && ++gets == 1) let_go.wait();
      if (!connection.write(get ? "_\r\n" : "+OK\r\n")) return;
    }
  });
  const auto cache = ValkeyCache::open(server.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model, {.advanced = {.command_timeout = 1h}});
  std::stop_source stop;
  auto leader = llm.ask("x", {.stop_token = stop.get_token()});
  auto first = llm.ask("x");
  auto second = llm.ask("x");
  ASSERT_TRUE(wait_until([&] { return gets == 1; }));
  stop.request_stop();
  EXPECT_TRUE(fails_with(leader.get(patience), ErrorCode::cancelled));
  let_go.open();
  EXPECT_EQ(first.get(patience)->source, AnswerSource::model);
  EXPECT_EQ(second.get(patience)->source, AnswerSource::shared);
  EXPECT_EQ(model->calls(), 1U);
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(llm.stats().unfinished, 1U);
  EXPECT_TRUE(wait_until([&] { return adds_up(llm.stats()); }));
}

TEST(Flight, WhatDiffersInKindFliesApart) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  const auto llm = cached(cache, model);
  std::vector<Future<CachedAnswer>> answers;
  for (int i = 0; i < 2; ++i) {
    answers.push_back(llm.ask("x"));
    answers.push_back(llm.ask("x", {.refresh = true}));
    answers.push_back(llm.ask("x", {.no_store = true}));
    answers.push_back(llm.ask("y"));
  }
  EXPECT_TRUE(fails_with(llm.ask("x", {.cache_only = true}).get(patience), ErrorCode::cache_miss));
  ASSERT_TRUE(model->wait_for_calls(4));
  for (std::size_t i = 0; i < 4; ++i) model->answer(i, answer_of("a"));
  for (auto& answer : answers) EXPECT_TRUE(ok(answer.get(patience)));
  EXPECT_EQ(model->calls(), 4U);
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(llm.stats().shared, 4U);
  EXPECT_EQ(llm.stats().bypassed, 1U);
  EXPECT_EQ(llm.stats().rejected_no_store, 1U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(Flight, CanBeSwitchedOff) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model, {.advanced = {.single_flight = false}});
  auto first = llm.ask("x");
  auto second = llm.ask("x");
  ASSERT_TRUE(model->wait_for_calls(2));
  model->answer(0, answer_of("a"));
  model->answer(1, answer_of("b"));
  EXPECT_EQ(first.get(patience)->response, "a");
  EXPECT_EQ(second.get(patience)->response, "b");
}

TEST(Flight, ACallbackMayAskTheSameAgain) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model, {.no_store = true});
  std::vector<Future<CachedAnswer>> again(10);
  std::vector<Future<bool>> answers;
  for (std::size_t i = 0; i < again.size(); ++i) {
    answers.push_back(llm.ask("x").then([&again, &llm, i](const Result<CachedAnswer>& result) {
      again[i] = llm.ask("x");
      return result.has_value();
    }));
  }
  ASSERT_TRUE(model->wait_for_calls(1));
  model->answer(0, answer_of("a"));
  for (auto& answer : answers) EXPECT_TRUE(answer.get(patience).value());
  ASSERT_TRUE(model->wait_for_calls(2));
  model->answer(1, answer_of("b"));
  for (auto& answer : again) EXPECT_EQ(answer.get(patience)->response, "b");
  EXPECT_EQ(model->calls(), 2U);
}

TEST(Flight, DestroyingTheCachedLlmEndsAllOfThem) {
  const auto model = FakeLlm::manual();
  std::optional<CachedLlm> llm = cached(fresh_cache(), model);
  std::vector<Future<CachedAnswer>> answers;
  for (int i = 0; i < 10; ++i) answers.push_back(llm->ask("x"));
  ASSERT_TRUE(model->wait_for_calls(1));
  llm.reset();
  for (auto& answer : answers) EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::closed));
  EXPECT_TRUE(wait_until([&] { return model->options(0).stop_token.stop_requested(); }));
  model->answer(0, answer_of("late"));
}

TEST(Flight, AModelThatBreaksItsPromiseTwiceFailsAll) {
  const auto breaking = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), breaking);
  auto first = llm.ask("x");
  auto second = llm.ask("x");
  ASSERT_TRUE(breaking->wait_for_calls(1));
  { const auto broken = breaking->take(0); }
  EXPECT_TRUE(fails_with(first.get(patience), ErrorCode::abandoned));
  ASSERT_TRUE(breaking->wait_for_calls(2)) << "it may well be kept the second time";
  { const auto broken = breaking->take(1); }
  EXPECT_TRUE(fails_with(second.get(patience), ErrorCode::abandoned));
  EXPECT_TRUE(adds_up(llm.stats()));
}

// Callers of every temper against a model that answers, fails and fails for now.
TEST(Flight, ManyThreadsManyTempers) {
  constexpr int threads = 4;
  constexpr int each = 400;
  const auto cache = fresh_cache();
  std::atomic<unsigned> asked{0};
  const auto model =
      make_llm({.model = "m", .scope = "s"}, [&](const ChatRequest& request) -> Result<Completion> {
        const auto n = ++asked;
        if (n % 5 == 0) return passing();
        if (n % 7 == 0) return permanent();
        return answer_of("to " + request.as_triple()->prompt);
      });
  const auto llm = cached(cache, model);
  std::atomic<int> wrong{0};
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      std::stop_source stop;
      std::vector<std::pair<std::string, Future<CachedAnswer>>> mine;
      for (int i = 0; i < each; ++i) {
        auto prompt = "q" + std::to_string(i / 8);
        AskOptions options;
        options.no_store = i % 3 == 0;
        options.refresh = i % 5 == 0;
        if ((i + t) % 4 == 0) options.stop_token = stop.get_token();
        if ((i + t) % 6 == 0) options.timeout = std::chrono::milliseconds(1 + i % 3);
        auto future = llm.ask(prompt, std::move(options));
        mine.emplace_back(std::move(prompt), std::move(future));
        if (i % 50 == 49) {
          stop.request_stop();
          stop = std::stop_source();
        }
      }
      for (auto& [prompt, answer] : mine) {
        const auto result = answer.get(patience);
        if (result ? result->response != "to " + prompt
                   : result.error().code == ErrorCode::not_ready) {
          ++wrong;
        }
      }
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(wait_until([&] { return settled(cache) && adds_up(llm.stats()); }))
      << adds_up(llm.stats()).message();
  EXPECT_EQ(llm.stats().calls, static_cast<std::uint64_t>(threads * each));
}

}  // namespace
}  // namespace valkeycache
