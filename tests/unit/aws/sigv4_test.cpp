#include "aws/sigv4.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "aws/sigv4_canonical.hpp"
#include "unit/aws/vectors.hpp"

namespace valkeycache {
namespace {

using detail::HeaderView;
using detail::SigV4Options;
using detail::SigV4Request;
using detail::SigV4Signer;
using nlohmann::json;
using test::read_json;

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return text;
}

std::chrono::system_clock::time_point parse_amz_date(const std::string& text) {
  using namespace std::chrono;
  const auto number = [&text](std::size_t at, std::size_t size) {
    return std::stoi(text.substr(at, size));
  };
  const year_month_day date(year(number(0, 4)), month(static_cast<unsigned>(number(4, 2))),
                            day(static_cast<unsigned>(number(6, 2))));
  return sys_days(date) + hours(number(9, 2)) + minutes(number(11, 2)) + seconds(number(13, 2));
}

AwsCredentials parse_credentials(const json& from) {
  return {.access_key_id = from.at("access_key_id"),
          .secret_access_key = from.at("secret_access_key"),
          .session_token = from.value("session_token", "")};
}

std::vector<HeaderView> views(const Headers& headers) {
  std::vector<HeaderView> out;
  for (const auto& [name, value] : headers) out.push_back({name, value});
  return out;
}

std::string base64_decoded(const std::string& text) {
  static const std::string digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<unsigned>(digits.find(c));
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xff);
    }
  }
  return out;
}

// Everything of a case in which both forms of vectors agree.
void expect_signed(SigV4Signer& signer, const json& expected) {
  EXPECT_EQ(signer.canonical_request(), expected.at("canonical_request").get<std::string>());
  EXPECT_EQ(signer.string_to_sign(), expected.at("string_to_sign").get<std::string>());
  EXPECT_EQ(signer.signature(), expected.at("signature").get<std::string>());
}

TEST(SigV4, SignsBedrockRequestsAsTheOfficialSigner) {
  const auto vectors = read_json(VALKEYCACHE_TEST_DATA "/sigv4_bedrock.json");
  ASSERT_TRUE(vectors);
  ASSERT_EQ(vectors->at("cases").size(), 58u);
  for (const auto& one : vectors->at("cases")) {
    SCOPED_TRACE(one.at("name").get<std::string>());
    const auto& request = one.at("request");
    const auto& context = one.at("context");
    const std::string method = request.at("method");
    const std::string path = request.at("path");
    const std::string query = request.at("query");
    const auto body = base64_decoded(request.at("body_base64"));
    const auto headers = request.at("headers").get<Headers>();
    const auto header_views = views(headers);
    const auto credentials = parse_credentials(one.at("credentials"));

    SigV4Signer signer(context.at("region"), context.at("service"));
    const auto made =
        signer.sign({method, path, query, header_views, body}, credentials,
                    parse_amz_date(context.at("amz_date")),
                    {.send_payload_hash = context.at("add_content_sha256_header").get<bool>()});

    expect_signed(signer, one);
    EXPECT_EQ(signer.signed_headers(), one.at("signed_headers").get<std::string>());
    EXPECT_EQ(made.authorization, one.at("authorization").get<std::string>());
    Headers added{{"x-amz-date", made.x_amz_date}};
    if (!credentials.session_token.empty()) {
      added.emplace_back("x-amz-security-token", credentials.session_token);
    }
    if (!made.x_amz_content_sha256.empty()) {
      added.emplace_back("x-amz-content-sha256", made.x_amz_content_sha256);
    }
    auto expected = one.at("headers_added").get<Headers>();
    for (auto& [name, value] : expected) name = lower(name);
    std::sort(added.begin(), added.end());
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(added, expected);
  }
}

