#include "aws/elasticache_iam.hpp"

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "aws/percent.hpp"
#include "support/valkey/child_process.hpp"
#include "unit/aws/vectors.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using detail::elasticache_token;
using detail::ElastiCacheLogin;
using detail::make_elasticache_iam;
using Time = std::chrono::system_clock::time_point;
using Query = std::map<std::string, std::string>;

Time parse_time(const std::string& text) {
  using namespace std::chrono;
  const auto number = [&text](std::size_t at, std::size_t size) {
    return std::stoi(text.substr(at, size));
  };
  const year_month_day date(year(number(0, 4)), month(static_cast<unsigned>(number(4, 2))),
                            day(static_cast<unsigned>(number(6, 2))));
  return sys_days(date) + hours(number(9, 2)) + minutes(number(11, 2)) + seconds(number(13, 2));
}

Query query_of(const std::string& token) {
  Query query;
  auto rest = token.substr(token.find('?') + 1) + "&";
  for (std::size_t end; (end = rest.find('&')) != rest.npos; rest.erase(0, end + 1)) {
    const auto part = rest.substr(0, end);
    const auto equals = part.find('=');
    const bool fresh = query
                           .emplace(detail::percent_decoded(part.substr(0, equals)),
                                    detail::percent_decoded(part.substr(equals + 1)))
                           .second;
    EXPECT_TRUE(fresh) << part;
  }
  return query;
}

TEST(ElastiCacheIam, TokensAreThoseOfAnIndependentSigner) {
  const auto cases = test::read_json(VALKEYCACHE_TEST_DATA "/elasticache_iam.json");
  ASSERT_TRUE(cases && cases->size() >= 5);
  for (const auto& one : *cases) {
    const auto& credentials = one.at("credentials");
    const auto iam = make_elasticache_iam(
        {.cache_name = one.at("cache_name"),
         .user = one.at("user"),
         .serverless = one.at("serverless"),
         .region = one.at("region"),
         .credentials = AwsCredentials{.access_key_id = credentials.at("access_key_id"),
                                       .secret_access_key = credentials.at("secret_access_key"),
                                       .session_token = credentials.value("session_token", "")}},
        [](std::string_view) { return std::nullopt; },
        [now = parse_time(one.at("time"))] { return now; });
    ASSERT_TRUE(iam);
    EXPECT_TRUE(iam->needs_tls);
    const auto password = iam->ask();
    ASSERT_TRUE(password);
    EXPECT_EQ(password->life, 12h);
    const auto host = one.at("host").get<std::string>();
    EXPECT_EQ(password->text.substr(0, host.size() + 2), host + "/?");
    EXPECT_EQ(query_of(password->text), one.at("query").get<Query>());
  }
}

// --- where the credentials come from -------------------------------------------------------------

class Source : public AwsCredentialsProvider {
 public:
  Result<AwsCredentials> credentials() override {
    ++asked;
    if (fails) return Error{.code = ErrorCode::credentials, .message = "nothing found"};
    return AwsCredentials{.access_key_id = "AKID" + std::to_string(asked),
                          .secret_access_key = "secret",
                          .session_token = "session",
                          .expires = expires};
  }
  std::atomic<int> asked{0};
  bool fails = false;
  std::optional<Time> expires;
};

class ElastiCacheCredentials : public testing::Test {
 protected:
  // The key that a token is signed with; the error's code where there is none.
  std::string signer() {
    const auto password = iam_->ask();
    if (!password) return to_string(password.error().code);
    const auto credential = query_of(password->text).at("X-Amz-Credential");
    return credential.substr(0, credential.find('/'));
  }

  Time now_ = parse_time("20260102T030405Z");
  std::shared_ptr<Source> source_ = std::make_shared<Source>();
  std::string logged_;
  Result<PasswordProvider> iam_ = make_elasticache_iam(
      {.cache_name = "cache",
       .user = "user",
       .region = "us-east-1",
       .credentials_provider = source_,
       .log =
           [this](const LogRecord& record) {
             logged_ += record.message;
           }},
      [](std::string_view) { return std::nullopt; }, [this] { return now_; });
};

TEST_F(ElastiCacheCredentials, EachTokenIsSignedAnew) {
  source_->expires = now_ + 1h;
  const auto first = iam_->ask().value().text;
  now_ += 1s;
  EXPECT_NE(iam_->ask().value().text, first);
  EXPECT_EQ(query_of(first).at("X-Amz-Expires"), "900");
}

