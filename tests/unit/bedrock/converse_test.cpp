#include "bedrock/converse.hpp"

#include <map>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "unit/aws/vectors.hpp"

namespace valkeycache {
namespace {

using detail::HttpResponse;
using detail::parse_converse_response;
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
  return parse_converse_response(response_of(std::move(body)));
}
// A response around content blocks.
std::string with_content(std::string_view content) {
  return R"({"output":{"message":{"role":"assistant","content":)" + std::string(content) +
         R"(}},"stopReason":"end_turn"})";
}

TEST(ConverseTarget, IsTheOneOfTheVectors) {
  const auto vectors = test::read_json(VALKEYCACHE_TEST_DATA "/sigv4_bedrock.json");
  ASSERT_TRUE(vectors);
  const std::map<std::string, std::string> operations{
      {"Converse", "converse"},
      {"ConverseStream", "converse-stream"},
      {"InvokeModel", "invoke"},
      {"InvokeModelWithResponseStream", "invoke-with-response-stream"},
      {"CountTokens", "count-tokens"}};
  int seen = 0;
  for (const auto& one : vectors->at("cases")) {
    const auto& request = one.at("request");
    const std::string path = request.at("path");
    if (!one.contains("model_id") || !one.contains("operation")) continue;
    if (path.find("/gateway//") == 0) continue;  // we send no empty segment
    ++seen;
    EXPECT_EQ(detail::model_target("", one.at("model_id").get<std::string>(),
                                   operations.at(one.at("operation"))),
              path);
  }
  EXPECT_GT(seen, 40);
  EXPECT_EQ(detail::model_target("/base", "a:b/c", "converse"), "/base/model/a%3Ab%2Fc/converse");
}

TEST(ConverseResponse, AWholeAnswer) {
  const auto answer = parse(R"({
    "output": {"message": {"role": "assistant", "content": [{"text": "Hel\u006co"}, {"text": " w"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 9,
              "cacheReadInputTokens": 1, "cacheWriteInputTokens": 2},
    "metrics": {"latencyMs": 1234}
  })");
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->text, "Hello w");
  EXPECT_EQ(answer->content, "");
  EXPECT_EQ(answer->stop_reason, "end_turn");
  EXPECT_EQ(answer->usage, (Usage{3, 5, 9, 1, 2}));
  EXPECT_EQ(answer->model_latency, std::chrono::milliseconds(1234));
  EXPECT_EQ(answer->request_id, "request-1");
  EXPECT_EQ(answer->extra, "");
}

TEST(ConverseResponse, ContentTypeMayHaveParameters) {
  auto response = response_of(with_content(R"([{"text":"x"}])"));
  for (const auto* type :
       {"application/json; charset=utf-8", "Application/JSON", "application/json ;x"}) {
    response.content_type = type;
    EXPECT_TRUE(ok(parse_converse_response(response))) << type;
  }
}

TEST(ConverseResponse, UnknownBlocksAreKeptAsTheyCame) {
  const std::string blocks =
      R"([{"text":"a"}, {"toolUse":{"toolUseId":"t","name":"n","input":{"seed":18446744073709551617}}},)"
      R"( {"novelty":{"x":1.10}}, {"text":"b","citations":[]}])";
  const auto answer = parse(with_content(blocks));
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->text, "ab");
  EXPECT_EQ(answer->content, blocks);
}

TEST(ConverseResponse, UnknownMembersAreKept) {
  const auto answer = parse(
      R"({"trace":{"a":[1, 2]},"output":{"message":{"role":"assistant","content":[{"text":"x"}],)"
      R"("more":1},"most":2},"stopReason":"novel_reason","quo\"te":1e400,"usage":null,"metrics":null})");
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->stop_reason, "novel_reason");
  EXPECT_EQ(answer->extra, R"({"trace":{"a":[1, 2]},"quo\"te":1e400,)"
                           R"("output":{"most":2,"message":{"more":1}}})");
}

