// ask() with a cache that works: what is looked up, sent, answered and stored.
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <string>

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
using test::settled;

const std::string question = "What is Amazon ElastiCache for Valkey?";

TEST(Ask, MissesThenHits) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("A managed service."));
  const auto llm = cached(cache, model);

  const auto miss = llm.ask(question).get();
  ASSERT_TRUE(ok(miss));
  EXPECT_EQ(miss->response, "A managed service.");
  EXPECT_FALSE(miss->cached);
  EXPECT_EQ(miss->source, AnswerSource::model);
  EXPECT_EQ(miss->cache_status, CacheStatus::miss);
  EXPECT_FALSE(miss->cache_error);
  EXPECT_EQ(miss->age, 0ms);
  EXPECT_EQ(miss->usage, (Usage{.input_tokens = 7, .output_tokens = 11, .total_tokens = 18}));
  EXPECT_EQ(miss->avoided_usage, Usage{});
  EXPECT_EQ(miss->stop_reason, "end_turn");
  EXPECT_EQ(miss->model, "fake-model");
  ASSERT_TRUE(miss->key);
  EXPECT_EQ(*miss->key, llm.key_of(question).value());
  EXPECT_GE(miss->latency_ms, 0);
  EXPECT_GE(miss->total_ms, miss->latency_ms);
  ASSERT_TRUE(settled(cache));

  const auto hit = llm.ask(question).get();
  ASSERT_TRUE(ok(hit));
  EXPECT_EQ(hit->response, "A managed service.");
  EXPECT_TRUE(hit->cached);
  EXPECT_EQ(hit->source, AnswerSource::valkey);
  EXPECT_EQ(hit->cache_status, CacheStatus::hit);
  EXPECT_GE(hit->age, 0ms);
  EXPECT_EQ(hit->usage, Usage{});
  EXPECT_EQ(hit->avoided_usage, miss->usage);
  EXPECT_EQ(hit->stop_reason, "end_turn");
  EXPECT_EQ(hit->model, "fake-model");
  EXPECT_EQ(hit->key, miss->key);
  EXPECT_GT(hit->latency_ms, 0);
  EXPECT_GE(hit->total_ms, hit->latency_ms);

  EXPECT_EQ(model->calls(), 1U);
  const auto stats = llm.stats();
  EXPECT_EQ(stats.calls, 2U);
  EXPECT_EQ(stats.hits, 1U);
  EXPECT_EQ(stats.misses, 1U);
  EXPECT_EQ(stats.model_calls, 1U);
  EXPECT_EQ(stats.stored, 1U);
  EXPECT_TRUE(adds_up(stats));
}

TEST(Ask, LatencyOnAMissIsTheModelsTime) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model);
  auto answer = llm.ask(question);
  ASSERT_TRUE(model->wait_for_calls(1));
  const auto seen = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() < seen + 3ms) std::this_thread::yield();
  model->answer(0, answer_of("late"));
  const auto result = answer.get(test::patience);
  ASSERT_TRUE(ok(result));
  EXPECT_GE(result->latency_ms, 3);
  EXPECT_GE(result->total_ms, result->latency_ms);
}

TEST(Ask, StoresTheGuidesKeyAndAReadableEntry) {
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("Forty-two")),
                          {.advanced = {.key = {.key_model = "claude-sonnet"}}});
  ASSERT_TRUE(ok(llm.ask(question).get()));
  ASSERT_TRUE(settled(cache));
  const auto key =
      CacheKey::builder().model("claude-sonnet").temperature(0.7).prompt(question).build().value();
  EXPECT_EQ(key.text(), "7f6586356a4bc54a");
  const auto stored = cache.get(key).get();
  ASSERT_TRUE(ok(stored));
  ASSERT_TRUE(stored->has_value());
  EXPECT_EQ((*stored)->rfind(R"({"response":"Forty-two")", 0), 0U) << **stored;
}

TEST(Ask, SendsWhatItHashes) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model);
  ASSERT_TRUE(ok(llm.ask("  \n What is Valkey?\u3000").get()));
  const auto expected = ChatRequest("What is Valkey?").temperature(0.7);
  EXPECT_EQ(model->request(0).to_json(), expected.to_json());
  EXPECT_EQ(model->request(0).model(), "");
}

