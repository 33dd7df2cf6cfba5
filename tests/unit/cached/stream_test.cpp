// Answers as events: live, shared, and from an entry.
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <stop_token>
#include <string>
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
using test::fresh_cache;
using test::Gate;
using test::ok;
using test::patience;
using test::settled;
using test::wait_until;
using Type = StreamEvent::Type;

// A model whose events the test sends.
class Talker final : public Llm {
 public:
  struct Asked {
    StreamHandler tell;
    CallOptions options;
    Promise<Completion> promise;
  };
  Future<Completion> complete(const ChatRequest&, CallOptions) override {
    return make_ready_future<Completion>(Error{.message = "not to be asked"});
  }
  Future<Completion> stream(const ChatRequest&, StreamHandler on_event,
                            CallOptions options) override {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::make_unique<Asked>(Asked{std::move(on_event), std::move(options), {}}));
    return asked_.back()->promise.future();
  }
  [[nodiscard]] CacheIdentity cache_identity() const override {
    return {.model = "m", .scope = "s"};
  }
  [[nodiscard]] std::size_t calls() const {
    const std::lock_guard lock(mutex_);
    return asked_.size();
  }
  // The n-th call, once it was made.
  Asked& asked(std::size_t n) const {
    if (!wait_until([&] { return calls() > n; })) throw std::runtime_error("was not asked");
    const std::lock_guard lock(mutex_);
    return *asked_[n];
  }
  void say(std::size_t n, const std::string& text) const {
    asked(n).tell({.type = Type::text_delta, .text = text});
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Asked>> asked_;
};

// What a handler was told.
class Ear {
 public:
  [[nodiscard]] StreamHandler handler() {
    return [this](const StreamEvent& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
    };
  }
  [[nodiscard]] std::vector<StreamEvent> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  // Pieces of text, with a '|' after each.
  [[nodiscard]] std::string heard() const {
    std::string text;
    for (const auto& event : events()) {
      if (event.type == Type::text_delta) text += event.text + '|';
    }
    return text;
  }
  [[nodiscard]] bool hears(const std::string& text) const {
    return wait_until([&] { return heard() == text; });
  }

 private:
  mutable std::mutex mutex_;
  std::vector<StreamEvent> events_;
};

ChatRequest question() {
  return ChatRequest("x").temperature(0.7);
}
Error lost() {
  return {.code = ErrorCode::transport, .message = "lost", .retryable = true};
}

