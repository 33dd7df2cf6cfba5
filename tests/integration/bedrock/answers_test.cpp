// Requests as they arrive, and answers.
#include <filesystem>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "support/bedrock/simulated_model.hpp"

namespace valkeycache::test {
namespace {

class BedrockAnswers : public BedrockTest {};

TEST_F(BedrockAnswers, TheGuidesQuestion) {
  auto bedrock = client();
  const auto answer = ask(bedrock);
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->text, simulated_text(sonnet, "0.7", guide_question));
  EXPECT_EQ(answer->content, "");
  EXPECT_EQ(answer->stop_reason, "end_turn");
  EXPECT_GT(answer->usage.input_tokens, 0);
  EXPECT_GT(answer->usage.output_tokens, 0);
  EXPECT_EQ(answer->usage.total_tokens, answer->usage.input_tokens + answer->usage.output_tokens);
  EXPECT_FALSE(answer->request_id.empty());
}

TEST_F(BedrockAnswers, WhatIsSentIsTheCanonicalRequest) {
  auto bedrock = client();
  const auto request =
      ChatRequest("caf\xc3\xa9 \xf0\x9f\x98\x80 \"quoted\"").system("be brief").temperature(0.5);
  ASSERT_TRUE(ok(bedrock.complete(request).get()));
  const auto received = server_.requests().at(0);
  EXPECT_EQ(received.method, "POST");
  EXPECT_EQ(received.target, "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse");
  EXPECT_EQ(received.body, request.to_json());
  EXPECT_EQ(header_value(received.headers, "content-type"), "application/json");
  EXPECT_EQ("http://" + header_value(received.headers, "host"), server_.url());
  EXPECT_EQ(header_value(received.headers, "user-agent").rfind("valkeycache/", 0), 0u);
  EXPECT_EQ(header_value(received.headers, "x-amz-security-token"), "");
  for (const auto* name : {"accept", "expect", "accept-encoding", "transfer-encoding"}) {
    EXPECT_EQ(header_value(received.headers, name), "") << name;
  }
}

TEST_F(BedrockAnswers, TheRequestsModelGoesBeforeTheClients) {
  auto bedrock = client();
  const std::string arn =
      "arn:aws:bedrock:us-west-2:123456789012:inference-profile/"
      "us.anthropic.claude-sonnet-4-20250514-v1:0";
  const auto answer = bedrock.complete(ChatRequest("x").model(arn)).get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(server_.requests().at(0).target,
            "/model/arn%3Aaws%3Abedrock%3Aus-west-2%3A123456789012%3Ainference-profile%2F"
            "us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse");
  EXPECT_EQ(answer->text, simulated_text(arn, "default", "x"));
}

TEST_F(BedrockAnswers, OddModelIdsAreSignedRight) {
  auto bedrock = client();
  for (const auto* model : {"a b", "a+b", "a%3Ab", ".", "a/../b", "//", "\xc3\xa9"}) {
    EXPECT_TRUE(ok(bedrock.complete(ChatRequest("x").model(model)).get())) << model;
  }
}

TEST_F(BedrockAnswers, ABasePathIsAPrefixAndSigned) {
  auto with_path = options();
  with_path.endpoint += "/gateway/v1//";
  auto bedrock = client(with_path);
  ASSERT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(server_.requests().at(0).target.rfind("/gateway/v1/model/", 0), 0u);
  EXPECT_EQ(bedrock.cache_identity().scope,
            "converse|us-west-2|endpoint=" + server_.url() + "/gateway/v1");
}

TEST_F(BedrockAnswers, UnusableRequestsAreNotSent) {
  auto without_model = options();
  without_model.model.clear();
  auto bedrock = client(without_model);
  const auto no_model = bedrock.complete(ChatRequest("x")).get();
  EXPECT_TRUE(fails_with(no_model, ErrorCode::invalid_argument));
  EXPECT_EQ(no_model.error().message.rfind("model", 0), 0u);
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(fails_with(bedrock.complete(ChatRequest("x").model("m").temperature(nan)).get(),
                         ErrorCode::invalid_argument));
  EXPECT_TRUE(fails_with(bedrock
                             .complete(ChatRequest("x").model("m").temperature(
                                 std::numeric_limits<double>::infinity()))
                             .get(),
                         ErrorCode::invalid_argument));
  EXPECT_TRUE(fails_with(bedrock.complete(ChatRequest("x").model("m"), {.timeout = 0ms}).get(),
                         ErrorCode::timeout));
  EXPECT_EQ(server_.calls(), 0u);
}

TEST_F(BedrockAnswers, LargeRequestsArriveWhole) {
  auto bedrock = client();
  const std::string prompt(3 << 20, 'p');
  ASSERT_TRUE(ok(bedrock.complete(ChatRequest(prompt)).get()));
  EXPECT_NE(server_.requests().at(0).body.find(prompt), std::string::npos);
  EXPECT_EQ(header_value(server_.requests().at(0).headers, "expect"), "");
}

TEST_F(BedrockAnswers, ConnectionsAreKept) {
  auto bedrock = client();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(server_.stats().connections, 1u);
}

TEST_F(BedrockAnswers, HeadersOfTheCallersOwn) {
  auto with_headers = options();
  int asked = 0;
  with_headers.headers = {{"X-Team", "blue"}, {"X-Amz-Custom", " a  b "}, {"X-Empty", ""}};
  with_headers.header_callback = [&asked] {
    return std::vector<std::pair<std::string, std::string>>{{"X-Attempt", std::to_string(++asked)},
                                                            {"x-amz-late", "signed"}};
  };
  auto bedrock = client(with_headers);
  server_.add_fault(faults::unavailable());
  ASSERT_TRUE(ok(ask(bedrock)));
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(header_value(requests[1].headers, "x-team"), "blue");
  EXPECT_EQ(header_value(requests[0].headers, "x-attempt"), "1");
  EXPECT_EQ(header_value(requests[1].headers, "x-attempt"), "2") << "asked before each attempt";
  const auto authorization = header_value(requests[1].headers, "authorization");
  EXPECT_NE(
      authorization.find("SignedHeaders=content-type;host;x-amz-custom;x-amz-date;x-amz-late,"),
      std::string::npos)
      << authorization;
  bool has_empty = false;
  for (const auto& [name, value] : requests[1].headers) has_empty |= name == "X-Empty";
  EXPECT_TRUE(has_empty);
}

TEST_F(BedrockAnswers, HeadersFromTheCallbackAreChecked) {
  auto with_callback = options();
  std::vector<std::pair<std::string, std::string>> given;
  with_callback.header_callback = [&given] {
    return given;
  };
  auto bedrock = client(with_callback);
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"X-A", "b\r\nX-Injected: hunter2"}, {"X-A\r\nX-Injected", "hunter2"}, {"Host", "x"}}) {
    given = {{name, value}};
    const auto answer = ask(bedrock);
    EXPECT_TRUE(fails_with(answer, ErrorCode::invalid_argument));
    EXPECT_EQ(answer.error().message.find("hunter2"), std::string::npos);
  }
  EXPECT_EQ(server_.calls(), 0u);
}

