// Requests that name something which can change behind its name.
#include <string>

#include <gtest/gtest.h>

#include "unit/cached/ask_support.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

struct Outcome {
  CachedAnswer first, second;
  CachedLlmStats stats;
};

Outcome ask_twice(const ChatRequest& request) {
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")));
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

const char* const s3_image =
    R"({"image":{"format":"png","source":{"s3Location":{"uri":"s3://bucket/a.png"}}}})";

TEST(AskPinned, WhatCanChangeIsNeitherLookedUpNorStored) {
  const ChatRequest cases[] = {
      ChatRequest("x").guardrail("g", "DRAFT"),
      ChatRequest("x").extra("guardrailConfig",
                             R"({"guardrailVersion" : "\u0044RAFT","guardrailIdentifier":"g"})"),
      ChatRequest().user({Content::text("x"), Content::raw(s3_image)}),
      ChatRequest().user({Content::tool_result("t", {Content::raw(s3_image)})}),
      ChatRequest().model("arn:aws:bedrock:us-west-2:123456789012:prompt/ABC"),
      ChatRequest("x").temperature(0.7).model("arn:aws:bedrock:us-west-2:123456789012:prompt/ABC"),
  };
  for (const auto& request : cases) {
    SCOPED_TRACE(request.to_json());
    const auto outcome = ask_twice(request);
    for (const auto* answer : {&outcome.first, &outcome.second}) {
      EXPECT_EQ(answer->response, "a");
      EXPECT_EQ(answer->cache_status, CacheStatus::bypass);
      EXPECT_EQ(answer->source, AnswerSource::bypass);
    }
    EXPECT_EQ(outcome.stats.rejected_unpinned, 2U);
    EXPECT_EQ(outcome.stats.bypassed, 2U);
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

TEST(AskPinned, CacheOnlyIsAMiss) {
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(fresh_cache(), model);
  const auto answer = llm.ask(ChatRequest("x").guardrail("g", "DRAFT"), {.cache_only = true}).get();
  EXPECT_TRUE(fails_with(answer, ErrorCode::cache_miss));
  EXPECT_TRUE(adds_up(llm.stats()));
  EXPECT_EQ(llm.stats().model_calls, 0U);
}

}  // namespace