TEST(Ask, PaddingHitsAndAnythingElseMisses) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model);
  ASSERT_TRUE(ok(llm.ask("What is Valkey?").get()));
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(llm.ask(" What is Valkey?\n").get()->cached);
  EXPECT_TRUE(llm.ask(ChatRequest(" What is Valkey?\n").temperature(0.7)).get()->cached);

  EXPECT_FALSE(llm.ask("What is valkey?", {.no_store = true}).get()->cached);
  EXPECT_FALSE(
      llm.ask(ChatRequest("What is Valkey?").temperature(0.8), {.no_store = true}).get()->cached);
  EXPECT_FALSE(
      llm.ask(ChatRequest("What is Valkey?").temperature(0.7).model("other"), {.no_store = true})
          .get()
          ->cached);
  EXPECT_FALSE(
      llm.ask(ChatRequest("What is Valkey?").temperature(0.7).max_tokens(9), {.no_store = true})
          .get()
          ->cached);
  const auto other = cached(cache, std::make_shared<FakeLlm>(
                                       [](const ChatRequest&, const CallOptions&) {
                                         return make_ready_future<Completion>(answer_of("b"));
                                       },
                                       "another-model"));
  EXPECT_FALSE(other.ask("What is Valkey?").get()->cached);
}

TEST(Ask, SendsARequestOfTheSimpleKeyNormalized) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model);
  const auto request = ChatRequest("  hello ").temperature(0.5).model("m");
  ASSERT_TRUE(ok(llm.ask(request).get()));
  EXPECT_EQ(model->request(0).to_json(), request.normalized().to_json());
  EXPECT_EQ(model->request(0).model(), "m");
  EXPECT_TRUE(llm.key_of(request)->is_simple());
}

TEST(Ask, SendsAnyOtherRequestAsItIs) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model);
  const auto request = ChatRequest("  hello ").temperature(0.5).system("Be brief.");
  ASSERT_TRUE(ok(llm.ask(request).get()));
  EXPECT_EQ(model->request(0).to_json(), request.to_json());
  EXPECT_FALSE(llm.key_of(request)->is_simple());
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(llm.ask(request).get()->cached);
  // The complete form trims nothing.
  EXPECT_FALSE(llm.ask(ChatRequest("hello").temperature(0.5).system("Be brief.")).get()->cached);
}

TEST(Ask, AForcedCompleteKeyKeepsTheRequestAsItIs) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model, {.advanced = {.key = {.tenant = "acme"}}});
  const auto request = ChatRequest("  hello ").temperature(0.5);
  ASSERT_TRUE(ok(llm.ask(request).get()));
  EXPECT_EQ(model->request(0).to_json(), request.to_json());
  // A bare prompt is stripped all the same.
  ASSERT_TRUE(ok(llm.ask("  hello ").get()));
  EXPECT_EQ(model->request(1).to_json(), ChatRequest("hello").temperature(0.7).to_json());
}

TEST(Ask, ABarePromptIsTheRequestThatItStandsFor) {
  for (const double temperature : {0.0, -0.0, 0.7, 0.1 + 0.2, 1.0, 1e16, 1e300, 5e-324}) {
    const auto model = FakeLlm::saying(answer_of("a"));
    const auto cache = fresh_cache();
    const auto llm = cached(cache, model, {.advanced = {.temperature = temperature}});
    std::size_t asked = 0;
    for (const std::string prompt : {"hello", " hello you\n", "\u2003a \"b\"\\\t", "|temp=1|"}) {
      const auto request = ChatRequest(prompt).temperature(temperature);
      EXPECT_EQ(llm.key_of(prompt).value(), llm.key_of(request).value()) << temperature;
      ASSERT_TRUE(ok(llm.ask(prompt).get()));
      EXPECT_EQ(model->request(asked++).to_json(), request.normalized().to_json()) << temperature;
      ASSERT_TRUE(settled(cache));
      EXPECT_TRUE(llm.ask(request).get()->cached);
    }
    // Not even where stripping would take away what is no UTF-8.
    for (const std::string prompt : {"hello\x85", "\x85", "a\xff"}) {
      EXPECT_TRUE(fails_with(llm.key_of(prompt), ErrorCode::invalid_argument));
    }
  }
}

// The same key or error, the same answer, whichever way it is asked.
void expect_both_ways_the_same(const CachedLlm& llm, const std::string& prompt,
                               double temperature) {
  const auto request = ChatRequest(prompt).temperature(temperature);
  const auto by_prompt = llm.key_of(prompt), by_request = llm.key_of(request);
  ASSERT_EQ(by_prompt.has_value(), by_request.has_value());
  if (by_prompt) {
    EXPECT_EQ(*by_prompt, *by_request);
  } else {
    EXPECT_EQ(by_prompt.error().code, by_request.error().code);
  }
  const auto prompted = llm.ask(prompt, {.no_store = true}).get();
  const auto requested = llm.ask(request, {.no_store = true}).get();
  ASSERT_EQ(prompted.has_value(), requested.has_value());
  if (prompted) {
    EXPECT_EQ(prompted->bypass_reason, requested->bypass_reason);
  } else {
    EXPECT_EQ(prompted.error().code, requested.error().code);
  }
}

