#include "bedrock/service_error.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace valkeycache {
namespace {

using detail::HttpResponse;
using detail::make_service_error;
using detail::RetryKind;
using detail::ServiceError;

ServiceError error_of(int status, std::string type, std::string body = "{}") {
  HttpResponse response;
  response.status = status;
  response.error_type = std::move(type);
  response.request_id = "request-1";
  response.body = std::move(body);
  return make_service_error(response);
}

TEST(ServiceError, EachTypeHasItsMeaning) {
  struct Case {
    int status;
    const char* type;
    ErrorCode code;
    RetryKind retry;
    bool retryable;
  };
  const Case cases[] = {
      {429, "ThrottlingException", ErrorCode::throttled, RetryKind::throttling, true},
      {429, "ModelNotReadyException", ErrorCode::model_unavailable, RetryKind::throttling, true},
      {500, "InternalServerException", ErrorCode::model_unavailable, RetryKind::transient, true},
      {503, "ServiceUnavailableException", ErrorCode::model_unavailable, RetryKind::transient,
       true},
      {408, "ModelTimeoutException", ErrorCode::model_timeout, RetryKind::never, true},
      {424, "ModelErrorException", ErrorCode::model_error, RetryKind::never, false},
      {424, "ModelStreamErrorException", ErrorCode::model_error, RetryKind::never, false},
      {400, "ValidationException", ErrorCode::invalid_request, RetryKind::never, false},
      {400, "ServiceQuotaExceededException", ErrorCode::throttled, RetryKind::never, false},
      {403, "AccessDeniedException", ErrorCode::access_denied, RetryKind::never, false},
      {403, "ExpiredTokenException", ErrorCode::credentials, RetryKind::renew_credentials, false},
      {403, "UnrecognizedClientException", ErrorCode::credentials, RetryKind::never, false},
      {403, "InvalidSignatureException", ErrorCode::credentials, RetryKind::correct_clock, false},
      {403, "MissingAuthenticationTokenException", ErrorCode::credentials, RetryKind::never, false},
      {404, "ResourceNotFoundException", ErrorCode::not_found, RetryKind::never, false},
      // Other AWS services' and gateways' names for the same.
      {400, "TooManyRequestsException", ErrorCode::throttled, RetryKind::throttling, true},
      {400, "RequestLimitExceeded", ErrorCode::throttled, RetryKind::throttling, true},
      {400, "InternalFailure", ErrorCode::model_unavailable, RetryKind::transient, true},
      {400, "ServiceUnavailable", ErrorCode::model_unavailable, RetryKind::transient, true},
      {500, "SerializationException", ErrorCode::invalid_request, RetryKind::never, false},
      {400, "AccessDenied", ErrorCode::access_denied, RetryKind::never, false},
      {400, "UnknownOperationException", ErrorCode::not_found, RetryKind::never, false},
      {400, "ExpiredToken", ErrorCode::credentials, RetryKind::renew_credentials, false},
      {400, "IncompleteSignatureException", ErrorCode::credentials, RetryKind::never, false},
      {400, "SignatureDoesNotMatch", ErrorCode::credentials, RetryKind::correct_clock, false},
      {400, "RequestExpired", ErrorCode::credentials, RetryKind::correct_clock, false},
      {400, "RequestTimeTooSkewed", ErrorCode::credentials, RetryKind::correct_clock, false},
      // By status alone.
      {401, "", ErrorCode::credentials, RetryKind::never, false},
      {403, "", ErrorCode::access_denied, RetryKind::never, false},
      {404, "", ErrorCode::not_found, RetryKind::never, false},
      {408, "", ErrorCode::model_timeout, RetryKind::never, true},
      {413, "", ErrorCode::invalid_request, RetryKind::never, false},
      {424, "", ErrorCode::model_error, RetryKind::never, false},
      {429, "", ErrorCode::throttled, RetryKind::throttling, true},
      {500, "", ErrorCode::model_unavailable, RetryKind::transient, true},
      {502, "", ErrorCode::model_unavailable, RetryKind::transient, true},
      {504, "", ErrorCode::model_unavailable, RetryKind::transient, true},
      {501, "", ErrorCode::model_unavailable, RetryKind::never, true},
      {429, "SomethingNew", ErrorCode::throttled, RetryKind::throttling, true},
      {302, "", ErrorCode::invalid_response, RetryKind::never, false},
      {204, "", ErrorCode::invalid_response, RetryKind::never, false},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(std::to_string(one.status) + " " + one.type);
    const auto got = error_of(one.status, one.type);
    EXPECT_EQ(got.error.code, one.code);
    EXPECT_EQ(got.retry, one.retry);
    EXPECT_EQ(got.error.retryable, one.retryable);
    EXPECT_EQ(got.error.server_code, one.type);
    EXPECT_EQ(got.error.http_status, one.status);
    EXPECT_EQ(got.error.request_id, "request-1");
    EXPECT_NE(got.error.message.find(std::to_string(one.status)), std::string::npos);
  }
}

TEST(ServiceError, TypeIsFoundWhereverItStands) {
  const std::string suffix = ":http://internal.amazon.com/coral/com.amazon.bedrock/";
  EXPECT_EQ(error_of(429, "ThrottlingException" + suffix).error.server_code, "ThrottlingException");
  EXPECT_EQ(error_of(429, "", R"({"__type":"com.amazon#ThrottlingException"})").error.server_code,
            "ThrottlingException");
  EXPECT_EQ(error_of(429, "", R"({"code":"FromCode","__type":"FromType"})").error.server_code,
            "FromCode");
  EXPECT_EQ(error_of(429, "Header", R"({"code":"Body"})").error.server_code, "Header");
  EXPECT_EQ(detail::error_type_name("a,b"), "a");
  EXPECT_EQ(detail::error_type_name("a b"), "");
  EXPECT_EQ(detail::error_type_name(std::string(101, 'a')), "");
}

TEST(ServiceError, TheModelsOwnFailureMayPass) {
  const auto may_pass = [](const std::string& body) {
    return error_of(424, "ModelErrorException", body).error.retryable;
  };
  EXPECT_TRUE(may_pass(R"({"originalStatusCode":500})"));
  EXPECT_FALSE(may_pass(R"({"originalStatusCode":400})"));
  // What is no status is none, however often it is said.
  std::string again = "{\"originalStatusCode\":500";
  for (int i = 0; i < 8; ++i) again += ",\"originalStatusCode\":400";
  EXPECT_FALSE(may_pass(again + "}"));
  for (const auto* odd : {"1e9", "\"x\"", "\"500\"", "[6]", "9999999999999", "-500", "null"}) {
    EXPECT_FALSE(may_pass(std::string("{\"originalStatusCode\":") + odd + "}")) << odd;
  }
}

TEST(ServiceError, WhatMayHaveBeenPaidForSaysSo) {
  EXPECT_TRUE(error_of(408, "ModelTimeoutException").error.maybe_applied);
  EXPECT_TRUE(error_of(424, "ModelErrorException").error.maybe_applied);
  EXPECT_TRUE(error_of(500, "").error.maybe_applied);
  EXPECT_FALSE(error_of(429, "ThrottlingException").error.maybe_applied);
  EXPECT_FALSE(error_of(400, "ValidationException").error.maybe_applied);
}

TEST(ServiceError, KnownPhrasesBecomeHints) {
  const auto message = [](std::string text) {
    return error_of(400, "ValidationException", R"({"message":")" + text + "\"}").error.message;
  };
  EXPECT_EQ(message("Invocation of model ID x with on-demand throughput isn\\u2019t supported."),
            "Bedrock answered 400 ValidationException: this model is reached through an inference "
            "profile; give its id (such as us.<model id>) or ARN instead");
  EXPECT_EQ(message("The provided model identifier is invalid."),
            "Bedrock answered 400 ValidationException: there is no model of this id in this "
            "region");
  EXPECT_EQ(message("something else"), "Bedrock answered 400 ValidationException");
}

TEST(ServiceError, WrongApiKey) {
  const auto got = error_of(403, "", R"({"Message":"Authentication failed: bad key"})");
  EXPECT_EQ(got.error.code, ErrorCode::credentials);
  EXPECT_EQ(got.error.message, "Bedrock answered 403: the API key was not accepted");
}

TEST(ServiceError, ForeignTextGoesNowhere) {
  const std::string secret = "hunter2 my-prompt";
  HttpResponse response;
  response.status = 400;
  response.error_type = secret;
  response.request_id = secret;
  response.body = R"({"message":")" + secret + R"(","code":")" + secret + R"("})";
  const auto error = make_service_error(response).error;
  EXPECT_EQ(error.message, "Bedrock answered 400");
  EXPECT_EQ(error.server_code, "");
  EXPECT_EQ(error.request_id, "");
}

TEST(ServiceError, OddBodiesHarmNothing) {
  for (const auto& body :
       {std::string(), std::string("<html>bad gateway</html>"), std::string("{\"message\":"),
        std::string("{\"message\":5,\"code\":[],\"originalStatusCode\":\"x\"}"),
        std::string(100000, '['), std::string("\xff"), std::string(70000, ' ') + "{}"}) {
    EXPECT_EQ(error_of(502, "", body).error.message, "Bedrock answered 502");
  }
}

}  // namespace
}  // namespace valkeycache
