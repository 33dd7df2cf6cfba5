// Deadlines and cancellation of ask(), at each stage.
#include <valkeycache/cached_llm.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
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

// Accepts, shakes hands, answers one PING and nothing else.
FakeServer::Script mute_after_ping() {
  return [](test::FakeConnection& connection) {
    if (connection.read_after_handshake()) connection.write("+PONG\r\n");
    while (connection.read_after_handshake()) {
    }
  };
}

TEST(AskDeadline, WhatTheLookupLeavesIsTheModels) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model, {.advanced = {.single_flight = false}});
  ASSERT_TRUE(ok(llm.ask("x", {.timeout = 20s}).get()));
  const auto given = model->options(0).timeout;
  ASSERT_TRUE(given);
  EXPECT_LE(*given, 20s);
  EXPECT_GT(*given, 0s);
  ASSERT_TRUE(ok(llm.ask("y").get()));
  EXPECT_FALSE(model->options(1).timeout) << "without one the model's own decides";
}

TEST(AskDeadline, NoDeadlineIsTooFar) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model);
  EXPECT_TRUE(ok(llm.ask("x", {.timeout = std::chrono::milliseconds::max()}).get()));
}

TEST(AskDeadline, EndsAModelThatIgnoresIt) {
  const auto model = FakeLlm::manual();
  const auto cache = fresh_cache();
  const auto llm = cached(cache, model);
  // Long enough for the lookup, on whatever machine.
  for (auto timeout = 20ms; model->calls() == 0 && timeout < 10s; timeout *= 4) {
    const auto result = llm.ask("x", {.timeout = timeout}).get(patience);
    ASSERT_TRUE(fails_with(result, ErrorCode::timeout));
    EXPECT_EQ(result.error().maybe_applied, model->calls() > 0);
  }
  ASSERT_EQ(model->calls(), 1U);
  // The answer that comes all the same has been paid for.
  model->answer(0, answer_of("late"));
  ASSERT_TRUE(settled(cache));
  const auto hit = llm.ask("x").get();
  ASSERT_TRUE(ok(hit));
  EXPECT_TRUE(hit->cached);
  EXPECT_EQ(hit->response, "late");
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskDeadline, EndsALookupThatTakesAllOfIt) {
  FakeServer mute(mute_after_ping());
  const auto cache = ValkeyCache::open(mute.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model, {.advanced = {.command_timeout = 20s}});
  EXPECT_TRUE(fails_with(llm.ask("x", {.timeout = 5ms}).get(patience), ErrorCode::timeout));
  EXPECT_EQ(model->calls(), 0U);
  EXPECT_EQ(llm.stats().unfinished, 1U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskDeadline, TheConnectTimeOutIsAddedUntilTheFirstConnection) {
  Gate accept;
  FakeServer server([&](test::FakeConnection& connection) {
    accept.wait();
    while (const auto command = connection.read_after_handshake()) {
      if (!connection.write((*command)[0] == "GET" ? "_\r\n" : "+OK\r\n")) return;
    }
  });
  const auto cache = ValkeyCache::open(server.uri(), {.connect_timeout = 20s}).value();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")),
                          {.advanced = {.command_timeout = 1ms, .connect_timeout = 30s}});
  auto answer = llm.ask("x");
  EXPECT_TRUE(fails_with(answer.get(20ms), ErrorCode::not_ready));
  accept.open();
  const auto result = answer.get(patience);
  ASSERT_TRUE(ok(result));
  EXPECT_EQ(result->cache_status, CacheStatus::miss);
}

TEST(AskCancel, BeforeAnything) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(
      fails_with(llm.ask("x", {.stop_token = stop.get_token()}).get(), ErrorCode::cancelled));
  EXPECT_EQ(cache.stats().gets, 0U);
  EXPECT_EQ(model->calls(), 0U);
  EXPECT_EQ(llm.stats().refused, 1U);
}

TEST(AskCancel, DuringTheLookup) {
  FakeServer mute(mute_after_ping());
  const auto cache = ValkeyCache::open(mute.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model, {.advanced = {.command_timeout = 1h}});
  std::stop_source stop;
  auto answer = llm.ask("x", {.stop_token = stop.get_token()});
  ASSERT_TRUE(wait_until([&] { return mute.commands_after_handshake().size() == 2; }));
  EXPECT_FALSE(answer.ready());
  stop.request_stop();
  EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::cancelled));
  EXPECT_EQ(model->calls(), 0U);
}