TEST(ConverseResponse, OddCountsCountAsZero) {
  const auto answer = parse(
      R"({"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"s",)"
      R"("usage":{"inputTokens":-1,"outputTokens":1.5,"totalTokens":99999999999999999999},)"
      R"("metrics":{"latencyMs":"x"}})");
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->usage, Usage());
  EXPECT_EQ(answer->model_latency, std::chrono::milliseconds(0));
}

TEST(ConverseResponse, AnythingElseIsAnError) {
  const std::string deep(200, '[');
  const std::string cases[] = {
      "",
      " ",
      "null",
      "[1,2,3]",
      "\"text\"",
      "{}",
      "{",
      R"({"output":null,"stopReason":"end_turn"})",
      R"({"output":{},"stopReason":"end_turn"})",
      R"({"output":{"message":null},"stopReason":"end_turn"})",
      R"({"output":{"message":[]},"stopReason":"end_turn"})",
      R"({"output":{"message":{"content":[{"text":"x"}]}},"stopReason":"end_turn"})",
      R"({"output":{"message":{"role":5,"content":[{"text":"x"}]}},"stopReason":"end_turn"})",
      R"({"output":{"message":{"role":"assistant"}},"stopReason":"end_turn"})",
      with_content("null"),
      with_content("{}"),
      with_content("[]"),
      with_content("[null]"),
      with_content("[{}]"),
      with_content("[\"x\"]"),
      with_content(R"([{"text":null}])"),
      with_content(R"([{"text":5}])"),
      with_content(R"([{"text":"\ud800"}])"),
      with_content("[{\"text\":\"\xff\"}]"),
      with_content("[{\"text\":\"\xc0\x80\"}]"),
      with_content(R"([{"text":"x"},])"),
      with_content(R"([{"text":"x"}])") + "x",
      with_content(R"([{"text":"x"}])") + "{}",
      with_content("[{\"text\":\"x\",\"deep\":" + deep + std::string(200, ']') + "}]"),
      R"({"output":{"message":{"role":"assistant","content":[{"text":"x"}]}}})",
      R"({"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":""})",
      R"({"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":null})",
      R"({"stopReason":"a","stopReason":"b","output":{"message":{"role":"a","content":[{"text":"x"}]}}})",
      R"({"output":{"message":{"role":"a","content":[{"text":"x"}]}},"stopReason":"a","usage":[]})",
      R"({"output":{"message":{"role":"a","content":[{"text":"x"}]}},"stopReason":"a","metrics":1})",
      R"({"output":{"message":{"role":"a","content":[{"text":"x"}],"content":[]}},"stopReason":"a"})",
  };
  for (const auto& body : cases) {
    SCOPED_TRACE(body.substr(0, 150));
    const auto answer = parse(body);
    EXPECT_TRUE(fails_with(answer, ErrorCode::invalid_response));
    EXPECT_FALSE(answer.error().retryable);
    EXPECT_TRUE(answer.error().maybe_applied) << "an answer was paid for";
    EXPECT_EQ(answer.error().request_id, "request-1");
  }
}

TEST(ConverseResponse, StatusTypeAndErrorTypeMatter) {
  const auto good = response_of(with_content(R"([{"text":"x"}])"));
  ASSERT_TRUE(ok(parse_converse_response(good)));
  auto response = good;
  response.status = 201;
  EXPECT_TRUE(fails_with(parse_converse_response(response), ErrorCode::invalid_response));
  response = good;
  response.content_type = "text/html";
  EXPECT_TRUE(fails_with(parse_converse_response(response), ErrorCode::invalid_response));
  response.content_type = "";
  EXPECT_TRUE(fails_with(parse_converse_response(response), ErrorCode::invalid_response));
  response.content_type = "application/jsonx";
  EXPECT_TRUE(fails_with(parse_converse_response(response), ErrorCode::invalid_response));
  response = good;
  response.error_type = "ThrottlingException";
  EXPECT_TRUE(fails_with(parse_converse_response(response), ErrorCode::invalid_response));
}

TEST(ConverseResponse, ErrorsQuoteNothing) {
  const auto answer = parse(R"({"output":"my secret answer","my secret answer":1})");
  EXPECT_EQ(answer.error().message.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace valkeycache
