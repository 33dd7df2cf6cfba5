// Requests that pass by the cache, and why: they name something which can change behind its name,
// or only deterministic ones are wanted.
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "unit/cached/ask_support.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

struct Outcome {
  CachedAnswer first, second;
  CachedLlmStats stats;
};

Outcome ask_twice(const ChatRequest& request, CachedLlmOptions options = {}) {
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")), std::move(options));
  Outcome outcome;
  for (auto* answer : {&outcome.first, &outcome.second}) {
    auto got = llm.ask(request).get();
    EXPECT_TRUE(ok(got));
    EXPECT_TRUE(settled(cache));
    *answer = std::move(got).value_or(CachedAnswer{});
  }
  outcome.stats = llm.stats();
  EXPECT_TRUE(adds_up(outcome.stats));
  return outcome;
}

const char* const unversioned = "arn:aws:bedrock:us-west-2:123456789012:prompt/ABC";
const char* const s3_image =
    R"({"image":{"format":"png","source":{"s3Location":{"uri":"s3://bucket/a.png"}}}})";

TEST(AskPinned, WhatCanChangeIsNeitherLookedUpNorStored) {
  using enum BypassReason;
  const std::pair<ChatRequest, BypassReason> cases[] = {
      {ChatRequest("x").guardrail("g", "DRAFT"), draft_guardrail},
      {ChatRequest("x").extra("guardrailConfig",
                              R"({"guardrailVersion" : "\u0044RAFT","guardrailIdentifier":"g"})"),
       draft_guardrail},
      {ChatRequest().user({Content::text("x"), Content::raw(s3_image)}), s3_input},
      {ChatRequest().user({Content::tool_result("t", {Content::raw(s3_image)})}), s3_input},
      {ChatRequest().model(unversioned), unversioned_prompt},
      {ChatRequest("x").temperature(0.7).model(unversioned), unversioned_prompt},
  };
  for (const auto& [request, reason] : cases) {
    SCOPED_TRACE(request.to_json());
    const auto outcome = ask_twice(request);
    for (const auto* answer : {&outcome.first, &outcome.second}) {
      EXPECT_EQ(answer->response, "a");
      EXPECT_EQ(answer->cache_status, CacheStatus::bypass);
      EXPECT_EQ(answer->source, AnswerSource::bypass);
      EXPECT_EQ(answer->bypass_reason, reason);
    }
    EXPECT_EQ(outcome.stats.rejected_unpinned, 2U);
    EXPECT_EQ(outcome.stats.bypassed, 2U);
    EXPECT_EQ(outcome.stats.bypassed_draft_guardrail, reason == draft_guardrail ? 2U : 0U);
    EXPECT_EQ(outcome.stats.bypassed_s3_input, reason == s3_input ? 2U : 0U);
    EXPECT_EQ(outcome.stats.bypassed_unversioned_prompt, reason == unversioned_prompt ? 2U : 0U);
    EXPECT_EQ(outcome.stats.stored, 0U);
  }
}

TEST(AskPinned, WhatOnlyLooksLikeItIsCached) {
  const ChatRequest cases[] = {
      ChatRequest("x").guardrail("g", "1"),
      ChatRequest("x").guardrail("DRAFT", "1"),
      ChatRequest(R"("guardrailVersion":"DRAFT")").system(R"("source":{"s3Location":)"),
      ChatRequest().user({Content::image("png", "x")}),
      ChatRequest("x").model("arn:aws:bedrock:us-west-2:123456789012:prompt/ABC:3"),
      ChatRequest("x").model(
          "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.anthropic.claude-x"),
  };
  for (const auto& request : cases) {
    SCOPED_TRACE(request.to_json());
    const auto outcome = ask_twice(request);
    EXPECT_EQ(outcome.first.cache_status, CacheStatus::miss);
    EXPECT_TRUE(outcome.second.cached);
    EXPECT_EQ(outcome.stats.stored, 1U);
  }
}

// --- only what is deterministic ---

CachedLlmOptions deterministic() {
  CachedLlmOptions options;
  options.advanced.deterministic_only = true;
  return options;
}

