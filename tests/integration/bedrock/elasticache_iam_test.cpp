// IAM tokens from end to end: a server over TLS that lets in whoever comes with a token that AWS
// would take, as checked by a verifier that knows nothing of the library's signer.
#include "aws/elasticache_iam.hpp"

#include <valkeycache/valkey_cache.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "support/bedrock/sigv4_verifier.hpp"
#include "support/valkey/expect.hpp"
#include "support/valkey/valkey_server.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using test::fails_with;
using test::ok;
using test::patience;
using test::wait_until;
using Clock = std::chrono::system_clock;

// What ElastiCache does with a token, in front of a server that knows passwords only: one that is
// good becomes the user's password, and the one before it is none any more.
class Gatekeeper {
 public:
  // Of a cache made of nodes a token names no type.
  Gatekeeper(const test::ValkeyServer& server, bool serverless)
      : server_(server), resource_type_(serverless ? "ServerlessCache" : "") {}

  void admit(const std::string& token, Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    refusal_ =
        check_presigned(token, callers_, static_cast<long>(seconds), "us-west-2", "elasticache");
    const bool good = refusal_.type.empty() && token.rfind("answers/?", 0) == 0 &&
                      test::query_parameter(token, "Action") == "connect" &&
                      test::query_parameter(token, "User") == "app" &&
                      test::query_parameter(token, "ResourceType") == resource_type_ &&
                      (token.find("ResourceType") == std::string::npos) == resource_type_.empty() &&
                      test::query_parameter(token, "X-Amz-Expires") == "900";
    if (!good) return;
    tokens_.insert(token);
    server_.command({"ACL", "SETUSER", "app", "resetpass", ">" + token});
  }
  [[nodiscard]] std::size_t admitted() const {
    const std::lock_guard lock(mutex_);
    return tokens_.size();
  }
  [[nodiscard]] std::string refusal() const {
    const std::lock_guard lock(mutex_);
    return refusal_.type;
  }

 private:
  const test::ValkeyServer& server_;
  const std::string resource_type_;
  const test::CallerRegistry callers_{
      .by_access_key = {{"ASIAROLE", {.secret_access_key = "a/secret+", .session_token = "se=ss"}}},
      .expired_tokens = {}};
  mutable std::mutex mutex_;
  test::Refusal refusal_;
  std::set<std::string> tokens_;  // all of them different
};