TEST(Ask, ABarePromptIsRefusedAndPassedByAsTheRequestThatItStandsFor) {
  const std::string unversioned = "arn:aws:bedrock:us-west-2:123456789012:prompt/ABCDEFGHIJ";
  std::vector<CachedLlmOptions> choices;
  for (const double temperature : {0.0, -0.0, 0.7, std::nan("")}) {
    for (const bool deterministic : {false, true}) {
      for (const std::string alias : {"", "alias", "also|bad"}) {
        auto& advanced = choices.emplace_back().advanced;
        advanced.temperature = temperature;
        advanced.deterministic_only = deterministic;
        advanced.key.key_model = alias;
      }
    }
  }
  const auto answer = [](const ChatRequest&, const CallOptions&) {
    return make_ready_future<Completion>(answer_of("a"));
  };
  for (const std::string& name :
       {std::string("m"), std::string("a|b"), std::string("bad \xff"), unversioned}) {
    for (const auto& options : choices) {
      const auto llm = cached(fresh_cache(), std::make_shared<FakeLlm>(answer, name), options);
      for (const std::string prompt : {"hello ", " ", "hello\xff"}) {
        expect_both_ways_the_same(llm, prompt, options.advanced.temperature);
      }
    }
  }
}

TEST(Ask, TheTemperatureIsAnOption) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model, {.advanced = {.temperature = 0.0}});
  ASSERT_TRUE(ok(llm.ask("hello").get()));
  EXPECT_EQ(model->request(0).temperature_text(), "0.0");
}

TEST(Ask, RefusesWhatCannotBeAsked) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto cache = fresh_cache();
  const auto llm = cached(cache, model);
  const auto invalid = ErrorCode::invalid_argument;
  EXPECT_TRUE(fails_with(llm.ask("").get(), invalid));
  EXPECT_TRUE(fails_with(llm.ask(" \t\n\u2003").get(), invalid));
  EXPECT_TRUE(fails_with(llm.ask(ChatRequest("  ").temperature(0.7)).get(), invalid));
  EXPECT_TRUE(fails_with(llm.ask("broken \xff").get(), invalid));
  EXPECT_TRUE(fails_with(llm.ask(ChatRequest("broken \xff")).get(), invalid));
  EXPECT_TRUE(fails_with(llm.ask(ChatRequest("x").temperature(std::nan(""))).get(), invalid));
  EXPECT_TRUE(fails_with(llm.ask("x", {.ttl = 0s}).get(), invalid));
  EXPECT_TRUE(fails_with(llm.ask("x", {.ttl = -1s}).get(), invalid));
  EXPECT_TRUE(fails_with(llm.ask("x", {.ttl = std::chrono::hours::max()}).get(), invalid));
  EXPECT_TRUE(fails_with(llm.ask("x", {.refresh = true, .cache_only = true}).get(), invalid));
  EXPECT_TRUE(fails_with(llm.ask("x", {.timeout = 0ms}).get(), ErrorCode::timeout));
  EXPECT_EQ(model->calls(), 0U);
  EXPECT_EQ(cache.stats().gets, 0U);
  EXPECT_EQ(llm.stats().refused, 11U);
  EXPECT_TRUE(adds_up(llm.stats()));
  EXPECT_TRUE(fails_with(llm.key_of(" "), invalid));
}

TEST(Ask, UnusableOptionsAreWhatEveryAskAnswers) {
  const auto refused = [](CachedLlmOptions options, const std::string& named) {
    const auto model = FakeLlm::saying(answer_of("a"));
    const auto llm = cached(fresh_cache(), model, std::move(options));
    const auto answer = llm.ask("x").get();
    EXPECT_EQ(model->calls(), 0U) << named;
    return !answer && answer.error().code == ErrorCode::invalid_argument &&
           answer.error().message.find(named) != std::string::npos;
  };
  EXPECT_TRUE(refused({.ttl = 0s}, "ttl"));
  EXPECT_TRUE(refused({.advanced = {.command_timeout = 0ms}}, "command_timeout"));
  EXPECT_TRUE(refused({.advanced = {.connect_timeout = -1ms}}, "connect_timeout"));
  EXPECT_TRUE(refused({.advanced = {.store_timeout = 0ms}}, "store_timeout"));
  EXPECT_TRUE(refused({.advanced = {.breaker_open = -1ms}}, "breaker_open"));
  EXPECT_TRUE(refused({.advanced = {.key = {.secret = "short"}}}, "secret"));
  EXPECT_TRUE(refused({.advanced = {.temperature = std::numeric_limits<double>::infinity()}},
                      "temperature"));
}