TEST(SigV4, SignsWhatTheOfficialSdkSent) {
  const auto vectors = read_json(VALKEYCACHE_TEST_DATA "/sdk_requests.json");
  ASSERT_TRUE(vectors);
  int signed_cases = 0;
  for (const auto& one : vectors->at("cases")) {
    if (!one.contains("signature")) continue;  // a bearer token's
    SCOPED_TRACE(one.at("name").get<std::string>());
    ++signed_cases;
    const auto all = one.at("headers").get<Headers>();
    std::string authorization;
    for (const auto& [name, value] : all) {
      if (name == "authorization") authorization = value;
    }
    const auto list_at = authorization.find("SignedHeaders=") + 14;
    const auto list =
        ";" + authorization.substr(list_at, authorization.find(',', list_at) - list_at) + ";";
    Headers headers;
    for (const auto& header : all) {
      if (list.find(";" + lower(header.first) + ";") != std::string::npos) {
        headers.push_back(header);
      }
    }
    const auto header_views = views(headers);
    const bool hash_sent = list.find(";x-amz-content-sha256;") != std::string::npos;
    const std::string target = one.at("target");
    const std::string body = one.at("body");

    SigV4Signer signer(one.at("region"), "bedrock");
    const auto made = signer.sign(
        {"POST", target, "", header_views, body}, parse_credentials(one.at("credentials")),
        parse_amz_date(one.at("amz_date")), {.send_payload_hash = hash_sent});
    expect_signed(signer, one);
    EXPECT_EQ(made.authorization, authorization);
  }
  EXPECT_EQ(signed_cases, 30);
}

class AwsSuite : public testing::Test {
 protected:
  void SetUp() override {
    vectors_ = read_json(VALKEYCACHE_SHARED_VECTORS "/sigv4.json");
    if (!vectors_) GTEST_SKIP() << "AWS's own suite is not beside this checkout";
    ASSERT_EQ(vectors_->at("cases").size(), 23u);
  }

  // Calls check(signer, case, request, credentials, time, options) for each case.
  template <class Check>
  void for_each_case(Check check) {
    for (const auto& one : vectors_->at("cases")) {
      SCOPED_TRACE(one.at("name").get<std::string>());
      const auto& request = one.at("request");
      const auto& context = one.at("context");
      const std::string method = request.at("method");
      const std::string path = request.at("path");
      const std::string query = request.at("query");
      const std::string body = request.at("body");
      const auto headers = request.at("headers").get<Headers>();
      const auto header_views = views(headers);
      const SigV4Options options{.normalize_path = context.at("normalize_path"),
                                 .double_uri_encode = context.at("double_uri_encode"),
                                 .hash_body = context.at("sign_body"),
                                 .send_payload_hash = context.at("sign_body"),
                                 .omit_session_token = context.at("omit_session_token")};
      SigV4Signer signer(context.at("region"), context.at("service"));
      check(signer, one, SigV4Request{method, path, query, header_views, body},
            parse_credentials(one.at("credentials")), parse_amz_date(context.at("amz_date")),
            options);
    }
  }

  std::optional<json> vectors_;
};

TEST_F(AwsSuite, HeaderForm) {
  for_each_case([](SigV4Signer& signer, const json& one, const SigV4Request& request,
                   const AwsCredentials& credentials, auto time, const SigV4Options& options) {
    const auto made = signer.sign(request, credentials, time, options);
    expect_signed(signer, one);
    EXPECT_EQ(signer.signed_headers(), one.at("signed_headers").get<std::string>());
    EXPECT_EQ(made.authorization, one.at("authorization").get<std::string>());
  });
}

TEST_F(AwsSuite, PresignedForm) {
  for_each_case([](SigV4Signer& signer, const json& one, const SigV4Request& request,
                   const AwsCredentials& credentials, auto time, const SigV4Options& options) {
    const auto query = signer.presign(
        request, credentials, time,
        std::chrono::seconds(one.at("context").at("expiration_in_seconds").get<int>()), options);
    expect_signed(signer, one.at("presigned"));
    const std::string signed_request = one.at("presigned").at("signed_request");
    const auto first_line = signed_request.substr(0, signed_request.find('\n'));
    const auto question_mark = first_line.find('?');
    const auto end = first_line.rfind(" HTTP/1.1");
    ASSERT_NE(question_mark, std::string::npos);
    EXPECT_EQ(query, first_line.substr(question_mark + 1, end - question_mark - 1));
  });
}

const AwsCredentials example{.access_key_id = "AKIDEXAMPLE",
                             .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};

TEST(SigV4, KeepsItsKeyOnlyWhileSecretAndDayLast) {
  const auto day = parse_amz_date("20260102T235959Z");
  const std::vector<HeaderView> headers{{"host", "example.com"}};
  const SigV4Request request{"POST", "/", "", headers, "body"};
  const auto fresh = [&](const AwsCredentials& credentials, auto time) {
    SigV4Signer signer("us-west-2", "bedrock");
    return signer.sign(request, credentials, time).authorization;
  };
  AwsCredentials other = example;
  other.secret_access_key += "x";

  SigV4Signer signer("us-west-2", "bedrock");
  for (const auto time : {day, day, day + std::chrono::seconds(1)}) {
    EXPECT_EQ(signer.sign(request, example, time).authorization, fresh(example, time));
    EXPECT_EQ(signer.sign(request, other, time).authorization, fresh(other, time));
  }
}

