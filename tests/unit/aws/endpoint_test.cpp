#include "aws/endpoint.hpp"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "unit/aws/vectors.hpp"

namespace valkeycache {
namespace {

using detail::Endpoint;
using detail::Environment;
using detail::ProfileFiles;
using test::fails_with;
using test::ok;

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}
const Environment empty_environment = environment_of({});

TEST(Endpoint, IsTheOneTheOfficialResolverChooses) {
  const auto vectors = test::read_json(VALKEYCACHE_TEST_DATA "/endpoints.json");
  ASSERT_TRUE(vectors);
  ASSERT_EQ(vectors->at("cases").size(), 40u);
  for (const auto& one : vectors->at("cases")) {
    SCOPED_TRACE(one.dump());
    const auto region = one.value("region", "us-west-2");
    const auto given = one.value("endpoint_given", "");
    const auto endpoint = detail::resolve_endpoint({.region = region,
                                                    .endpoint = given,
                                                    .fips = one.at("fips").get<bool>(),
                                                    .dual_stack = one.at("dualstack").get<bool>()},
                                                   empty_environment, {}, "default");
    if (one.contains("error")) {
      EXPECT_TRUE(fails_with(endpoint, ErrorCode::invalid_argument));
      continue;
    }
    ASSERT_TRUE(ok(endpoint));
    auto url = endpoint->url();
    if (endpoint->base_path.empty()) url += "/";
    EXPECT_EQ(url, one.at("endpoint").get<std::string>());
    EXPECT_EQ(endpoint->custom, !given.empty());
  }
}

TEST(Endpoint, ParsesUrls) {
  const auto endpoint = detail::parse_endpoint("HTTPS://Gateway.Example:8443/base/path//");
  ASSERT_TRUE(ok(endpoint));
  EXPECT_EQ(endpoint->scheme, "https");
  EXPECT_EQ(endpoint->host, "gateway.example");
  EXPECT_EQ(endpoint->authority, "gateway.example:8443");
  EXPECT_EQ(endpoint->base_path, "/base/path");
  EXPECT_EQ(detail::parse_endpoint("https://a:443")->authority, "a");
  EXPECT_EQ(detail::parse_endpoint("http://a:80/")->url(), "http://a");
  EXPECT_EQ(detail::parse_endpoint("http://a:443")->authority, "a:443");
  const auto v6 = detail::parse_endpoint("http://[::1]:8080");
  ASSERT_TRUE(ok(v6));
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->authority, "[::1]:8080");
}

TEST(Endpoint, RefusesWhatIsNoPlainEndpoint) {
  for (const auto* url : {"",
                          "gateway.example",
                          "ftp://a",
                          "https://",
                          "https:///path",
                          "https://user:hunter2@a",
                          "https://user@a",
                          "https://a?x=hunter2",
                          "https://a#hunter2",
                          "https://a b",
                          "https://a\r\nX: y",
                          "https://a:",
                          "https://a:0",
                          "https://a:65536",
                          "https://a:8x",
                          "https://[::1",
                          "https://[zz]",
                          "https://[::1]x",
                          "https://a\\b",
                          "https://\xc3\xa9",
                          "https://a:1:2",
                          "https://-\x7f",
                          "https://a/<x>"}) {
    SCOPED_TRACE(url);
    const auto endpoint = detail::parse_endpoint(url);
    EXPECT_TRUE(fails_with(endpoint, ErrorCode::invalid_argument));
    EXPECT_EQ(endpoint.error().message.rfind("endpoint", 0), 0u);
    EXPECT_EQ(endpoint.error().message.find("hunter2"), std::string::npos);
  }
}

TEST(Endpoint, KnowsLoopback) {
  for (const auto* url : {"http://localhost", "http://LOCALHOST:1", "http://127.0.0.1",
                          "http://127.255.0.9:80", "http://[::1]"}) {
    EXPECT_TRUE(detail::parse_endpoint(url)->is_loopback()) << url;
  }
  for (const auto* url : {"http://localhost.example", "http://127.0.0.1.example",
                          "http://127.evil.0.1", "http://128.0.0.1", "http://[::2]",
                          "http://127.0.0", "http://127.0.0.256", "http://xlocalhost"}) {
    EXPECT_FALSE(detail::parse_endpoint(url)->is_loopback()) << url;
  }
}