TEST(CachedStream, AMissIsLiveAndAHitHasTheSameBoundaries) {
  const auto cache = fresh_cache();
  const auto model = std::make_shared<Talker>();
  const auto llm = cached(cache, model);
  Ear live, again, asked;
  auto answer = llm.stream(question(), live.handler());
  model->say(0, "a");
  EXPECT_TRUE(live.hears("a|")) << "before the end";
  model->say(0, "bc");
  model->asked(0).tell({.type = Type::message_stop, .text = "end_turn"});
  model->asked(0).promise.set(answer_of("abc"));
  const auto first = answer.get(patience);
  ASSERT_TRUE(ok(first));
  EXPECT_EQ(first->response, "abc");
  EXPECT_EQ(first->source, AnswerSource::model);
  EXPECT_EQ(live.events().size(), 3U);
  ASSERT_TRUE(settled(cache));

  const auto hit = llm.stream(question(), again.handler()).get(patience);
  ASSERT_TRUE(ok(hit));
  EXPECT_TRUE(hit->cached);
  EXPECT_EQ(again.heard(), "a|bc|");
  EXPECT_EQ(again.events().size(), 3U);
  EXPECT_EQ(again.events().back().text, "end_turn");
  EXPECT_EQ(llm.ask(question()).get(patience)->response, "abc");
  EXPECT_EQ(model->calls(), 1U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(CachedStream, AnEntryOfAskIsToldBlockByBlock) {
  const auto cache = fresh_cache();
  auto answer = answer_of("hello");
  answer.content = R"([{"reasoningContent":{"reasoningText":{"text":"hm"}}},{"text":"hello"},)"
                   R"({"toolUse":{"toolUseId":"t","name":"n","input":{"a":1}}}])";
  const auto llm = cached(cache, FakeLlm::saying(answer));
  ASSERT_TRUE(ok(llm.ask(question()).get(patience)));
  ASSERT_TRUE(settled(cache));
  Ear ear;
  const auto hit = llm.stream(question(), ear.handler()).get(patience);
  ASSERT_TRUE(ok(hit));
  EXPECT_EQ(hit->content, answer.content);
  EXPECT_EQ(ear.heard(), "hello|");
  std::string reasoning, tool;
  for (const auto& event : ear.events()) {
    if (event.type == Type::reasoning_delta) reasoning += event.text;
    if (event.type == Type::tool_delta) tool += event.text;
    if (event.type == Type::usage) {
      EXPECT_EQ(event.usage.total_tokens, 18);
    }
  }
  EXPECT_EQ(reasoning, "hm");
  EXPECT_EQ(tool, R"({"a":1})");
}

TEST(CachedStream, ReasoningAndToolsComeBackAsTheyCameAndServeAskToo) {
  const auto cache = fresh_cache();
  const auto model = std::make_shared<Talker>();
  const auto llm = cached(cache, model, {.advanced = {.store_tool_use = true}});
  auto whole = answer_of("hello", "tool_use");
  whole.content = R"([{"reasoningContent":{"reasoningText":{"text":"hm, well","signature":"s"}}},)"
                  R"({"text":"hello"},{"toolUse":{"toolUseId":"t","name":"n","input":{"a":1}}}])";
  const std::vector<StreamEvent> events = {
      {.type = Type::message_start, .text = "assistant"},
      {.type = Type::reasoning_delta, .text = "hm, "},
      {.type = Type::reasoning_delta, .text = "well"},
      {.type = Type::other_delta, .json = R"({"reasoningContent":{"signature":"s"}})"},
      {.type = Type::block_stop},
      {.type = Type::text_delta, .block = 1, .text = "hel"},
      {.type = Type::text_delta, .block = 1, .text = "lo"},
      {.type = Type::block_stop, .block = 1},
      {.type = Type::block_start,
       .block = 2,
       .json = R"({"toolUse":{"toolUseId":"t","name":"n"}})"},
      {.type = Type::tool_delta, .block = 2, .text = R"({"a")"},
      {.type = Type::tool_delta, .block = 2, .text = R"(:1})"},
      {.type = Type::block_stop, .block = 2},
      {.type = Type::message_stop, .text = "tool_use"},
      {.type = Type::usage, .json = R"({"metrics":{"latencyMs":7}})", .usage = whole.usage}};
  Ear live;
  auto miss = llm.stream(question(), live.handler());
  for (const auto& event : events) model->asked(0).tell(event);
  model->asked(0).promise.set(whole);
  ASSERT_TRUE(ok(miss.get(patience)));
  ASSERT_TRUE(settled(cache));

  Ear again;
  const auto hit = llm.stream(question(), again.handler()).get(patience);
  ASSERT_TRUE(ok(hit));
  EXPECT_TRUE(hit->cached);
  const auto told = again.events();
  ASSERT_EQ(told.size(), events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(told[i].type, events[i].type) << i;
    EXPECT_EQ(told[i].block, events[i].block) << i;
    EXPECT_EQ(told[i].text, events[i].text) << i;
    EXPECT_EQ(told[i].json, events[i].json) << i;
    EXPECT_EQ(told[i].usage, events[i].usage) << i;
  }
  const auto asked = llm.ask(question()).get(patience);
  ASSERT_TRUE(ok(asked));
  EXPECT_TRUE(asked->cached);
  EXPECT_EQ(asked->response, "hello");
  EXPECT_EQ(asked->content, whole.content);
  EXPECT_EQ(asked->stop_reason, "tool_use");
  EXPECT_EQ(model->calls(), 1U);
}

TEST(CachedStream, OthersHearWhatWasSaidAndThenTheRest) {
  const auto cache = fresh_cache();
  const auto model = std::make_shared<Talker>();
  const auto llm = cached(cache, model);
  Ear first, second;
  auto leading = llm.stream(question(), first.handler());
  model->say(0, "a");
  auto joining = llm.stream(question(), second.handler());
  auto asking = llm.ask(question());
  EXPECT_TRUE(second.hears("a|"));
  model->say(0, "b");
  EXPECT_TRUE(second.hears("a|b|"));
  model->asked(0).promise.set(answer_of("ab"));
  EXPECT_EQ(leading.get(patience)->source, AnswerSource::model);
  EXPECT_EQ(joining.get(patience)->source, AnswerSource::shared);
  EXPECT_EQ(asking.get(patience)->response, "ab");
  EXPECT_EQ(first.heard(), "a|b|");
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(llm.stats().shared, 2U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(CachedStream, ASlowListenerHoldsUpNobody) {
  const auto model = std::make_shared<Talker>();
  const auto llm = cached(fresh_cache(), model);
  Gate let_go;
  Ear quick;
  std::string slow_heard;
  auto slow = llm.stream(question(), [&](const StreamEvent& event) {
    let_go.wait();
    slow_heard += event.text;
  });
  model->say(0, "a");
  auto other = llm.stream(question(), quick.handler());
  model->say(0, "b");
  model->asked(0).promise.set(answer_of("ab"));
  EXPECT_TRUE(ok(other.get(patience)));
  EXPECT_EQ(quick.heard(), "a|b|");
  EXPECT_FALSE(slow.ready()) << "its handler has not returned";
  let_go.open();
  EXPECT_TRUE(ok(slow.get(patience)));
  EXPECT_EQ(slow_heard, "ab");
}

TEST(CachedStream, AHandlerThatThrowsOrIsStoppedEndsItsOwnPartOnly) {
  const auto model = std::make_shared<Talker>();
  const auto llm = cached(fresh_cache(), model);
  std::stop_source stop;
  Ear stopped, patient;
  auto throws = llm.stream(question(), [](const StreamEvent&) { throw std::runtime_error("no"); });
  model->asked(0);
  auto stops = llm.stream(question(), stopped.handler(), {.stop_token = stop.get_token()});
  auto stays = llm.stream(question(), patient.handler());
  model->say(0, "a");
  EXPECT_TRUE(fails_with(throws.get(patience), ErrorCode::callback_failed));
  EXPECT_TRUE(stopped.hears("a|"));
  stop.request_stop();
  EXPECT_TRUE(fails_with(stops.get(patience), ErrorCode::cancelled));
  EXPECT_FALSE(model->asked(0).options.stop_token.stop_requested());
  model->say(0, "b");
  model->asked(0).promise.set(answer_of("ab"));
  EXPECT_TRUE(ok(stays.get(patience)));
  EXPECT_EQ(patient.heard(), "a|b|");
  EXPECT_EQ(stopped.heard(), "a|");
  EXPECT_TRUE(wait_until([&] { return adds_up(llm.stats()); })) << adds_up(llm.stats()).message();
}

TEST(CachedStream, TheModelIsStoppedWhenNobodyListens) {
  for (const bool flight : {true, false}) {
    const auto model = std::make_shared<Talker>();
    const auto llm = cached(fresh_cache(), model, {.advanced = {.single_flight = flight}});
    auto answer =
        llm.stream(question(), [](const StreamEvent&) { throw std::runtime_error("no"); });
    model->say(0, "a");
    EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::callback_failed));
    EXPECT_TRUE(wait_until([&] { return model->asked(0).options.stop_token.stop_requested(); }));
    model->asked(0).promise.set(lost());
  }
}

TEST(CachedStream, WhatBreaksOffIsAnErrorForThoseWhoHeardOfItAndTriedAgainForTheOthers) {
  const auto cache = fresh_cache();
  const auto model = std::make_shared<Talker>();
  const auto llm = cached(cache, model);
  Ear first, second, third;
  auto leading = llm.stream(question(), first.handler());
  model->asked(0);
  auto joining = llm.stream(question(), second.handler());
  auto asking = llm.ask(question());
  model->say(0, "a");
  ASSERT_TRUE(first.hears("a|") && second.hears("a|"));
  model->asked(0).promise.set(lost());
  EXPECT_TRUE(fails_with(leading.get(patience), ErrorCode::transport));
  EXPECT_TRUE(fails_with(joining.get(patience), ErrorCode::transport));
  EXPECT_TRUE(fails_with(asking.get(patience), ErrorCode::invalid_argument))
      << "it had heard nothing, and asked anew";
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(llm.stats().stored, 0U);
  EXPECT_EQ(llm.stats().model_calls, 2U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(CachedStream, WhoHadHeardNothingHearsTheNextTryFromItsBeginning) {
  const auto model = std::make_shared<Talker>();
  const auto llm = cached(fresh_cache(), model);
  Ear first, second, third;
  auto leading = llm.stream(question(), first.handler());
  model->asked(0);
  auto joining = llm.stream(question(), second.handler());
  auto too = llm.stream(question(), third.handler());
  model->asked(0).promise.set(lost());
  EXPECT_TRUE(fails_with(leading.get(patience), ErrorCode::transport));
  model->say(1, "b");
  model->asked(1).promise.set(answer_of("b"));
  EXPECT_TRUE(ok(joining.get(patience)));
  EXPECT_TRUE(ok(too.get(patience)));
  EXPECT_EQ(second.heard(), "b|");
  EXPECT_EQ(third.heard(), "b|");
  EXPECT_EQ(first.heard(), "");
}

// To try again would fail again.
TEST(CachedStream, APermanentErrorIsEverybodysWhoeverHasHeardWhat) {
  const auto model = std::make_shared<Talker>();
  const auto cache = fresh_cache();
  const auto llm = cached(cache, model);
  Ear first, second;
  auto leading = llm.stream(question(), first.handler());
  model->say(0, "a");
  auto listening = llm.stream(question(), second.handler());
  auto waiting = llm.ask(question());
  ASSERT_TRUE(first.hears("a|"));
  ASSERT_TRUE(second.hears("a|"));
  model->asked(0).promise.set(Error{.code = ErrorCode::access_denied, .message = "no"});
  for (auto* const asked : {&leading, &listening, &waiting}) {
    EXPECT_TRUE(fails_with(asked->get(patience), ErrorCode::access_denied));
  }
  EXPECT_EQ(model->calls(), 1U);
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(llm.stats().stored, 0U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

// What all may hear again and again has to be kept: so it has an end.
TEST(CachedStream, WhatIsLongerThanMayBeKeptIsAnErrorAndNotStored) {
  const auto model = std::make_shared<Talker>();
  const auto cache = fresh_cache();
  const auto llm = cached(cache, model);
  std::atomic<std::size_t> heard{0};
  auto answer =
      llm.stream(question(), [&](const StreamEvent& event) { heard += event.text.size(); });
  const StreamEvent piece{.type = Type::text_delta, .text = std::string(1 << 20, 'x')};
  std::size_t told = 0;
  bool refused = false;
  for (; told < 64 && !refused; ++told) {
    try {
      model->asked(0).tell(piece);
    } catch (const std::bad_alloc&) {
      refused = true;
    }
  }
  EXPECT_TRUE(refused);
  EXPECT_LE(told, 33U) << "MiB";
  EXPECT_GE(told, 31U);
  model->asked(0).promise.set(Error{.code = ErrorCode::callback_failed, .message = "the handler"});
  EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::too_large));
  EXPECT_LE(heard, std::size_t{32} << 20);
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(llm.stats().stored, 0U);
}

TEST(CachedStream, DeadlinesAndTheEndOfTheCachedLlm) {
  const auto model = std::make_shared<Talker>();
  std::optional<CachedLlm> llm = cached(fresh_cache(), model);
  Ear first, second;
  auto leading = llm->stream(question(), first.handler());
  auto hasty = llm->stream(question(), second.handler(), {.timeout = 5ms});
  EXPECT_TRUE(fails_with(hasty.get(patience), ErrorCode::timeout));
  model->asked(0);
  llm.reset();
  EXPECT_TRUE(fails_with(leading.get(patience), ErrorCode::closed));
  EXPECT_TRUE(wait_until([&] { return model->asked(0).options.stop_token.stop_requested(); }));
  model->say(0, "late");
  model->asked(0).promise.set(answer_of("late"));
  EXPECT_EQ(first.heard(), "");
}

// As processes do, with leases.
TEST(CachedStream, WhoWaitsForAnothersLeaseHearsItsAnswer) {
  const auto cache = fresh_cache();
  const auto model = std::make_shared<Talker>();
  CachedLlmOptions options;
  options.advanced.lease = 1min;
  const auto first = cached(cache, model, options);
  const auto second = cached(cache, model, options);
  Ear live, waiting;
  auto leading = first.stream(question(), live.handler());
  model->say(0, "a");
  auto later = second.stream(question(), waiting.handler());
  ASSERT_TRUE(live.hears("a|"));
  model->say(0, "b");
  model->asked(0).promise.set(answer_of("ab"));
  EXPECT_TRUE(ok(leading.get(patience)));
  const auto answer = later.get(patience);
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->source, AnswerSource::shared);
  EXPECT_EQ(answer->response, "ab");
  EXPECT_EQ(waiting.heard(), "a|b|");
  EXPECT_EQ(model->calls(), 1U);
  EXPECT_TRUE(wait_until([&] { return settled(cache) && adds_up(second.stats()); }));
}

TEST(CachedStream, AFollowerHearsTheModelOnceItsLeaderTiresOfALease) {
  const auto cache = fresh_cache();
  const auto model = std::make_shared<Talker>();
  CachedLlmOptions options;
  options.advanced.lease = 1min;
  const auto first = cached(cache, model, options);
  const auto second = cached(cache, model, options);
  Ear theirs, mine, too;
  auto holding = first.stream(question(), theirs.handler());
  model->asked(0);
  auto hurried = second.stream(question(), mine.handler(), {.timeout = 4s});
  auto patient = second.stream(question(), too.handler());
  model->say(1, "m");
  EXPECT_TRUE(mine.hears("m|"));
  EXPECT_TRUE(too.hears("m|"));
  model->asked(1).promise.set(answer_of("m"));
  EXPECT_TRUE(ok(hurried.get(patience)));
  EXPECT_TRUE(ok(patient.get(patience)));
  model->asked(0).promise.set(answer_of("t"));
  EXPECT_TRUE(ok(holding.get(patience)));
}

TEST(CachedStream, WithoutACacheItIsTheModels) {
  test::FakeServer server(
      test::answering([](const test::Command&) { return std::string("-ERR no\r\n"); }));
  const auto model = std::make_shared<Talker>();
  const auto cache = ValkeyCache::open(server.uri()).value();
  const auto llm = cached(cache, model);
  Ear ear;
  auto answer = llm.stream(question(), ear.handler());
  model->say(0, "a");
  EXPECT_TRUE(ear.hears("a|")) << "live";
  model->asked(0).promise.set(answer_of("a"));
  const auto result = answer.get(patience);
  ASSERT_TRUE(ok(result));
  EXPECT_EQ(result->cache_status, CacheStatus::error);
  EXPECT_EQ(result->source, AnswerSource::model);
}

TEST(CachedStream, CacheOnlyTellsWhatIsThereAndAsksNobody) {
  const auto cache = fresh_cache();
  const auto model = std::make_shared<Talker>();
  const auto llm = cached(cache, model);
  Ear none, live, replayed;
  EXPECT_TRUE(fails_with(llm.stream(question(), none.handler(), {.cache_only = true}).get(patience),
                         ErrorCode::cache_miss));
  EXPECT_TRUE(none.events().empty());
  auto asked = llm.stream(question(), live.handler());
  model->say(0, "a");
  model->say(0, "b");
  model->asked(0).promise.set(answer_of("ab"));
  ASSERT_TRUE(ok(asked.get(patience)));
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(ok(llm.stream(question(), replayed.handler(), {.cache_only = true}).get(patience)));
  EXPECT_EQ(replayed.heard(), "a|b|");
  EXPECT_EQ(model->calls(), 1U);
}

TEST(CachedStream, ExecutorsThatRunAndThatDropTheHandler) {
  const auto model = std::make_shared<Talker>();
  std::atomic<int> tasks{0};
  CachedLlmOptions options;
  options.advanced.executor = [&](Task task) {
    ++tasks;
    task();
  };
  const auto llm = cached(fresh_cache(), model, options);
  Ear ear;
  auto answer = llm.stream(question(), ear.handler());
  model->say(0, "a");
  EXPECT_EQ(ear.heard(), "a|") << "inside push, by this executor";
  model->asked(0).promise.set(answer_of("a"));
  EXPECT_TRUE(ok(answer.get(patience)));
  EXPECT_GE(tasks, 2);

  options.advanced.executor = [](Task) {
  };
  const auto dropping = cached(fresh_cache(), model, options);
  auto lost_one = dropping.stream(question(), ear.handler());
  model->say(1, "b");
  EXPECT_TRUE(fails_with(lost_one.get(patience), ErrorCode::abandoned));
  model->asked(1).promise.set(lost());
}

TEST(CachedStream, AnExecutorThatThrowsLosesNothing) {
  for (const bool runs : {false, true}) {
    const auto model = std::make_shared<Talker>();
    CachedLlmOptions options;
    options.advanced.executor = [runs](Task task) {
      if (runs) task();
      throw std::runtime_error("the loop has ended");
    };
    const auto llm = cached(fresh_cache(), model, options);
    Ear ear;
    auto answer = llm.stream(question(), ear.handler());
    model->say(0, "a");
    model->say(0, "b");
    model->asked(0).promise.set(answer_of("ab"));
    EXPECT_TRUE(ok(answer.get(patience)));
    EXPECT_EQ(ear.heard(), "a|b|");
  }
}

TEST(CachedStream, RequestsThatCannotBeStreamedOrAreUnusable) {
  const auto llm = cached(fresh_cache(), std::make_shared<Talker>());
  Ear ear;
  EXPECT_TRUE(fails_with(llm.stream(ChatRequest::invoke("m", "{}"), ear.handler()).get(patience),
                         ErrorCode::unsupported));
  EXPECT_TRUE(fails_with(llm.stream(ChatRequest(" ").temperature(0.7), ear.handler()).get(patience),
                         ErrorCode::invalid_argument));
  EXPECT_TRUE(ear.events().empty());
}

}  // namespace
}  // namespace valkeycache
