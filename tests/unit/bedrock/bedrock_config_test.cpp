#include "bedrock/bedrock_config.hpp"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using detail::AuthScheme;
using detail::BedrockConfig;
using detail::resolve_options;
using test::fails_with;
using test::ok;
using Variables = std::map<std::string, std::string>;

detail::Environment environment_of(Variables variables) {
  variables.emplace("AWS_EC2_METADATA_DISABLED", "true");
  return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

Result<BedrockConfig> resolve(BedrockOptions options, Variables variables = {}) {
  return resolve_options(std::move(options), environment_of(std::move(variables)));
}

const AwsCredentials keys{.access_key_id = "AKID", .secret_access_key = "hunter2"};

TEST(BedrockConfig, Defaults) {
  const auto config = resolve({.model = "m", .region = "us-west-2"});
  ASSERT_TRUE(ok(config));
  EXPECT_EQ(config->auth, AuthScheme::sigv4);
  EXPECT_TRUE(config->provider);
  EXPECT_EQ(config->max_attempts, 3);
  EXPECT_EQ(config->endpoint.url(), "https://bedrock-runtime.us-west-2.amazonaws.com");
  EXPECT_EQ(detail::cache_scope(*config, "converse"), "converse|us-west-2");
}

TEST(BedrockConfig, ScopeHasTheCustomEndpoint) {
  const auto config =
      resolve({.region = "us-west-2", .endpoint = "https://Gateway.example:8443/base/"});
  ASSERT_TRUE(ok(config));
  EXPECT_EQ(detail::cache_scope(*config, "converse"),
            "converse|us-west-2|endpoint=https://gateway.example:8443/base");
}

TEST(BedrockConfig, UnusableOptionsAreNamed) {
  const auto expect_refused = [](BedrockOptions options, const std::string& name,
                                 Variables variables = {}) {
    if (options.region.empty() && name != "region") options.region = "us-west-2";
    const auto config = resolve(std::move(options), std::move(variables));
    EXPECT_TRUE(fails_with(config, ErrorCode::invalid_argument)) << name;
    EXPECT_EQ(config.error().message.rfind(name, 0), 0u) << config.error().message;
    EXPECT_EQ(config.error().message.find("hunter2"), std::string::npos);
  };
  expect_refused({}, "region");
  expect_refused({.region = "not a region"}, "region");
  expect_refused({.region = "bad.region", .endpoint = "http://localhost", .credentials = keys},
                 "region");
  expect_refused({.endpoint = "http://user:hunter2@localhost"}, "endpoint");
  expect_refused({.endpoint = "http://localhost", .fips = true}, "endpoint");
  expect_refused({.endpoint = "http://localhost", .dual_stack = true}, "endpoint");
  expect_refused({.auth = BedrockAuth::bearer}, "bearer_token");
  expect_refused({.bearer_token = "hunter2\r\nX: y"}, "bearer_token");
  expect_refused({.endpoint = "http://gateway.example", .bearer_token = "hunter2"}, "bearer_token");
  expect_refused({.endpoint = "http://gateway.example"}, "bearer_token",
                 {{"AWS_BEARER_TOKEN_BEDROCK", "hunter2"}});
  expect_refused({.credentials = AwsCredentials{.access_key_id = "AKID",
                                                .secret_access_key = "",
                                                .session_token = "hunter2"}},
                 "the AWS credentials have no secret_access_key");
  expect_refused({.profile = "absent"}, "profile");
  expect_refused({.headers = {{"X-A", "hunter2\r\nX: y"}}}, "headers");
  expect_refused({.headers = {{"X A", "hunter2"}}}, "headers");
  expect_refused({.headers = {{"", "hunter2"}}}, "headers");
  expect_refused({.headers = {{"X-A", std::string("hunter2\0", 8)}}}, "headers");
  expect_refused({.headers = {{"Host", "hunter2"}}}, "headers");
  expect_refused({.headers = {{"x-amz-date", "hunter2"}}}, "headers");
  expect_refused({.headers = {{"Content-Length", "1"}}}, "headers");
  expect_refused({.headers = {{"Authorization", "hunter2"}}}, "headers");
  expect_refused({.timeout = 0ms}, "timeout");
  expect_refused({.connect_timeout = -1ms}, "connect_timeout");
  expect_refused({.max_attempts = -1}, "max_attempts");
  expect_refused({}, "max_attempts", {{"AWS_MAX_ATTEMPTS", "three"}});
  expect_refused({}, "max_attempts", {{"AWS_MAX_ATTEMPTS", "0"}});
  expect_refused({.max_response_bytes = 0}, "max_response_bytes");
  expect_refused({.max_concurrent = 0}, "max_concurrent");
  expect_refused({.ca_file = "/nonexistent/ca.pem"}, "ca_file");
  expect_refused({}, "ca_file", {{"AWS_CA_BUNDLE", "/nonexistent/ca.pem"}});
}

TEST(BedrockConfig, OrderOfAuthentication) {
  const Variables token{{"AWS_BEARER_TOKEN_BEDROCK", "from-env"}};
  const auto authorization = [](BedrockOptions options, const Variables& variables) {
    options.region = "us-west-2";
    const auto config = resolve(std::move(options), variables);
    EXPECT_TRUE(ok(config));
    switch (config->auth) {
      case AuthScheme::bearer:
        return config->authorization;
      case AuthScheme::sigv4:
        return std::string(config->static_credentials ? "static" : "provider");
      case AuthScheme::none:
        break;
    }
    return std::string("none");
  };
  EXPECT_EQ(authorization({.bearer_token = "given"}, token), "Bearer given");
  EXPECT_EQ(authorization({.credentials = keys, .bearer_token = "given"}, token), "Bearer given");
  EXPECT_EQ(authorization({.credentials = keys}, token), "static");
  EXPECT_EQ(authorization({}, token), "Bearer from-env");
  EXPECT_EQ(authorization({}, {}), "provider");
  EXPECT_EQ(authorization({.auth = BedrockAuth::sigv4}, token), "provider");
  EXPECT_EQ(authorization({.auth = BedrockAuth::bearer, .credentials = keys}, token),
            "Bearer from-env");
  EXPECT_EQ(authorization({.auth = BedrockAuth::none, .credentials = keys}, token), "none");
}

TEST(BedrockConfig, BearerOverPlainHttpOnlyOnLoopback) {
  for (const auto* endpoint :
       {"http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://gateway.example"}) {
    EXPECT_TRUE(ok(resolve({.endpoint = endpoint, .bearer_token = "t"}))) << endpoint;
  }
}

TEST(BedrockConfig, NoRegionIsNeededWhereNothingIsSigned) {
  const auto config = resolve({.endpoint = "http://localhost", .auth = BedrockAuth::none});
  ASSERT_TRUE(ok(config));
  EXPECT_EQ(detail::cache_scope(*config, "converse"), "converse||endpoint=http://localhost");
  EXPECT_TRUE(fails_with(resolve({.endpoint = "http://localhost"}), ErrorCode::invalid_argument));
}

TEST(BedrockConfig, AuthorizationIsTheCallersOwnWithAuthNone) {
  EXPECT_TRUE(ok(resolve({.endpoint = "http://localhost",
                          .auth = BedrockAuth::none,
                          .headers = {{"Authorization", "Basic x"}}})));
}

TEST(BedrockConfig, MaxAttempts) {
  const auto attempts = [](int option, const Variables& variables) {
    return resolve({.region = "us-west-2", .max_attempts = option}, variables)->max_attempts;
  };
  EXPECT_EQ(attempts(0, {}), 3);
  EXPECT_EQ(attempts(0, {{"AWS_MAX_ATTEMPTS", "7"}}), 7);
  EXPECT_EQ(attempts(2, {{"AWS_MAX_ATTEMPTS", "7"}}), 2);
}

TEST(BedrockConfig, UnreadableProfileFilesMatterOnlyToThoseWhoNeedThem) {
  const Variables variables{{"AWS_CONFIG_FILE", "/"}};
  EXPECT_TRUE(ok(resolve({.region = "us-west-2", .credentials = keys}, variables)));
  EXPECT_TRUE(fails_with(resolve({.region = "us-west-2", .profile = "x"}, variables),
                         ErrorCode::credentials));
}

}  // namespace
}  // namespace valkeycache
