#include "bedrock/invoke_model.hpp"

#include <string>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"

namespace valkeycache {
namespace {

using detail::HttpResponse;
using detail::parse_invoke_response;
using test::fails_with;
using test::ok;

HttpResponse response_of(std::string body) {
  HttpResponse response;
  response.status = 200;
  response.content_type = "application/json";
  response.request_id = "request-1";
  response.body = std::move(body);
  return response;
}
Result<Completion> parse(std::string body) {
  return parse_invoke_response(response_of(std::move(body)));
}

TEST(InvokeResponse, IsTheBodyAsItCame) {
  const std::string body = R"( {"embedding": [0.10, -1e-3], "n":18446744073709551617} )";
  const auto answer = parse(body);
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->text, body);
  EXPECT_EQ(answer->content, "");
  EXPECT_EQ(answer->stop_reason, "");
  EXPECT_EQ(answer->usage, Usage());
  EXPECT_EQ(answer->request_id, "request-1");
  EXPECT_TRUE(ok(parse("{}")));
}

TEST(InvokeResponse, UsageIsInTheHead) {
  HttpResponse response;
  for (const auto* line :
       {"HTTP/1.1 200 OK\r\n", "Content-Type: application/json\r\n",
        "X-Amzn-Bedrock-Input-Token-Count: 12\r\n", "x-amzn-bedrock-output-token-count: 34\r\n",
        "x-amzn-bedrock-cache-read-input-token-count: 5\r\n",
        "x-amzn-bedrock-cache-write-input-token-count: 6\r\n",
        "X-Amzn-Bedrock-Invocation-Latency: 789\r\n", "x-amzn-bedrock-novelty: 1\r\n"}) {
    response.take_head_line(line);
  }
  response.body = "{}";
  const auto answer = parse_invoke_response(response);
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->usage, (Usage{12, 34, 46, 5, 6}));
  EXPECT_EQ(answer->model_latency, std::chrono::milliseconds(789));
}

TEST(InvokeResponse, OddCountsAreNone) {
  HttpResponse response;
  for (const auto* line :
       {"HTTP/1.1 200 OK\r\n", "Content-Type: application/json\r\n",
        "x-amzn-bedrock-input-token-count: -1\r\n", "x-amzn-bedrock-output-token-count: 1.5\r\n",
        "x-amzn-bedrock-invocation-latency: soon\r\n", "x-amzn-bedrock-: 3\r\n"}) {
    response.take_head_line(line);
  }
  response.body = "{}";
  EXPECT_EQ(parse_invoke_response(response)->usage, Usage());
  response.invocation.input_tokens = response.invocation.output_tokens = INT64_MAX;
  EXPECT_GT(parse_invoke_response(response)->usage.total_tokens, 0);
}

TEST(InvokeResponse, StopReasonsOfTheModelsThatThereAre) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"stop_reason":"end_turn","content":[{"type":"text","text":"x"}]})", "end_turn"},
      {R"({"stopReason":"max_tokens","output":{}})", "max_tokens"},
      {R"({"generation":"x","stop_reason":"length"})", "length"},
      {R"({"results":[{"outputText":"x","completionReason":"FINISH"}]})", "FINISH"},
      {R"({"outputs":[{"text":"x","stop_reason":"stop"}]})", "stop"},
      {R"({"generations":[{"finish_reason":"COMPLETE"},{"finish_reason":"MAX_TOKENS"}]})",
       "COMPLETE,MAX_TOKENS"},
      {R"({"choices":[{"finish_reason":"stop"},{"finish_reason":"stop"}]})", "stop"},
      {R"({"completions":[{"data":{},"finishReason":{"reason":"endoftext","length":1}}]})",
       "endoftext"},
      {R"({"finish_reason":"ERROR_TOXIC","results":[1,"stop_reason",null,[]]})", "ERROR_TOXIC"},
      {R"({"stop_reason":null})", ""},
      {R"({"seeds":[1],"finish_reasons":[null],"images":["aGk="]})", ""},
      {R"({"finish_reasons":["Filter reason: prompt"]})", "Filter reason: prompt"},
      {R"({"finish_reasons":null})", ""},
      {R"({"finish_reasons":"Inference error"})", "Inference error"},
      {R"({"finish_reasons":[null,"Inference error"],"images":["aGk="]})", "Inference error"},
      {R"({"stop_reason":"end_turn","amazon-bedrock-guardrailAction":"NONE"})", "end_turn"},
      {R"({"results":[],"amazon-bedrock-guardrailAction":"INTERVENED"})", "guardrail_intervened"},
      {R"({"stop_reason":"end_turn","amazon-bedrock-guardrailAction":"INTERVENED"})",
       "end_turn,guardrail_intervened"},
      {R"({"images":["aGk="],"error":null})", ""},
      {R"({"images":["aGk="],"error":""})", ""},
      {R"({"images":["aGk="],"error":"one image was blocked"})", "error"},
      {R"({"a":{"stop_reason":"deep"},"b":[[{"stop_reason":"deep"}]]})", ""},
      {R"({"stop_re\u0061son":"end_turn"})", "end_turn"},
      {R"({"stop_reason":"end_turn","stop_reason":"max_tokens"})", "end_turn,max_tokens"},
  };
  for (const auto& [body, reason] : cases) {
    const auto answer = parse(body);
    ASSERT_TRUE(ok(answer)) << body;
    EXPECT_EQ(answer->stop_reason, reason) << body;
  }
}

TEST(InvokeResponse, AnythingElseIsAnError) {
  const std::string deep = std::string(200, '[') + std::string(200, ']');
  for (const std::string& body :
       {std::string(), std::string(" "), std::string("null"), std::string("[1,2,3]"),
        std::string("\"text\""), std::string("{"), std::string("{}{}"), std::string("{\"a\":1,}"),
        std::string("{\"a\":\"\xff\"}"), std::string(R"({"a":"\ud800"})"), R"({"a":)" + deep + "}",
        std::string(R"({"a":[1)"), std::string(R"({"a":NaN})"), std::string(R"({"stop_reason":5})"),
        std::string(R"({"finish_reasons":[1]})"),
        std::string(R"({"results":[{"stop_reason":[]}]})"),
        std::string(R"({"stop_reason":{"reason":1}})"),
        std::string(
            R"({"Output":{},"__type":"com.amazon.coral.service#UnknownOperationException"})"),
        std::string("<html></html>")}) {
    const auto answer = parse(body);
    EXPECT_TRUE(fails_with(answer, ErrorCode::invalid_response)) << body;
    EXPECT_TRUE(answer.error().maybe_applied);
    EXPECT_FALSE(answer.error().retryable);
    EXPECT_EQ(answer.error().request_id, "request-1");
  }
  auto response = response_of("{}");
  response.content_type = "text/html";
  EXPECT_TRUE(fails_with(parse_invoke_response(response), ErrorCode::invalid_response));
  response = response_of("{}");
  response.error_type = "ThrottlingException";
  EXPECT_TRUE(fails_with(parse_invoke_response(response), ErrorCode::invalid_response));
  response = response_of("{}");
  response.status = 206;
  EXPECT_TRUE(fails_with(parse_invoke_response(response), ErrorCode::invalid_response));
}

TEST(InvokeResponse, ErrorsQuoteNothing) {
  const auto answer = parse(R"({"stop_reason":["my secret answer"]})");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace valkeycache
