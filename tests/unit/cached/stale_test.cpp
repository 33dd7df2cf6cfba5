// Entries past their TTL: given at once and refreshed behind, given when the model fails, or too
// old for who asks.
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

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
using test::patience;
using test::settled;
using test::wait_until;

const Error throttled{.code = ErrorCode::throttled, .message = "later", .retryable = true};
const Error denied{.code = ErrorCode::access_denied, .message = "no"};

// TTLs of 100 s by a clock that the test sets.
class Stale : public testing::Test {
 protected:
  static CachedLlmOptions stale_for(std::chrono::milliseconds while_revalidate,
                                    std::chrono::milliseconds if_error = 0ms) {
    CachedLlmOptions options;
    options.advanced.stale_while_revalidate = while_revalidate;
    options.advanced.stale_if_error = if_error;
    options.advanced.refresh_lease = 20ms;
    return options;
  }
  CachedLlm over(CachedLlmOptions options) { return cached(cache_, model_, std::move(options)); }

  // Asks for the first time, at second 0.
  void fill(const CachedLlm& llm, const std::string& prompt = "x", const std::string& text = "a") {
    const auto call = model_->calls();
    auto answer = llm.ask(prompt);
    ASSERT_TRUE(model_->wait_for_calls(call + 1));
    model_->answer(call, answer_of(text));
    ASSERT_TRUE(ok(answer.get(patience)));
    ASSERT_TRUE(settled(cache_));
  }
  std::optional<std::string> lease_of(const CachedLlm& llm) const {
    const auto key = llm.key_of("x").value();
    return cache_.get(CacheKey::raw(key.namespaces(), key.text() + ":lease").value()).get().value();
  }
  // With the refreshes under way ended.
  testing::AssertionResult sums(const CachedLlm& llm) {
    static_cast<void>(wait_until([&] { return settled(cache_) && adds_up(llm.stats()); }));
    return adds_up(llm.stats());
  }

  std::atomic<std::int64_t> ms_{0};
  const ValkeyCache cache_ = fresh_cache({.ttl = 100s, .clock = [this] {
                                            return std::chrono::steady_clock::time_point(
                                                1h + std::chrono::milliseconds(ms_));
                                          }});
  const std::shared_ptr<FakeLlm> model_ = FakeLlm::manual();
};

TEST_F(Stale, IsAnsweredAtOnceAndRefreshedBehind) {
  const auto llm = over(stale_for(50s));
  fill(llm);
  EXPECT_EQ(cache_.ttl(llm.key_of("x").value()).get().value(), Ttl(150s));
  ms_ = 99'000;
  const auto fresh = llm.ask("x").get(patience);
  EXPECT_EQ(fresh->source, AnswerSource::valkey);
  EXPECT_EQ(fresh->age, 99s);
  ms_ = 100'500;
  for (int i = 0; i < 3; ++i) {
    const auto stale = llm.ask("x").get(patience);
    ASSERT_TRUE(ok(stale));
    EXPECT_EQ(stale->response, "a");
    EXPECT_EQ(stale->source, AnswerSource::stale);
    EXPECT_EQ(stale->cache_status, CacheStatus::hit);
    EXPECT_TRUE(stale->cached);
    EXPECT_EQ(stale->age, 100500ms);
    EXPECT_EQ(stale->avoided_usage.total_tokens, 18);
    EXPECT_FALSE(stale->model_error);
    ASSERT_TRUE(model_->wait_for_calls(2));
  }
  EXPECT_TRUE(lease_of(llm));
  model_->answer(1, answer_of("b"));
  EXPECT_TRUE(wait_until([&] { return llm.ask("x").get(patience)->response == "b"; }));
  EXPECT_EQ(llm.ask("x").get(patience)->source, AnswerSource::valkey);
  ASSERT_TRUE(settled(cache_));
  EXPECT_FALSE(lease_of(llm));
  EXPECT_EQ(model_->calls(), 2U);
  EXPECT_TRUE(sums(llm));
  const auto stats = llm.stats();
  EXPECT_GE(stats.stale, 3U);
  EXPECT_EQ(stats.refreshes, 1U);
  EXPECT_EQ(stats.misses, 1U);
  EXPECT_EQ(stats.stored, 2U);
  EXPECT_EQ(stats.consumed.output, 22U) << "the refresh's, too";
  EXPECT_EQ(stats.latency_of(AnswerSource::stale).count(), stats.stale);
  EXPECT_EQ(stats.latency_of(AnswerSource::model).count(), 1U);
}