TEST(Ask, WithoutAModelItSaysSo) {
  const auto llm = cached(fresh_cache(), std::shared_ptr<Llm>{});
  EXPECT_TRUE(fails_with(llm.ask("x").get(), ErrorCode::invalid_argument));
}

TEST(Ask, AMovedFromHandleIsClosed) {
  CachedLlm llm(fresh_cache(), FakeLlm::saying(answer_of("a")));
  const CachedLlm taken = std::move(llm);
  EXPECT_TRUE(
      fails_with(llm.ask("x").get(), ErrorCode::closed));  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(fails_with(llm.key_of("x"), ErrorCode::closed));
  EXPECT_EQ(llm.stats().calls, 0U);
  EXPECT_TRUE(ok(taken.ask("x").get()));
}

// --- how long ---

Ttl stored_ttl(const ValkeyCache& cache, const CachedLlm& llm, const std::string& prompt) {
  EXPECT_TRUE(settled(cache));
  return cache.ttl(llm.key_of(prompt).value()).get().value().value_or(Ttl{});
}

TEST(AskTtl, IsTheCallsElseTheOptionsElseTheCaches) {
  const auto frozen = std::chrono::steady_clock::now();
  const auto cache = fresh_cache({.ttl = 1h, .clock = [frozen] {
                                    return frozen;
                                  }});
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto plain = cached(cache, model);
  ASSERT_TRUE(ok(plain.ask("cache's").get()));
  EXPECT_EQ(stored_ttl(cache, plain, "cache's"), Ttl(1h));
  ASSERT_TRUE(ok(plain.ask("call's", {.ttl = 300s}).get()));
  EXPECT_EQ(stored_ttl(cache, plain, "call's"), Ttl(300s));
  ASSERT_TRUE(ok(plain.ask("none", {.ttl = Ttl::none()}).get()));
  EXPECT_EQ(stored_ttl(cache, plain, "none"), Ttl::none());

  const auto with_ttl = cached(cache, model, {.ttl = 10min});
  ASSERT_TRUE(ok(with_ttl.ask("options'").get()));
  EXPECT_EQ(stored_ttl(cache, with_ttl, "options'"), Ttl(10min));
  ASSERT_TRUE(ok(with_ttl.ask("call's again", {.ttl = 1500ms}).get()));
  EXPECT_EQ(stored_ttl(cache, with_ttl, "call's again"), Ttl(1500ms));
}

TEST(AskTtl, TheEntryKnowsIt) {
  const auto cache = fresh_cache({.ttl = 1h});
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")));
  const auto known = [&](const std::string& prompt, Ttl ttl) {
    EXPECT_TRUE(ok(llm.ask(prompt, {.ttl = ttl}).get()));
    EXPECT_TRUE(settled(cache));
    const auto key = llm.key_of(prompt).value();
    const auto bytes = cache.get(key).get().value().value();
    return EntryCodec().decode(bytes, key, cache.wire_key(key)).entry.hard_ttl_ms;
  };
  EXPECT_EQ(known("cache's", {}), 3600000);
  EXPECT_EQ(known("call's", 300s), 300000);
  EXPECT_EQ(known("none", Ttl::none()), 0);
}

TEST(AskTtl, AnExpiredEntryIsAMiss) {
  std::atomic<std::int64_t> seconds{0};
  const auto cache = fresh_cache({.clock = [&seconds] {
    return std::chrono::steady_clock::time_point(1h + std::chrono::seconds(seconds));
  }});
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model);
  ASSERT_TRUE(ok(llm.ask("x", {.ttl = 60s}).get()));
  ASSERT_TRUE(settled(cache));
  seconds = 59;
  EXPECT_TRUE(llm.ask("x").get()->cached);
  seconds = 61;
  EXPECT_FALSE(llm.ask("x").get()->cached);
  EXPECT_TRUE(settled(cache));
}

// --- choices of the caller ---