TEST_F(ElastiCacheCredentials, ThoseThatEndAreRenewedFiveMinutesBefore) {
  EXPECT_EQ(source_->asked, 0) << "not before they are needed";
  source_->expires = now_ + 1h;
  EXPECT_EQ(signer(), "AKID1");
  now_ += 54min + 59s;
  EXPECT_EQ(signer(), "AKID1");
  now_ += 1s;
  source_->expires = now_ + 1h;
  EXPECT_EQ(signer(), "AKID2");
}

TEST_F(ElastiCacheCredentials, ThoseThatDoNotEndAreLookedUpEachTime) {
  EXPECT_EQ(signer(), "AKID1");
  EXPECT_EQ(signer(), "AKID2");
}

TEST_F(ElastiCacheCredentials, OldOnesServeUntilTheirEnd) {
  source_->expires = now_ + 1h;
  EXPECT_EQ(signer(), "AKID1");
  source_->fails = true;
  now_ += 59min;
  EXPECT_EQ(signer(), "AKID1");
  EXPECT_EQ(logged_, "");
  now_ += 1min;
  EXPECT_EQ(signer(), "credentials");
  EXPECT_EQ(logged_, "nothing found");
  source_->fails = false;
  EXPECT_EQ(signer(), "credentials") << "what has ended is not signed with";
  source_->expires = now_ + 1h;
  EXPECT_EQ(signer(), "AKID5");
}

TEST_F(ElastiCacheCredentials, ManyConnectionsAskOnce) {
  source_->expires = now_ + 1h;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this] { EXPECT_EQ(signer(), "AKID1"); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(source_->asked, 1);
}

TEST(ElastiCacheIam, CredentialsGivenThatHaveEndedSignNothing) {
  const auto now = parse_time("20260102T030405Z");
  const auto iam = make_elasticache_iam(
      {.cache_name = "cache",
       .user = "user",
       .region = "us-east-1",
       .credentials =
           AwsCredentials{.access_key_id = "AKID", .secret_access_key = "hunter2", .expires = now}},
      [](std::string_view) { return std::nullopt; }, [now] { return now; });
  ASSERT_TRUE(iam);
  const auto password = iam->ask();
  ASSERT_FALSE(password);
  EXPECT_EQ(password.error().code, ErrorCode::credentials);
  EXPECT_EQ(password.error().message.find("hunter2"), std::string::npos);
}

TEST(ElastiCacheIam, TheStandardChainSigns) {
  const test::TemporaryFolder home;
  const std::map<std::string, std::string, std::less<>> variables = {
      {"HOME", home.path()},
      {"AWS_REGION", "eu-west-1"},
      {"AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT"},
      {"AWS_SECRET_ACCESS_KEY", "secret"},
      {"AWS_EC2_METADATA_DISABLED", "true"}};
  const auto iam =
      make_elasticache_iam({.cache_name = "cache", .user = "user"},
                           [variables](std::string_view name) -> std::optional<std::string> {
                             const auto found = variables.find(name);
                             if (found == variables.end()) return std::nullopt;
                             return found->second;
                           });
  ASSERT_TRUE(iam);
  const auto query = query_of(iam->ask().value().text);
  EXPECT_EQ(query.at("X-Amz-Credential").substr(0, 15), "AKIDENVIRONMENT");
  EXPECT_NE(query.at("X-Amz-Credential").find("/eu-west-1/elasticache/"), std::string::npos);
}

TEST(ElastiCacheIam, WrongOptionsAreNamed) {
  const auto refused = [](ElastiCacheIamOptions options, const std::string& name) {
    const auto iam = make_elasticache_iam(std::move(options), [](std::string_view variable) {
      return variable == "AWS_EC2_METADATA_DISABLED" ? std::optional<std::string>("true")
                                                     : std::nullopt;
    });
    ASSERT_FALSE(iam) << name;
    EXPECT_EQ(iam.error().code, ErrorCode::invalid_argument) << name;
    EXPECT_NE(iam.error().message.find(name), std::string::npos) << iam.error().message;
  };
  const ElastiCacheIamOptions good{.cache_name = "cache",
                                   .user = "user",
                                   .region = "us-east-1",
                                   .credentials = AwsCredentials{"AKID", "secret"}};
  auto options = good;
  options.cache_name = "";
  refused(options, "cache_name");
  options.cache_name = "cache.abc123.use1.cache.amazonaws.com";
  refused(options, "cache_name");
  options = good;
  options.user = "";
  refused(options, "user");
  options.user = "a&Action=other";
  refused(options, "user");
  options = good;
  options.region = "";
  refused(options, "region");
  options.region = "us east";
  refused(options, "region");
  options = good;
  options.credentials->secret_access_key = "";
  refused(options, "secret_access_key");
  options = good;
  options.profile = "absent";
  refused(options, "profile: ");
}

}  // namespace
}  // namespace valkeycache