TEST(SigV4, ReplacesHeadersThatItMakesItself) {
  const std::vector<HeaderView> headers{
      {"Host", "example.com"}, {"X-Amz-Date", "19700101T000000Z"}, {"Authorization", "nonsense"}};
  SigV4Signer signer("us-west-2", "bedrock");
  const auto made =
      signer.sign({"GET", "/", "", headers, ""}, example, parse_amz_date("20260102T030405Z"));
  EXPECT_EQ(made.x_amz_date, "20260102T030405Z");
  EXPECT_EQ(signer.signed_headers(), "host;x-amz-date");
  EXPECT_EQ(signer.canonical_request().find("19700101"), std::string::npos);
}

TEST(SigV4, OmittedSessionTokenIsSentUnsigned) {
  AwsCredentials credentials = example;
  credentials.session_token = "token/with+signs=";
  const std::vector<HeaderView> headers{{"host", "example.com"}};
  const auto time = parse_amz_date("20260102T030405Z");
  SigV4Signer signer("us-west-2", "service");
  const SigV4Options omit{.omit_session_token = true};
  signer.sign({"GET", "/", "", headers, ""}, credentials, time, omit);
  EXPECT_EQ(signer.signed_headers(), "host;x-amz-date");
  const auto query = signer.presign({"GET", "/", "", headers, ""}, credentials, time,
                                    std::chrono::seconds(60), omit);
  EXPECT_EQ(signer.canonical_request().find("Security-Token"), std::string::npos);
  EXPECT_NE(query.find("&X-Amz-Security-Token=token%2Fwith%2Bsigns%3D&X-Amz-Signature="),
            std::string::npos);
}

TEST(SigV4, DatesAreUtcWhateverTheFractionOrSign) {
  using namespace std::chrono;
  EXPECT_EQ(detail::to_amz_date(system_clock::time_point()), "19700101T000000Z");
  EXPECT_EQ(detail::to_amz_date(system_clock::time_point(seconds(-1))), "19691231T235959Z");
  EXPECT_EQ(detail::to_amz_date(system_clock::time_point(milliseconds(1999))), "19700101T000001Z");
  EXPECT_EQ(detail::to_amz_date(sys_days(year(2024) / 2 / 29) + hours(23)), "20240229T230000Z");
}

std::string canonical_path(std::string_view path, bool normalize = true, bool encode = true) {
  std::string out;
  detail::append_canonical_path(out, path, normalize, encode);
  return out;
}

TEST(SigV4, CanonicalPaths) {
  EXPECT_EQ(canonical_path(""), "/");
  EXPECT_EQ(canonical_path("/"), "/");
  EXPECT_EQ(canonical_path("/a/./b//c/../d"), "/a/b/d");
  EXPECT_EQ(canonical_path("/a/b/"), "/a/b/");
  EXPECT_EQ(canonical_path("/../.."), "/");
  EXPECT_EQ(canonical_path("/...x/.y"), "/...x/.y");
  EXPECT_EQ(canonical_path("/a%3Ab", true, false), "/a%3Ab");
  EXPECT_EQ(canonical_path("//a", false), "//a");
}

std::string canonical_query(std::string_view query) {
  std::string out;
  detail::append_canonical_query(out, query);
  return out;
}

TEST(SigV4, CanonicalQueries) {
  EXPECT_EQ(canonical_query(""), "");
  EXPECT_EQ(canonical_query("b&a=2&a=1"), "a=1&a=2&b=");
  EXPECT_EQ(canonical_query("a=x=y"), "a=x%3Dy");
  EXPECT_EQ(canonical_query("a=%2f%zz%"), "a=%2F%25zz%25");
  EXPECT_EQ(canonical_query("a=+&&"), "a=%2B");
}

std::string canonical_value(std::string_view value) {
  std::string out;
  detail::append_canonical_value(out, value);
  return out;
}

TEST(SigV4, CanonicalValues) {
  EXPECT_EQ(canonical_value(""), "");
  EXPECT_EQ(canonical_value(" \t "), "");
  EXPECT_EQ(canonical_value("  a  b\t\tc "), "a b c");
}

}  // namespace
}  // namespace valkeycache