TEST(AskCancel, DuringTheModelCallThatIgnoresIt) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model);
  std::stop_source stop;
  auto answer = llm.ask("x", {.stop_token = stop.get_token()});
  ASSERT_TRUE(model->wait_for_calls(1));
  EXPECT_FALSE(answer.ready());
  stop.request_stop();
  EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::cancelled));
  model->answer(0, Error{.code = ErrorCode::cancelled, .message = "late"});
  EXPECT_TRUE(wait_until([&] { return llm.stats().model_errors == 1; }));
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskCancel, TheModelIsGivenTheStopToken) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model);
  std::stop_source stop;
  auto answer = llm.ask("x", {.stop_token = stop.get_token()});
  ASSERT_TRUE(model->wait_for_calls(1));
  EXPECT_FALSE(model->options(0).stop_token.stop_requested());
  stop.request_stop();
  EXPECT_TRUE(wait_until([&] { return model->options(0).stop_token.stop_requested(); }));
  EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::cancelled));
}

TEST(AskCancel, BetweenLookupAndModel) {
  // The log hook is called there when the entry is Python's.
  std::stop_source stop;
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model, {.advanced = {.log = [&](const LogRecord&) {
                                           stop.request_stop();
                                         }}});
  ASSERT_TRUE(ok(cache.set(llm.key_of("x").value(), R"(json:{"response":"a"})").get()));
  EXPECT_TRUE(fails_with(llm.ask("x", {.stop_token = stop.get_token()}).get(patience),
                         ErrorCode::cancelled));
  EXPECT_EQ(model->calls(), 0U);
  EXPECT_EQ(llm.stats().misses, 1U);
}

TEST(AskCancel, AfterTheAnswerDoesNothing) {
  const auto llm = cached(fresh_cache(), FakeLlm::saying(answer_of("a")));
  std::stop_source stop;
  auto answer = llm.ask("x", {.stop_token = stop.get_token()});
  ASSERT_TRUE(wait_until([&] { return answer.ready(); }));
  stop.request_stop();
  EXPECT_TRUE(ok(answer.get()));
}

TEST(AskCancel, DoesNotGoOnInsideRequestStop) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model);
  std::stop_source stop;
  std::thread::id ran_on;
  auto next =
      llm.ask("x", {.stop_token = stop.get_token()}).then([&](const Result<CachedAnswer>& r) {
        ran_on = std::this_thread::get_id();
        return r.has_value();
      });
  ASSERT_TRUE(model->wait_for_calls(1));
  stop.request_stop();
  const auto result = next.get(patience);
  ASSERT_TRUE(ok(result));
  EXPECT_FALSE(*result);
  EXPECT_NE(ran_on, std::this_thread::get_id());
}

TEST(AskCancel, ManyAtOnceEndOnceEach) {
  constexpr int calls = 200;
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model);
  std::stop_source stop;
  std::vector<Future<CachedAnswer>> answers;
  for (int i = 0; i < calls; ++i) {
    answers.push_back(llm.ask(
        "x" + std::to_string(i),
        {.timeout = i % 2 == 0 ? std::optional<std::chrono::milliseconds>(1h) : std::nullopt,
         .stop_token = stop.get_token()}));
  }
  ASSERT_TRUE(model->wait_for_calls(calls));
  std::thread answering([&] {
    for (int i = 0; i < calls; ++i) model->answer(static_cast<std::size_t>(i), answer_of("a"));
  });
  stop.request_stop();
  int cancelled = 0;
  for (auto& answer : answers) {
    const auto result = answer.get(patience);
    if (!result) {
      EXPECT_TRUE(fails_with(result, ErrorCode::cancelled));
      ++cancelled;
    }
  }
  answering.join();
  RecordProperty("cancelled", cancelled);
  EXPECT_TRUE(wait_until([&] { return adds_up(llm.stats()); }));
}

}  // namespace
}  // namespace valkeycache