// https://docs.aws.amazon.com/general/latest/gr/sts.html
TEST(Endpoint, OfSts) {
  struct Case {
    const char* region;
    bool fips;
    bool dual_stack;
    const char* host;
  };
  for (const auto& [region, fips, dual_stack, host] : {
           Case{"eu-west-1", false, false, "sts.eu-west-1.amazonaws.com"},
           Case{"us-east-2", true, false, "sts-fips.us-east-2.amazonaws.com"},
           Case{"eu-west-1", false, true, "sts.eu-west-1.api.aws"},
           Case{"us-gov-west-1", true, false, "sts.us-gov-west-1.amazonaws.com"},
           Case{"cn-north-1", false, false, "sts.cn-north-1.amazonaws.com.cn"},
       }) {
    const auto endpoint = detail::region_endpoint(region, fips, dual_stack, detail::sts_service);
    ASSERT_TRUE(ok(endpoint));
    EXPECT_EQ(endpoint->host, host);
    EXPECT_TRUE(endpoint->is_https());
  }
}

TEST(Endpoint, RegionHasToBeAHostLabel) {
  for (const auto* region : {"", "us west", "a.b", "evil.com/", "-a", "a-", "us-east-1#",
                             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    const auto endpoint = detail::region_endpoint(region, false, false);
    EXPECT_TRUE(fails_with(endpoint, ErrorCode::invalid_argument)) << region;
    EXPECT_EQ(endpoint.error().message.rfind("region", 0), 0u);
  }
}

constexpr auto config = R"(
[default]
region = eu-west-1
endpoint_url = http://from.profile
[profile nested]
services = mine
endpoint_url = http://from.profile
[services mine]
s3 =
  endpoint_url = http://for.s3
bedrock_runtime =
  endpoint_url = http://from.services
[profile ignoring]
ignore_configured_endpoint_urls = true
endpoint_url = http://from.profile
[profile government]
use_fips_endpoint = true
use_dualstack_endpoint = TRUE
)";

std::string resolved(std::map<std::string, std::string> variables, std::string_view profile,
                     std::string_view option = "") {
  const auto endpoint = detail::resolve_endpoint({.region = "us-west-2", .endpoint = option},
                                                 environment_of(std::move(variables)),
                                                 ProfileFiles::parse(config, ""), profile);
  return endpoint ? endpoint->url() : endpoint.error().message;
}

TEST(Endpoint, OrderOfSources) {
  std::map<std::string, std::string> both{{"AWS_ENDPOINT_URL", "http://general"},
                                          {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://special"}};
  EXPECT_EQ(resolved(both, "nested", "http://option"), "http://option");
  EXPECT_EQ(resolved(both, "nested"), "http://special");
  EXPECT_EQ(resolved({{"AWS_ENDPOINT_URL", "http://general"}}, "nested"), "http://general");
  EXPECT_EQ(resolved({}, "nested"), "http://from.services");
  EXPECT_EQ(resolved({}, "default"), "http://from.profile");
  const std::string regional = "https://bedrock-runtime.us-west-2.amazonaws.com";
  EXPECT_EQ(resolved({}, "absent"), regional);
  EXPECT_EQ(resolved({}, "ignoring"), regional);
  both["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true";
  EXPECT_EQ(resolved(both, "nested"), regional);
  EXPECT_EQ(resolved(both, "nested", "http://option"), "http://option");
  EXPECT_EQ(resolved({{"AWS_ENDPOINT_URL", ""}}, "absent"), regional);
}

TEST(Endpoint, FipsAndDualStackByConfiguration) {
  EXPECT_EQ(resolved({}, "government"), "https://bedrock-runtime-fips.us-west-2.api.aws");
  EXPECT_EQ(resolved({{"AWS_USE_FIPS_ENDPOINT", "false"}}, "government"),
            "https://bedrock-runtime.us-west-2.api.aws");
  EXPECT_EQ(resolved({{"AWS_USE_DUALSTACK_ENDPOINT", "true"}}, "absent"),
            "https://bedrock-runtime.us-west-2.api.aws");
  EXPECT_EQ(resolved({}, "government", "http://option"),
            "endpoint: a custom one and fips exclude each other");
}

TEST(Region, OrderOfSources) {
  const auto files = ProfileFiles::parse(config, "");
  const auto both = environment_of({{"AWS_REGION", "first"}, {"AWS_DEFAULT_REGION", "second"}});
  EXPECT_EQ(detail::resolve_region("option", both, files, "default"), "option");
  EXPECT_EQ(detail::resolve_region("", both, files, "default"), "first");
  EXPECT_EQ(detail::resolve_region("", environment_of({{"AWS_DEFAULT_REGION", "second"}}), files,
                                   "default"),
            "second");
  EXPECT_EQ(detail::resolve_region("", empty_environment, files, "default"), "eu-west-1");
  EXPECT_EQ(detail::resolve_region("", empty_environment, files, "nested"), "");
}

}  // namespace
}  // namespace valkeycache