TEST_F(Stale, OneRefreshForAllProcesses) {
  const auto first = over(stale_for(50s));
  const auto second = over(stale_for(50s));
  fill(first);
  ms_ = 120'000;
  EXPECT_EQ(first.ask("x").get(patience)->source, AnswerSource::stale);
  ASSERT_TRUE(model_->wait_for_calls(2));
  EXPECT_EQ(second.ask("x").get(patience)->source, AnswerSource::stale);
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(second.stats().refreshes, 0U);
  model_->answer(1, answer_of("b"));
  EXPECT_TRUE(wait_until([&] { return second.ask("x").get(patience)->response == "b"; }));
  EXPECT_EQ(model_->calls(), 2U);
  EXPECT_TRUE(sums(first));
  EXPECT_TRUE(sums(second));
}

TEST_F(Stale, AFailedRefreshRestsForItsLease) {
  const auto first = over(stale_for(50s));
  const auto second = over(stale_for(50s));
  fill(first);
  ms_ = 120'000;
  EXPECT_EQ(first.ask("x").get(patience)->response, "a");
  ASSERT_TRUE(model_->wait_for_calls(2));
  model_->answer(1, throttled);
  EXPECT_TRUE(wait_until([&] { return lease_of(first) == "-"; }));
  // As long as that stands, nobody tries: the other has no other reason.
  EXPECT_EQ(second.ask("x").get(patience)->source, AnswerSource::stale);
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(second.stats().refreshes, 0U);
  ms_ = 120'020;
  EXPECT_TRUE(wait_until([&] {
    EXPECT_EQ(second.ask("x").get(patience)->source, AnswerSource::stale);
    return model_->calls() == 3;
  })) << "its end lets another try";
  EXPECT_TRUE(sums(first));
  EXPECT_EQ(first.stats().refresh_errors, 1U);
  EXPECT_EQ(first.stats().model_errors, 1U);
  EXPECT_EQ(first.stats().failed, 0U) << "it was nobody's call";
  model_->answer(2, answer_of("cut", "max_tokens"));
  EXPECT_TRUE(wait_until([&] { return lease_of(first) == "-"; })) << "nor one that is not stored";
  EXPECT_TRUE(sums(second));
}

TEST_F(Stale, OthersWhoMayNotStoreDoNotRefresh) {
  const auto llm = over(stale_for(20s, 50s));
  fill(llm);
  ms_ = 110'000;
  EXPECT_EQ(llm.ask("x", {.cache_only = true}).get(patience)->source, AnswerSource::stale);
  EXPECT_EQ(llm.ask("x", {.no_store = true}).get(patience)->source, AnswerSource::stale);
  ms_ = 130'000;
  const auto last_resort = llm.ask("x", {.cache_only = true}).get(patience);
  ASSERT_TRUE(ok(last_resort)) << "the model is not to be asked";
  EXPECT_EQ(last_resort->source, AnswerSource::stale);
  EXPECT_EQ(llm.stats().stale, 3U);
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(model_->calls(), 1U);
  EXPECT_FALSE(lease_of(llm));
  EXPECT_TRUE(sums(llm));
}

TEST_F(Stale, RefreshesAreBounded) {
  auto options = stale_for(50s);
  options.advanced.max_refreshes = 1;
  const auto llm = over(options);
  fill(llm, "x");
  fill(llm, "y");
  ms_ = 120'000;
  EXPECT_EQ(llm.ask("x").get(patience)->source, AnswerSource::stale);
  ASSERT_TRUE(model_->wait_for_calls(3));
  EXPECT_EQ(llm.ask("y").get(patience)->source, AnswerSource::stale);
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(llm.stats().refreshes, 1U);
  model_->answer(2, answer_of("b"));
  EXPECT_TRUE(wait_until([&] {
    return llm.ask("y").get(patience)->source == AnswerSource::stale && model_->calls() == 4;
  })) << "a later hit";
  model_->answer(3, answer_of("c"));
  EXPECT_TRUE(sums(llm));
}