TEST_F(BedrockAnswers, AThrowingHeaderCallbackFailsTheCall) {
  auto with_callback = options();
  with_callback.header_callback = []() -> std::vector<std::pair<std::string, std::string>> {
    throw std::runtime_error("hunter2");
  };
  auto bedrock = client(with_callback);
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::callback_failed));
  EXPECT_EQ(server_.calls(), 0u);
}

TEST_F(BedrockAnswers, IdentityOfTheAnswers) {
  auto bedrock = client();
  EXPECT_EQ(bedrock.cache_identity().model, sonnet);
  EXPECT_EQ(bedrock.cache_identity().scope, "converse|us-west-2|endpoint=" + server_.url());
  auto regional = options();
  regional.endpoint.clear();
  EXPECT_EQ(client(regional).cache_identity().scope, "converse|us-west-2");
}

// --- authentication -----------------------------------------------------------------------------

class BedrockSessionToken : public BedrockTest {
 protected:
  BedrockSessionToken() : BedrockTest({.session_token = "session/token+with=signs"}) {}
};

TEST_F(BedrockSessionToken, IsSentAndSigned) {
  auto with_token = options();
  with_token.credentials->session_token = "session/token+with=signs";
  auto bedrock = client(with_token);
  EXPECT_TRUE(ok(ask(bedrock)));
}

class BedrockRegion : public BedrockTest {
 protected:
  BedrockRegion() : BedrockTest({.region = "eu-central-1"}) {}
};

