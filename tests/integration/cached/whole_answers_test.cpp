// What reaches Valkey of all that a model's service may answer: whole answers, whole.
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cached_fixture.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

constexpr const char* claude_body = R"({"anthropic_version":"bedrock-2023-05-31","max_tokens":100,)"
                                    R"("messages":[{"role":"user","content":"hi"}]})";

class WholeAnswers : public CachedTest {
 protected:
  ValkeyServer server_;
  ValkeyCache cache_ = ValkeyCache::open(server_.uri(), guide_cache()).value();

  [[nodiscard]] CachedLlm llm(CachedLlmOptions options = guide_options()) const {
    return CachedLlm(cache_, claude(), std::move(options));
  }
  [[nodiscard]] long long entries() { return server_.command({"DBSIZE"}).integer; }
  static std::string converse_answer(const std::string& content, const std::string& reason,
                                     const std::string& more = "") {
    return R"({"output":{"message":{"role":"assistant","content":)" + content +
           R"(}},"stopReason":")" + reason + R"(")" + more + "}";
  }
};

// Each in place of an answer to Converse and to InvokeModel.
std::vector<std::pair<std::string, Fault>> broken_answers() {
  const auto typed = [](std::string body, std::string type) {
    return faults::with_body(std::move(body), std::move(type));
  };
  auto marked = faults::with_body(R"({"output":{}})");
  marked.headers = {{"x-amzn-ErrorType", "InternalServerException"}};
  return {{"an empty 200", faults::with_body("")},
          {"a list", faults::with_body("[1,2,3]")},
          {"text", faults::with_body("\"text\"")},
          {"HTML", typed("<html></html>", "text/html")},
          {"HTML that says it is JSON", faults::with_body("<html></html>")},
          {"the wrong content type", typed(R"({"a":1})", "text/plain")},
          {"a stream's content type", typed(R"({"a":1})", "application/vnd.amazon.eventstream")},
          {"invalid UTF-8", faults::with_body("{\"a\":\"\xff\xfe\"}")},
          {"half a surrogate pair", faults::with_body(R"({"a":"\ud83d"})")},
          {"JSON cut short", faults::with_body(R"({"output":{"message":{"role":"assist)")},
          {"JSON and more", faults::with_body("{}{}")},
          {"nesting without end", faults::with_body(std::string(100000, '['))},
          {"an error by its head", marked},
          {"truncated", faults::truncated(20)},
          {"reset", faults::reset_in_body(20)}};
}

TEST_F(WholeAnswers, NothingBrokenIsStored) {
  const auto llm = this->llm();
  for (const auto& request :
       {ChatRequest(guide_question).temperature(0.7),
        ChatRequest(guide_question).system("Be brief."), ChatRequest::invoke("", claude_body)}) {
    for (const auto& [what, fault] : broken_answers()) {
      SCOPED_TRACE(what + (request.is_invoke() ? ", InvokeModel" : ", Converse"));
      bedrock().add_fault(fault);
      const auto answer = llm.ask(request).get();
      ASSERT_FALSE(answer);
      const bool broke_off = fault.cut_body_at.has_value();
      EXPECT_EQ(answer.error().code,
                broke_off ? ErrorCode::transport : ErrorCode::invalid_response);
      EXPECT_TRUE(answer.error().maybe_applied);
    }
  }
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(entries(), 0);
  EXPECT_EQ(llm.stats().stored, 0U);
  EXPECT_EQ(llm.stats().model_errors, llm.stats().model_calls);
}

TEST_F(WholeAnswers, NothingIncompleteIsStored) {
  const auto llm = this->llm();
  const std::string text = R"([{"text":"x"}])";
  for (const auto& body : {std::string("{}"), std::string(R"({"stopReason":"end_turn"})"),
                           std::string(R"({"output":{},"stopReason":"end_turn"})"),
                           converse_answer("[]", "end_turn"), converse_answer(text, ""),
                           std::string(R"({"output":{"message":{"content":[{"text":"x"}]}},)"
                                       R"("stopReason":"end_turn"})")}) {
    bedrock().add_fault(faults::with_body(body));
    EXPECT_TRUE(fails_with(llm.ask(guide_question).get(), ErrorCode::invalid_response)) << body;
  }
  // Answers, but none to be kept.
  for (const auto* reason : {"max_tokens", "tool_use", "guardrail_intervened", "content_filtered",
                             "malformed_model_output", "malformed_tool_use",
                             "model_context_window_exceeded", "novelty"}) {
    bedrock().add_fault(faults::with_body(converse_answer(text, reason)));
    EXPECT_TRUE(ok(llm.ask(guide_question).get())) << reason;
  }
  bedrock().add_fault(faults::with_body(converse_answer(R"([{"text":" \n"}])", "end_turn")));
  EXPECT_TRUE(ok(llm.ask(guide_question).get()));
  for (const auto* reason : {"max_tokens", "length", "refusal", "tool_use"}) {
    bedrock().add_fault(
        faults::with_body(std::string(R"({"stop_reason":")") + reason + R"(","content":[]})"));
    EXPECT_TRUE(ok(llm.ask(ChatRequest::invoke("", claude_body)).get())) << reason;
  }
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(entries(), 0);
  EXPECT_EQ(llm.stats().stored, 0U);
}

TEST_F(WholeAnswers, EveryBlockComesBack) {
  const std::string content =
      R"([{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},{"text":"a"},)"
      R"({"toolUse":{"toolUseId":"t1","name":"n","input":{"n":18446744073709551617,"x":1.50}}},)"
      R"({"novelty":[1.0,null]},{"text":"b"}])";
  const std::string extra = R"({"additionalModelResponseFields":{"x":1.0},"trace":{"y":[]},)"
                            R"("usage":{"cacheDetails":[1.0]}})";
  bedrock().add_fault(faults::with_body(converse_answer(
      content, "end_turn",
      R"(,"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3,"cacheReadInputTokens":4,)"
      R"("cacheWriteInputTokens":5,"cacheDetails":[1.0]},)"
      R"("additionalModelResponseFields":{"x":1.0},"trace":{"y":[]})")));
  const auto llm = this->llm();
  const auto request = ChatRequest(guide_question)
                           .extra("additionalModelResponseFieldPaths", R"(["/x"])")
                           .temperature(0.7);
  const auto miss = llm.ask(request).get();
  ASSERT_TRUE(ok(miss));
  EXPECT_FALSE(miss->request_id.empty());
  ASSERT_TRUE(settled(cache_));
  const auto hit = llm.ask(request).get();
  ASSERT_TRUE(ok(hit));
  EXPECT_TRUE(hit->cached);
  EXPECT_EQ(hit->avoided_usage, (Usage{1, 2, 3, 4, 5}));
  for (const auto* answer : {&*miss, &*hit}) {
    EXPECT_EQ(answer->response, "ab");
    EXPECT_EQ(answer->content, content);
    EXPECT_EQ(answer->extra, extra);
    EXPECT_EQ(answer->stop_reason, "end_turn");
    ASSERT_EQ(tool_uses(*answer).size(), 1U);
    EXPECT_EQ(tool_uses(*answer)[0].input, R"({"n":18446744073709551617,"x":1.50})");
  }
  EXPECT_EQ(content_of(*hit), content_of(*miss));
  EXPECT_EQ(model_calls(), 1U);
}

// Both steps of a tool's round trip from the cache, where tool calls are stored by choice.
TEST_F(WholeAnswers, AToolsRoundTripFromTheCache) {
  auto options = guide_options();
  options.advanced.store_tool_use = true;
  const auto llm = this->llm(options);
  std::vector<std::string> said;
  for (int i = 0; i < 2; ++i) {
    auto request = ChatRequest("What is the weather in Turku?")
                       .tool({.name = "get_weather",
                              .input_schema = R"({"type":"object","required":["city"]})"});
    const auto asks = llm.ask(request).get();
    ASSERT_TRUE(ok(asks));
    EXPECT_EQ(asks->stop_reason, "tool_use");
    const auto uses = tool_uses(*asks);
    ASSERT_EQ(uses.size(), 1U);
    request.assistant(content_of(*asks))
        .user({Content::tool_result(uses[0].id, {Content::json(R"({"sky":"clear"})")})});
    ASSERT_TRUE(settled(cache_));
    const auto says = llm.ask(request).get();
    ASSERT_TRUE(ok(says));
    said.push_back(says->response);
    EXPECT_EQ(asks->cached, i == 1);
    EXPECT_EQ(says->cached, i == 1);
    ASSERT_TRUE(settled(cache_));
  }
  EXPECT_THAT(said, ::testing::Each(R"(The tool said: {"sky":"clear"}.)"));
  EXPECT_EQ(model_calls(), 2U);
  EXPECT_EQ(entries(), 2);
}

TEST_F(WholeAnswers, InvokeModelIsCachedToo) {
  const auto llm = this->llm();
  for (const auto& request :
       {ChatRequest::invoke("", claude_body),
        ChatRequest::invoke("amazon.titan-embed-text-v2:0", R"({"inputText":"hi"})")}) {
    const auto miss = llm.ask(request).get();
    ASSERT_TRUE(ok(miss));
    EXPECT_FALSE(miss->cached);
    ASSERT_TRUE(settled(cache_));
    const auto hit = llm.ask(request).get();
    ASSERT_TRUE(ok(hit));
    EXPECT_TRUE(hit->cached);
    EXPECT_EQ(hit->response, miss->response);
    EXPECT_EQ(hit->avoided_usage, miss->usage);
    EXPECT_EQ(hit->stop_reason, miss->stop_reason);
  }
  EXPECT_EQ(model_calls(), 2U);
  EXPECT_EQ(entries(), 2);
}

TEST_F(WholeAnswers, TheSameBodyByTheOtherOperationIsAnotherRequest) {
  const auto llm = this->llm();
  const auto converse = ChatRequest(guide_question).system("Be brief.");
  const auto invoke = ChatRequest::invoke("", converse.to_json());
  ASSERT_TRUE(ok(llm.ask(converse).get()));
  ASSERT_TRUE(settled(cache_));
  EXPECT_NE(llm.key_of(converse)->digest(), llm.key_of(invoke)->digest());
  // The simulated InvokeModel does not know such a body.
  EXPECT_TRUE(fails_with(llm.ask(invoke).get(), ErrorCode::invalid_request));
  EXPECT_THAT(llm.key_of(invoke)->explain(), ::testing::HasSubstr(R"("scope":"invoke|us-west-2|)"));
}

}  // namespace