TEST(AskDeterministic, OnlyTemperatureZeroIsCached) {
  const ChatRequest yes[] = {
      ChatRequest("x").temperature(0),
      ChatRequest("x").temperature(0.0).system("s"),
      ChatRequest("x").extra("inferenceConfig", R"({"temperature":0e5})"),
      ChatRequest::invoke("m", R"({"prompt":"x","temperature":0})"),
      ChatRequest::invoke("m", R"({"inputText":"x","textGenerationConfig":{"temperature":0.0}})"),
  };
  for (const auto& request : yes) {
    SCOPED_TRACE(request.to_json());
    const auto outcome = ask_twice(request, deterministic());
    EXPECT_EQ(outcome.first.cache_status, CacheStatus::miss);
    EXPECT_TRUE(outcome.second.cached);
  }
  const ChatRequest no[] = {
      ChatRequest("x").temperature(0.7),
      ChatRequest("x").temperature(1e-300),
      ChatRequest("x"),
      ChatRequest("x").extra("inferenceConfig", R"({"temperature":1e-999})"),
      ChatRequest::invoke("m", R"({"prompt":"x","temperature":0.1})"),
      ChatRequest::invoke("m", R"({"prompt":"x","temperature":"0"})"),
      ChatRequest::invoke("m", R"({"prompt":"\"temperature\":0"})"),
      ChatRequest::invoke("m", R"({"temperature":0,"config":{"temperature":1}})"),
  };
  for (const auto& request : no) {
    SCOPED_TRACE(request.to_json());
    const auto outcome = ask_twice(request, deterministic());
    for (const auto* answer : {&outcome.first, &outcome.second}) {
      EXPECT_FALSE(answer->cached);
      EXPECT_EQ(answer->source, AnswerSource::bypass);
      EXPECT_EQ(answer->cache_status, CacheStatus::bypass);
      EXPECT_EQ(answer->bypass_reason, BypassReason::not_deterministic);
    }
    EXPECT_EQ(outcome.stats.bypassed_not_deterministic, 2U);
    EXPECT_EQ(outcome.stats.bypassed, 2U);
    EXPECT_EQ(outcome.stats.rejected_not_deterministic, 2U);
  }
}

TEST(AskDeterministic, TheOptionsTemperatureDecidesForPrompts) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("a"));
  ASSERT_TRUE(ok(cached(cache, model).ask("x").get()));
  ASSERT_TRUE(settled(cache));
  const auto warm = cached(cache, model, deterministic());
  EXPECT_EQ(warm.ask("x").get()->bypass_reason, BypassReason::not_deterministic)
      << "though others have stored one";
  EXPECT_TRUE(fails_with(warm.ask("x", {.cache_only = true}).get(), ErrorCode::cache_miss));
  EXPECT_TRUE(adds_up(warm.stats()));
  auto options = deterministic();
  options.advanced.temperature = 0;
  const auto cold = cached(cache, model, options);
  EXPECT_EQ(cold.ask("x").get()->cache_status, CacheStatus::miss);
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(cold.ask("x").get()->cached);
}

TEST(AskPinned, ARefreshSaysSo) {
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")));
  EXPECT_EQ(llm.ask("x").get()->bypass_reason, std::nullopt);
  const auto refreshed = llm.ask("x", {.refresh = true}).get();
  ASSERT_TRUE(ok(refreshed));
  EXPECT_EQ(refreshed->cache_status, CacheStatus::bypass);
  EXPECT_EQ(refreshed->source, AnswerSource::model);
  EXPECT_EQ(refreshed->bypass_reason, BypassReason::refresh);
  const auto both = llm.ask(ChatRequest("x").guardrail("g", "DRAFT"), {.refresh = true}).get();
  EXPECT_EQ(both->bypass_reason, BypassReason::draft_guardrail);
  EXPECT_TRUE(settled(cache));
  const auto stats = llm.stats();
  EXPECT_EQ(stats.bypassed_refresh, 1U);
  EXPECT_EQ(stats.bypassed, 2U);
  EXPECT_TRUE(adds_up(stats));
  const auto page = prometheus_text(stats);
  for (const auto* line : {"valkeycache_bypassed_total{reason=\"refresh\"} 1\n",
                           "valkeycache_bypassed_total{reason=\"draft_guardrail\"} 1\n",
                           "valkeycache_bypassed_total{reason=\"not_deterministic\"} 0\n"}) {
    EXPECT_NE(page.find(line), std::string::npos) << line;
  }
}

TEST(AskPinned, CacheOnlyIsAMiss) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model);
  const auto answer = llm.ask(ChatRequest("x").guardrail("g", "DRAFT"), {.cache_only = true}).get();
  EXPECT_TRUE(fails_with(answer, ErrorCode::cache_miss));
  EXPECT_TRUE(adds_up(llm.stats()));
  EXPECT_EQ(llm.stats().model_calls, 0U);
}

}  // namespace