TEST_F(BedrockRegion, IsTheSignaturesWhateverTheEndpoint) {
  auto elsewhere = options();
  elsewhere.region = "eu-central-1";
  auto right = client(elsewhere);
  EXPECT_TRUE(ok(ask(right)));
  auto wrong = client();
  EXPECT_TRUE(fails_with(ask(wrong), ErrorCode::credentials));
}

TEST_F(BedrockAnswers, CredentialsFromTheEnvironment) {
  variables_ = {{"AWS_ACCESS_KEY_ID", simulated_access_key},
                {"AWS_SECRET_ACCESS_KEY", simulated_secret_key},
                {"AWS_REGION", "us-east-1"},
                {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server_.url()}};
  auto bedrock = client({.model = sonnet, .log = log_.hook()});
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_NE(header_value(server_.requests().at(0).headers, "authorization").find("/us-east-1/"),
            std::string::npos);
}

TEST_F(BedrockAnswers, NoCredentialsIsAnErrorThatSaysWhatWasTried) {
  auto without = options();
  without.credentials.reset();
  auto bedrock = client(without);
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::credentials));
  EXPECT_NE(answer.error().message.find("AWS_ACCESS_KEY_ID is not set"), std::string::npos);
  EXPECT_NE(answer.error().message.find("profile"), std::string::npos);
  EXPECT_EQ(server_.calls(), 0u);
}

class BedrockBearer : public BedrockTest {
 protected:
  BedrockBearer() : BedrockTest({.bearer_token = "bedrock-api-key-EXAMPLE"}) {}
};

TEST_F(BedrockBearer, TokenIsAllThatIsSent) {
  auto with_token = options();
  with_token.credentials.reset();
  with_token.bearer_token = "bedrock-api-key-EXAMPLE";
  auto bedrock = client(with_token);
  ASSERT_TRUE(ok(ask(bedrock)));
  const auto request = server_.requests().at(0);
  EXPECT_EQ(header_value(request.headers, "authorization"), "Bearer bedrock-api-key-EXAMPLE");
  EXPECT_EQ(header_value(request.headers, "x-amz-date"), "");
}

TEST_F(BedrockBearer, TokenFromTheEnvironment) {
  auto automatic = options();
  automatic.credentials.reset();
  variables_["AWS_BEARER_TOKEN_BEDROCK"] = "bedrock-api-key-EXAMPLE";
  auto bedrock = client(automatic);
  EXPECT_TRUE(ok(ask(bedrock)));
}

TEST_F(BedrockBearer, WrongToken) {
  auto with_token = options();
  with_token.bearer_token = "wrong-hunter2";
  auto bedrock = client(with_token);
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::credentials));
  EXPECT_EQ(answer.error().message, "Bedrock answered 403: the API key was not accepted");
  EXPECT_EQ(server_.calls(), 1u);
}

TEST_F(BedrockBearer, IsRefusedOverPlainHttp) {
  auto with_token = options();
  with_token.endpoint = "http://gateway.example";
  with_token.bearer_token = "hunter2";
  const auto refused = try_client(with_token);
  EXPECT_TRUE(fails_with(refused, ErrorCode::invalid_argument));
  EXPECT_EQ(refused.error().message.find("hunter2"), std::string::npos);
}

class BedrockAnonymous : public BedrockTest {
 protected:
  BedrockAnonymous() : BedrockTest({.bearer_token = "of-the-gateway", .allow_anonymous = true}) {}
};

TEST_F(BedrockAnonymous, NoneSendsNoAuthorization) {
  variables_["AWS_BEARER_TOKEN_BEDROCK"] = "hunter2";
  auto anonymous = options();
  anonymous.auth = BedrockAuth::none;
  anonymous.region.clear();
  auto bedrock = client(anonymous);
  ASSERT_TRUE(ok(ask(bedrock)));
  const auto request = server_.requests().at(0);
  EXPECT_EQ(header_value(request.headers, "authorization"), "");
  EXPECT_EQ(header_value(request.headers, "x-amz-date"), "");
}

TEST_F(BedrockAnonymous, AGatewaysOwnAuthorization) {
  auto own = options();
  own.auth = BedrockAuth::none;
  own.headers = {{"Authorization", "Bearer of-the-gateway"}};
  auto bedrock = client(own);
  EXPECT_TRUE(ok(ask(bedrock)));
}

}  // namespace
}  // namespace valkeycache::test