TEST(AskChoices, NoStoreLooksUpButStoresNothing) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model);
  ASSERT_TRUE(ok(llm.ask("x", {.no_store = true}).get()));
  EXPECT_FALSE(llm.ask("x").get()->cached);
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(llm.ask("x", {.no_store = true}).get()->cached);
  EXPECT_EQ(llm.stats().rejected_no_store, 1U);

  const auto never = cached(cache, model, {.no_store = true});
  EXPECT_FALSE(never.ask("y").get()->cached);
  EXPECT_FALSE(never.ask("y").get()->cached);
  EXPECT_TRUE(never.ask("x").get()->cached);
  EXPECT_EQ(never.stats().rejected_no_store, 2U);
  EXPECT_TRUE(adds_up(never.stats()));
}

TEST(AskChoices, RefreshAsksAnywayAndStores) {
  const auto cache = fresh_cache();
  int number = 0;
  const auto model = std::make_shared<FakeLlm>([&](const ChatRequest&, const CallOptions&) {
    return make_ready_future<Completion>(answer_of("answer " + std::to_string(++number)));
  });
  const auto llm = cached(cache, model);
  ASSERT_TRUE(ok(llm.ask("x").get()));
  ASSERT_TRUE(settled(cache));
  const auto gets = cache.stats().gets;
  const auto fresh = llm.ask("x", {.refresh = true}).get();
  ASSERT_TRUE(ok(fresh));
  EXPECT_EQ(fresh->response, "answer 2");
  EXPECT_EQ(fresh->cache_status, CacheStatus::bypass);
  EXPECT_EQ(fresh->source, AnswerSource::model);
  EXPECT_EQ(cache.stats().gets, gets) << "refresh looks nothing up";
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(llm.ask("x").get()->response, "answer 2");
  EXPECT_EQ(llm.stats().bypassed, 1U);
  EXPECT_TRUE(adds_up(llm.stats()));

  const auto always = cached(cache, model, {.refresh = true});
  EXPECT_EQ(always.ask("x").get()->response, "answer 3");
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(always.ask("x", {.cache_only = true}).get()->response, "answer 3")
      << "cache_only goes before the options' refresh";
}

TEST(AskChoices, CacheOnlyNeverAsksTheModel) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model);
  const auto miss = llm.ask("x", {.cache_only = true}).get();
  EXPECT_TRUE(fails_with(miss, ErrorCode::cache_miss));
  EXPECT_EQ(model->calls(), 0U);
  ASSERT_TRUE(ok(llm.ask("x").get()));
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(llm.ask("x", {.cache_only = true}).get()->cached);
  EXPECT_EQ(model->calls(), 1U);
  EXPECT_EQ(llm.stats().misses, 2U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

// --- content ---

TEST(AskContent, ContentBlocksComeBackFromTheCache) {
  const auto cache = fresh_cache();
  auto completion = answer_of("It is 20 °C.");
  completion.content =
      R"([{"reasoningContent":{"reasoningText":{"text":"hm"}}},{"text":"It is 20 °C."}])";
  const auto llm = cached(cache, FakeLlm::saying(completion));
  EXPECT_EQ(llm.ask("x").get()->content, completion.content);
  ASSERT_TRUE(settled(cache));
  const auto hit = llm.ask("x").get();
  ASSERT_TRUE(ok(hit));
  EXPECT_TRUE(hit->cached);
  EXPECT_EQ(hit->content, completion.content);
  EXPECT_EQ(hit->response, completion.text);
}

TEST(AskContent, TheModelNamedByTheRequestIsTheAnswers) {
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")));
  const auto request = ChatRequest("x").temperature(1).model("claude-x");
  EXPECT_EQ(llm.ask(request).get()->model, "claude-x");
  ASSERT_TRUE(settled(cache));
  const auto hit = llm.ask(request).get();
  EXPECT_TRUE(hit->cached);
  EXPECT_EQ(hit->model, "claude-x");
}

TEST(AskContent, AnEntryFromTheFutureIsNotOlderThanNow) {
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")));
  const auto key = llm.key_of("x").value();
  const auto put = [&](std::int64_t created_ms) {
    const auto bytes =
        EntryCodec()
            .encode({.response = "a", .stop_reason = "end_turn", .created_ms = created_ms}, key,
                    cache.wire_key(key))
            .value();
    EXPECT_TRUE(ok(cache.set(key, bytes).get()));
  };
  put(std::numeric_limits<std::int64_t>::max());
  auto hit = llm.ask("x").get();
  ASSERT_TRUE(ok(hit));
  EXPECT_TRUE(hit->cached);
  EXPECT_EQ(hit->age, 0ms);
  put(1000);
  hit = llm.ask("x").get();
  ASSERT_TRUE(ok(hit));
  EXPECT_GT(hit->age, std::chrono::hours(24 * 365 * 50));
}

}  // namespace
}  // namespace valkeycache