// Of a serverless cache, or of one made of nodes.
class ElastiCacheLogins : public testing::TestWithParam<bool> {
 protected:
  // `life` in place of the twelve hours.
  ValkeyCacheOptions by_iam(std::chrono::milliseconds life = {},
                            const std::string& secret = "a/secret+", bool serverless = GetParam()) {
    const auto iam = detail::make_elasticache_iam(
                         {.cache_name = "Answers",
                          .user = "app",
                          .serverless = serverless,
                          .region = "us-west-2",
                          .credentials = AwsCredentials{.access_key_id = "ASIAROLE",
                                                        .secret_access_key = secret,
                                                        .session_token = "se=ss"}},
                         [](std::string_view) { return std::nullopt; }, [this] { return now(); })
                         .value();
    ValkeyCacheOptions options;
    options.connect_timeout = options.command_timeout = patience;
    options.tls.ca_file = server_.ca_file();
    options.password_provider = iam;
    options.password_provider.ask = [this, held = held_, iam, life]() -> Result<Password> {
      auto password = iam.ask();
      if (!password) return password;
      gatekeeper_.admit(password->text, now());
      if (life.count() != 0) password->life = life;
      return password;
    };
    return options;
  }
  // Whenever somebody asks, it is a second later.
  Clock::time_point now() {
    return Clock::time_point(std::chrono::seconds(1'767'323'045 + ++seconds_));
  }
  [[nodiscard]] std::string uri() const {
    return "valkeys://app@localhost:" + std::to_string(server_.tls_port());
  }
  [[nodiscard]] std::string auths() const {
    const auto info = server_.command({"INFO", "commandstats"}).text;
    const auto line = info.find("cmdstat_auth:");
    return line == info.npos ? "" : info.substr(line, info.find('\r', line) - line);
  }
  void TearDown() override {
    // A provider may still be running when its cache is gone.
    ASSERT_TRUE(wait_until([&] { return held_.use_count() == 1; }));
    // The count orders nothing; its lock does.
    (void)gatekeeper_.admitted();
  }

  const std::shared_ptr<int> held_ = std::make_shared<int>();
  std::atomic<int> seconds_{0};
  test::ValkeyServer server_{
      {.config = {"user app on >nobody-knows-this ~llm_cache:* +@all"}, .tls = true}};
  Gatekeeper gatekeeper_{server_, GetParam()};
  const CacheKey key_ = CacheKey::raw({"iam"}, "k").value();
};

TEST_P(ElastiCacheLogins, EachConnectionBringsATokenOfItsOwn) {
  const auto cache = ValkeyCache::open(uri(), by_iam()).value();
  ASSERT_TRUE(ok(cache.set(key_, "v").get()));
  EXPECT_EQ(cache.get(key_).get().value(), "v");
  EXPECT_EQ(gatekeeper_.admitted(), 1U);
  server_.command({"CLIENT", "KILL", "USER", "app"});
  ASSERT_TRUE(wait_until([&] { return cache.stats().connects == 2; }));
  EXPECT_EQ(cache.get(key_).get().value(), "v");
  EXPECT_EQ(gatekeeper_.admitted(), 2U);
  EXPECT_EQ(gatekeeper_.refusal(), "");
  EXPECT_NE(auths().find("failed_calls=0"), std::string::npos) << auths();
}

TEST_P(ElastiCacheLogins, AConnectionThatStandsLogsInAgainWithAnotherToken) {
  const auto cache = ValkeyCache::open(uri(), by_iam(200ms)).value();
  ASSERT_TRUE(wait_until([&] {
    EXPECT_TRUE(ok(cache.set(key_, "v").get()));
    return gatekeeper_.admitted() >= 4;
  }));
  ASSERT_TRUE(wait_until([&] {
    const auto line = auths();
    return std::stol(line.substr(line.find('=') + 1)) >= 4;
  }));
  EXPECT_EQ(cache.stats().connects, 1U);
  EXPECT_EQ(cache.stats().errors, 0U);
  EXPECT_EQ(gatekeeper_.refusal(), "");
  EXPECT_NE(auths().find("failed_calls=0"), std::string::npos) << auths();
}

TEST_P(ElastiCacheLogins, WhoSignsWithAnotherSecretStaysOutside) {
  const auto cache = ValkeyCache::open(uri(), by_iam({}, "another")).value();
  const auto stored = cache.set(key_, "v").get();
  ASSERT_TRUE(test::refused(stored, ErrorCode::authentication, "WRONGPASS"));
  EXPECT_EQ(stored.error().message.find("X-Amz"), std::string::npos) << stored.error().message;
  EXPECT_EQ(gatekeeper_.refusal(), "InvalidSignatureException");
  EXPECT_EQ(gatekeeper_.admitted(), 0U);
}

TEST_P(ElastiCacheLogins, NoTokenIsMadeForPlainText) {
  auto options = by_iam();
  options.tls = {};
  options.username = "app";
  EXPECT_TRUE(fails_with(ValkeyCache::open(server_.uri(), options), ErrorCode::invalid_argument));
  EXPECT_EQ(seconds_, 0) << "the clock is asked for a token only";
}

// Though it is well signed.
TEST_P(ElastiCacheLogins, WhoTakesTheCacheForOneOfTheOtherKindStaysOutside) {
  const auto cache = ValkeyCache::open(uri(), by_iam({}, "a/secret+", !GetParam())).value();
  ASSERT_TRUE(test::refused(cache.set(key_, "v").get(), ErrorCode::authentication, "WRONGPASS"));
  EXPECT_EQ(gatekeeper_.refusal(), "");
  EXPECT_EQ(gatekeeper_.admitted(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Of, ElastiCacheLogins, testing::Bool(),
                         [](const auto& of) { return of.param ? "Serverless" : "Nodes"; });

}  // namespace
}  // namespace valkeycache