TEST_F(Stale, WhatHasGoneMeanwhileIsStoredAnew) {
  auto leasing = stale_for(50s);
  leasing.advanced.lease = leasing.advanced.refresh_lease = 1min;
  const auto first = over(leasing);
  const auto second = over(leasing);
  fill(first);
  ms_ = 149'000;
  EXPECT_EQ(first.ask("x").get(patience)->source, AnswerSource::stale);
  ASSERT_TRUE(model_->wait_for_calls(2));
  ms_ = 149'999;
  ASSERT_TRUE(cache_.erase(first.key_of("x").value()).get().value());
  auto waiting = second.ask("x");  // for the lease that the refresh has
  model_->answer(1, answer_of("b"));
  const auto answer = waiting.get(patience);
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->response, "b");
  EXPECT_EQ(answer->source, AnswerSource::shared);
  EXPECT_EQ(model_->calls(), 2U);
  EXPECT_TRUE(sums(first));
  EXPECT_EQ(first.stats().stored, 2U);
}

TEST_F(Stale, WhatAnotherHasStoredMeanwhileStays) {
  const auto llm = over(stale_for(50s));
  fill(llm);
  ms_ = 120'000;
  EXPECT_EQ(llm.ask("x").get(patience)->source, AnswerSource::stale);
  ASSERT_TRUE(model_->wait_for_calls(2));
  auto asked = llm.ask("x", {.refresh = true});
  ASSERT_TRUE(model_->wait_for_calls(3));
  model_->answer(2, answer_of("asked for"));
  ASSERT_TRUE(ok(asked.get(patience)));
  ASSERT_TRUE(settled(cache_));
  model_->answer(1, answer_of("behind"));
  EXPECT_TRUE(wait_until([&] { return llm.stats().rejected_superseded == 1; }));
  EXPECT_EQ(llm.ask("x").get(patience)->response, "asked for");
  EXPECT_TRUE(sums(llm));
}

TEST_F(Stale, DestroyingStopsTheRefreshAndLetsOthersDoIt) {
  std::optional<CachedLlm> llm = over(stale_for(50s));
  fill(*llm);
  ms_ = 120'000;
  EXPECT_EQ(llm->ask("x").get(patience)->source, AnswerSource::stale);
  ASSERT_TRUE(model_->wait_for_calls(2));
  const auto stop = model_->options(1).stop_token;
  EXPECT_FALSE(stop.stop_requested());
  llm.reset();
  // The step that asked may still have been about to return.
  EXPECT_TRUE(wait_until([&] { return stop.stop_requested(); }));
  model_->answer(1, answer_of("b"));  // late, and stored nowhere
  ASSERT_TRUE(settled(cache_));
  const auto other = over(stale_for(50s));
  EXPECT_EQ(other.ask("x").get(patience)->response, "a");
  ASSERT_TRUE(model_->wait_for_calls(3)) << "the lease was given back";
  model_->answer(2, answer_of("c"));
  EXPECT_TRUE(sums(other));
}

TEST_F(Stale, AModelThatThrowsEndsTheRefresh) {
  int calls = 0;
  const auto throwing = std::make_shared<FakeLlm>(
      [&calls](const ChatRequest&, const CallOptions&) -> Future<Completion> {
        if (++calls > 1) throw std::runtime_error("no");
        return make_ready_future<Completion>(answer_of("a"));
      });
  const auto llm = cached(cache_, throwing, stale_for(50s));
  ASSERT_TRUE(ok(llm.ask("x").get(patience)));
  ASSERT_TRUE(settled(cache_));
  ms_ = 120'000;
  EXPECT_TRUE(ok(llm.ask("x").get(patience)));
  EXPECT_TRUE(wait_until([&] { return llm.stats().refresh_errors == 1; }));
  EXPECT_TRUE(sums(llm));
}

