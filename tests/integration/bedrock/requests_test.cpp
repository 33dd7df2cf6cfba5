// The whole request, the whole response, and InvokeModel.
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "support/bedrock/simulated_model.hpp"

namespace valkeycache::test {
namespace {

class BedrockRequests : public BedrockTest {};

const ToolSpec weather{
    .name = "get_weather",
    .description = "The weather of a city.",
    .input_schema =
        R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})"};

TEST_F(BedrockRequests, ARoundTripOfATool) {
  auto bedrock = client();
  auto request = ChatRequest("What is the weather in Turku?").tool(weather).max_tokens(100);
  const auto asks = bedrock.complete(request).get();
  ASSERT_TRUE(ok(asks));
  EXPECT_EQ(asks->stop_reason, "tool_use");
  const auto uses = tool_uses(*asks);
  ASSERT_EQ(uses.size(), 1u);
  EXPECT_EQ(uses[0].name, "get_weather");
  EXPECT_EQ(uses[0].input, R"({"city":"Turku"})");

  request.assistant(*asks).user({Content::tool_result(uses[0].id, "sunny, 21 degrees")});
  const auto says = bedrock.complete(request).get();
  ASSERT_TRUE(ok(says));
  EXPECT_EQ(says->stop_reason, "end_turn");
  EXPECT_EQ(says->text, "The tool said: sunny, 21 degrees.");
  EXPECT_EQ(server_.requests().at(1).body, request.to_json());
}

TEST_F(BedrockRequests, ImagesAndDocumentsArriveAsTheyAre) {
  auto bedrock = client();
  std::string bytes(100'001, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  const auto answer = bedrock
                          .complete(ChatRequest().user(
                              {Content::text("What is this?"), Content::image("png", bytes),
                               Content::document("md", "Report (1)", "# Hi")}))
                          .get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->text.rfind("I see an image (png, 100001 bytes) and the document \"Report (1)\" "
                               "(md, 4 bytes).",
                               0),
            0u)
      << answer->text;
}

TEST_F(BedrockRequests, EverythingOfTheResponseIsKept) {
  auto bedrock = client();
  const std::string content =
      R"([{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},{"text":"a"},)"
      R"({"novelty":{"n":1.50}}])";
  server_.add_fault(faults::with_body(
      R"({"metrics":{"latencyMs":12,"x":1},"output":{"message":{"role":"assistant","content":)" +
      content +
      R"(}},"stopReason":"end_turn","trace":{"guardrail":{"a":1.0}},"serviceTier":{"type":"flex"},)"
      R"("usage":{"inputTokens":1,"outputTokens":2,"totalTokens":9,"cacheReadInputTokens":3,)"
      R"("cacheWriteInputTokens":4,"cacheDetails":[]}})"));
  const auto answer = ask(bedrock);
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->text, "a");
  EXPECT_EQ(answer->content, content);
  EXPECT_EQ(answer->usage, (Usage{1, 2, 9, 3, 4}));
  EXPECT_EQ(answer->model_latency, 12ms);
  EXPECT_EQ(answer->extra, R"({"trace":{"guardrail":{"a":1.0}},"serviceTier":{"type":"flex"},)"
                           R"("usage":{"cacheDetails":[]},"metrics":{"x":1}})");
  EXPECT_FALSE(answer->request_id.empty());
}

// --- InvokeModel

constexpr const char* claude_body = R"({"anthropic_version":"bedrock-2023-05-31","max_tokens":100,)"
                                    R"("messages":[{"role":"user","content":"hi"}]})";

TEST_F(BedrockRequests, InvokeModel) {
  auto bedrock = client();
  const auto answer = bedrock.invoke("", claude_body).get();
  ASSERT_TRUE(ok(answer));
  const auto received = server_.requests().at(0);
  EXPECT_EQ(received.method, "POST");
  EXPECT_EQ(received.target, "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/invoke");
  EXPECT_EQ(received.body, ChatRequest::invoke("", claude_body).to_json());
  EXPECT_EQ(header_value(received.headers, "content-type"), "application/json");
  EXPECT_EQ(header_value(received.headers, "accept"), "application/json");

  const auto body = nlohmann::json::parse(answer->text);
  EXPECT_EQ(body["content"][0]["text"], simulated_text(sonnet, "default", "hi"));
  EXPECT_EQ(answer->stop_reason, "end_turn");
  EXPECT_EQ(answer->content, "");
  EXPECT_GT(answer->usage.input_tokens, 0);
  EXPECT_GT(answer->usage.output_tokens, 0);
  EXPECT_EQ(answer->usage.total_tokens, answer->usage.input_tokens + answer->usage.output_tokens);
  EXPECT_EQ(answer->model_latency, 7ms);
  EXPECT_FALSE(answer->request_id.empty());
}

TEST_F(BedrockRequests, InvokeAnotherModelForEmbeddings) {
  auto bedrock = client();
  const auto answer = bedrock.invoke("amazon.titan-embed-text-v2:0", R"({"inputText":"hi"})").get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(server_.requests().at(0).target, "/model/amazon.titan-embed-text-v2%3A0/invoke");
  EXPECT_EQ(nlohmann::json::parse(answer->text)["embedding"].size(), 4u);
  EXPECT_EQ(answer->stop_reason, "");
}

TEST_F(BedrockRequests, InvokeModelFailsAsConverseDoes) {
  auto bedrock = client();
  server_.add_fault(faults::throttled());
  EXPECT_TRUE(ok(bedrock.invoke("", claude_body).get()));
  EXPECT_EQ(server_.calls(), 2u) << "tried again";
  server_.add_fault(faults::error(400, "ServiceQuotaExceededException", "quoting hunter2"));
  const auto quota = bedrock.invoke("", claude_body).get();
  EXPECT_TRUE(fails_with(quota, ErrorCode::throttled));
  EXPECT_EQ(quota.error().server_code, "ServiceQuotaExceededException");
  EXPECT_EQ(quota.error().message.find("hunter2"), std::string::npos);
  for (const auto* unusable : {"", "[]", "{"}) {
    EXPECT_TRUE(fails_with(bedrock.invoke("", unusable).get(), ErrorCode::invalid_argument));
  }
  EXPECT_EQ(server_.calls(), 3u);
}

TEST_F(BedrockRequests, TheIdentityTellsTheOperationsApart) {
  const auto identity = client().cache_identity();
  EXPECT_EQ(identity.scope, "converse|us-west-2|endpoint=" + server_.url());
  EXPECT_EQ(identity.invoke_scope, "invoke|us-west-2|endpoint=" + server_.url());
}

}  // namespace
}  // namespace valkeycache::test