TEST_F(Stale, TheObserverIsToldOfRefreshes) {
  std::mutex mutex;
  std::vector<std::string> lines;
  auto options = stale_for(50s);
  options.advanced.observer = json_lines([&](std::string_view line) {
    const std::lock_guard lock(mutex);
    lines.emplace_back(line);
  });
  const auto llm = over(options);
  fill(llm);
  ms_ = 120'000;
  EXPECT_TRUE(ok(llm.ask("x").get(patience)));
  ASSERT_TRUE(model_->wait_for_calls(2));
  model_->answer(1, answer_of("b"));
  EXPECT_TRUE(wait_until([&] {
    const std::lock_guard lock(mutex);
    return lines.size() == 3;
  }));
  const std::lock_guard lock(mutex);
  const auto holds = [&](std::size_t line, const char* part) {
    return lines.at(line).find(part) != std::string::npos;
  };
  EXPECT_TRUE(holds(1, R"("source":"stale","cache_status":"hit")")) << lines[1];
  EXPECT_FALSE(holds(1, "refresh"));
  EXPECT_TRUE(holds(2, R"("source":"model","cache_status":"bypass")")) << lines[2];
  EXPECT_TRUE(holds(2, R"("bypass_reason":"refresh","refresh":true)")) << lines[2];
  EXPECT_EQ(llm.stats().calls, 2U);
}

// --- when the model fails ---

TEST_F(Stale, IsTheAnswerWhenTheModelFails) {
  const auto llm = over(stale_for(0s, 50s));
  fill(llm);
  ms_ = 120'000;
  auto leading = llm.ask("x");
  ASSERT_TRUE(model_->wait_for_calls(2));
  auto following = llm.ask("x");
  model_->answer(1, throttled);
  for (auto* future : {&leading, &following}) {
    const auto answer = future->get(patience);
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(answer->response, "a");
    EXPECT_EQ(answer->source, AnswerSource::stale);
    EXPECT_EQ(answer->cache_status, CacheStatus::miss);
    EXPECT_TRUE(answer->cached);
    EXPECT_GE(answer->age, 120s);
    ASSERT_TRUE(answer->model_error);
    EXPECT_EQ(answer->model_error->code, ErrorCode::throttled);
  }
  EXPECT_EQ(model_->calls(), 2U);
  const auto stats = llm.stats();
  EXPECT_EQ(stats.stale_if_error, 2U);
  EXPECT_EQ(stats.stale, 0U);
  EXPECT_EQ(stats.failed, 0U);
  EXPECT_TRUE(adds_up(stats));

  auto refused = llm.ask("x");
  ASSERT_TRUE(model_->wait_for_calls(3));
  model_->answer(2, denied);
  EXPECT_TRUE(fails_with(refused.get(patience), ErrorCode::access_denied))
      << "asking again is vain";

  auto well = llm.ask("x");
  ASSERT_TRUE(model_->wait_for_calls(4));
  model_->answer(3, answer_of("b"));
  EXPECT_EQ(well.get(patience)->source, AnswerSource::model);
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(llm.ask("x").get(patience)->response, "b");
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST_F(Stale, IsNoAnswerBeyondItsTime) {
  const auto keeper = over(stale_for(0s, 50s));
  const auto llm = over(stale_for(0s, 10s));
  fill(keeper);
  ms_ = 120'000;
  auto answer = llm.ask("x");
  ASSERT_TRUE(model_->wait_for_calls(2));
  model_->answer(1, throttled);
  EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::throttled));
  auto too_old = keeper.ask("x", {.max_age = 30s});
  ASSERT_TRUE(model_->wait_for_calls(3));
  model_->answer(2, throttled);
  EXPECT_TRUE(fails_with(too_old.get(patience), ErrorCode::throttled)) << "a maximum is one";
  EXPECT_TRUE(adds_up(llm.stats()));
  EXPECT_TRUE(adds_up(keeper.stats()));
}

// Says a word, and breaks off.
class BreakingLlm final : public Llm {
 public:
  std::atomic<bool> speaks{true};
  Future<Completion> complete(const ChatRequest&, CallOptions) override {
    return make_ready_future<Completion>(answer_of("whole"));
  }
  Future<Completion> stream(const ChatRequest&, StreamHandler on_event, CallOptions) override {
    if (speaks) on_event({.type = StreamEvent::Type::text_delta, .text = "half"});
    return make_ready_future<Completion>(throttled);
  }
  CacheIdentity cache_identity() const override { return {.model = "m", .scope = "breaking"}; }
};

TEST_F(Stale, AStreamThatSaidNothingIsReplacedByTheEntrysEvents) {
  const auto model = std::make_shared<BreakingLlm>();
  const auto llm = cached(cache_, model, stale_for(0s, 50s));
  const auto request = ChatRequest("x").temperature(0.7);
  ASSERT_TRUE(ok(llm.ask(request).get(patience)));
  ASSERT_TRUE(settled(cache_));
  ms_ = 120'000;
  std::string heard;
  const auto listen = [&heard](const StreamEvent& event) {
    if (event.type == StreamEvent::Type::text_delta) heard += event.text;
  };
  model->speaks = false;
  const auto answer = llm.stream(request, listen).get(patience);
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->source, AnswerSource::stale);
  EXPECT_EQ(heard, "whole");
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST_F(Stale, WhoHasHeardHalfOfAnotherAnswerGetsTheError) {
  // The stream breaks off once the handler has heard its word.
  struct Waits final : Llm {
    std::atomic<bool> heard{false};
    Future<Completion> complete(const ChatRequest&, CallOptions) override {
      return make_ready_future<Completion>(answer_of("whole"));
    }
    Future<Completion> stream(const ChatRequest&, StreamHandler on_event, CallOptions) override {
      on_event({.type = StreamEvent::Type::text_delta, .text = "half"});
      EXPECT_TRUE(wait_until([&] { return heard.load(); }));
      return make_ready_future<Completion>(throttled);
    }
    CacheIdentity cache_identity() const override { return {.model = "m", .scope = "waits"}; }
  };
  const auto model = std::make_shared<Waits>();
  const auto llm = cached(cache_, model, stale_for(0s, 50s));
  const auto request = ChatRequest("x").temperature(0.7);
  ASSERT_TRUE(ok(llm.ask(request).get(patience)));
  ASSERT_TRUE(settled(cache_));
  ms_ = 120'000;
  std::string text;
  const auto answer = llm.stream(request,
                                 [&](const StreamEvent& event) {
                                   text += event.text;
                                   model->heard = true;
                                 })
                          .get(patience);
  EXPECT_TRUE(fails_with(answer, ErrorCode::throttled));
  EXPECT_EQ(text, "half");
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST_F(Stale, AStreamsStaleHitTellsTheEntryAndIsRefreshedAsAStream) {
  struct Counts final : Llm {
    std::atomic<int> streams{0}, wholes{0};
    Future<Completion> complete(const ChatRequest&, CallOptions) override {
      ++wholes;
      return make_ready_future<Completion>(answer_of("xy"));
    }
    Future<Completion> stream(const ChatRequest&, StreamHandler on_event, CallOptions) override {
      const bool first = streams++ == 0;
      for (const auto* piece : {first ? "x" : "u", first ? "y" : "v"}) {
        on_event({.type = StreamEvent::Type::text_delta, .text = piece});
      }
      return make_ready_future<Completion>(answer_of(first ? "xy" : "uv"));
    }
    CacheIdentity cache_identity() const override { return {.model = "m", .scope = "counts"}; }
  };
  const auto model = std::make_shared<Counts>();
  const auto llm = cached(cache_, model, stale_for(50s));
  const auto request = ChatRequest("x").temperature(0.7);
  const auto listen = [&] {
    std::vector<std::string> pieces;
    const auto answer = llm.stream(request,
                                   [&](const StreamEvent& event) {
                                     if (!event.text.empty()) pieces.push_back(event.text);
                                   })
                            .get(patience);
    EXPECT_TRUE(ok(answer));
    return std::pair(answer ? answer->source : AnswerSource::bypass, pieces);
  };
  using Pieces = std::vector<std::string>;
  EXPECT_EQ(listen(), std::pair(AnswerSource::model, (Pieces{"x", "y"})));
  ASSERT_TRUE(settled(cache_));
  ms_ = 120'000;
  EXPECT_EQ(listen(), std::pair(AnswerSource::stale, (Pieces{"x", "y"})));
  EXPECT_TRUE(wait_until([&] { return llm.stats().stored == 2; }));
  EXPECT_EQ(listen(), std::pair(AnswerSource::valkey, (Pieces{"u", "v"}))) << "with its boundaries";
  EXPECT_EQ(model->wholes, 0);
  EXPECT_TRUE(sums(llm));
}

// --- a maximum age ---

TEST_F(Stale, WhatIsOlderThanTheCallerWantsIsReplaced) {
  const auto llm = over({});
  fill(llm);
  ms_ = 30'000;
  const auto good = llm.ask("x", {.max_age = 30s}).get(patience);
  EXPECT_EQ(good->source, AnswerSource::valkey);
  EXPECT_EQ(good->age, 30s);
  EXPECT_TRUE(fails_with(llm.ask("x", {.cache_only = true, .max_age = 29s}).get(patience),
                         ErrorCode::cache_miss));
  auto asks = llm.ask("x", {.max_age = 29s});
  ASSERT_TRUE(model_->wait_for_calls(2));
  auto with_it = llm.ask("x", {.max_age = 29s});
  auto apart = llm.ask("x", {.max_age = 28s});
  ASSERT_TRUE(model_->wait_for_calls(3)) << "each age flies by itself";
  EXPECT_EQ(llm.ask("x").get(patience)->response, "a") << "who wants no age waits for nobody";
  model_->answer(2, answer_of("c"));
  model_->answer(1, answer_of("b"));
  EXPECT_EQ(asks.get(patience)->source, AnswerSource::model);
  EXPECT_EQ(with_it.get(patience)->source, AnswerSource::shared);
  EXPECT_EQ(apart.get(patience)->response, "c");
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(llm.ask("x", {.max_age = 0s}).get(patience)->response, "b");
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST_F(Stale, AMaximumAgeUnderALease) {
  CachedLlmOptions options;
  options.advanced.lease = 1min;
  const auto llm = over(options);
  fill(llm);
  ms_ = 30'000;
  auto answer = llm.ask("x", {.max_age = 10s});
  ASSERT_TRUE(model_->wait_for_calls(2));
  ms_ = 100'000;  // what was seen comes to its end
  model_->answer(1, answer_of("b"));
  EXPECT_EQ(answer.get(patience)->response, "b");
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(llm.ask("x").get(patience)->response, "b");
  EXPECT_EQ(llm.stats().rejected_superseded, 0U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST_F(Stale, AnEntryWithoutTimesHasNoAge) {
  const auto llm = over(stale_for(50s));
  const auto key = llm.key_of("x").value();
  const auto bytes =
      EntryCodec().encode({.response = "a", .stop_reason = "end_turn"}, key, cache_.wire_key(key));
  ASSERT_TRUE(cache_.set(key, bytes.value()).get());
  EXPECT_EQ(llm.ask("x").get(patience)->source, AnswerSource::valkey);
  EXPECT_TRUE(fails_with(llm.ask("x", {.cache_only = true, .max_age = 1h}).get(patience),
                         ErrorCode::cache_miss));
  EXPECT_TRUE(adds_up(llm.stats()));
}

// Written by somebody whose clock is decades off.
TEST_F(Stale, NobodysClockMatters) {
  const auto llm = over(stale_for(50s));
  const auto key = llm.key_of("x").value();
  for (const std::int64_t created : {std::int64_t{1}, std::int64_t{9'999'999'999'999}}) {
    const auto bytes = EntryCodec().encode({.response = "a",
                                            .stop_reason = "end_turn",
                                            .created_ms = created,
                                            .hard_ttl_ms = 150'000,
                                            .soft_ttl_ms = 100'000},
                                           key, cache_.wire_key(key));
    ms_ = 0;
    ASSERT_TRUE(cache_.set(key, bytes.value(), 150s).get());
    ms_ = 60'000;
    const auto fresh = llm.ask("x", {.cache_only = true, .max_age = 1min}).get(patience);
    ASSERT_TRUE(ok(fresh));
    EXPECT_EQ(fresh->source, AnswerSource::valkey);
    EXPECT_EQ(fresh->age, 60s);
    ms_ = 110'000;
    EXPECT_EQ(llm.ask("x", {.cache_only = true}).get(patience)->source, AnswerSource::stale);
  }
}

}  // namespace
}  // namespace valkeycache
