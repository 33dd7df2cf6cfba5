#include "bedrock/credentials_cache.hpp"

#include <atomic>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "support/valkey/gate.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using detail::CredentialsCache;
using test::Gate;
using test::wait_until;
using Time = std::chrono::system_clock::time_point;

const Time start = Time() + 1000h;

AwsCredentials keys(std::string id, std::optional<Time> expires = {}) {
  return {.access_key_id = std::move(id), .secret_access_key = "hunter2", .expires = expires};
}

// Gives what it was told to, once the gate is open.
class ScriptedProvider : public AwsCredentialsProvider {
 public:
  Result<AwsCredentials> credentials() override {
    ++asked;
    gate.wait();
    const std::lock_guard lock(mutex);
    if (answers.empty()) throw std::runtime_error("hunter2");
    auto answer = answers.front();
    answers.pop_front();
    return answer;
  }

  Gate gate;
  std::atomic<int> asked{0};
  std::mutex mutex;
  std::deque<Result<AwsCredentials>> answers;
};

class CredentialsCacheTest : public testing::Test {
 protected:
  CredentialsCacheTest() { provider_->gate.open(); }

  void will_answer(Result<AwsCredentials> answer) {
    const std::lock_guard lock(provider_->mutex);
    provider_->answers.push_back(std::move(answer));
  }
  // The renewal under way, brought to its end.
  std::optional<Error> finish_renewal(Time now) {
    EXPECT_TRUE(wait_until([this] {
      const std::lock_guard lock(mutex_);
      return delivered_.has_value();
    }));
    const std::lock_guard lock(mutex_);
    auto result = *std::move(delivered_);
    delivered_.reset();
    return cache_.renewed(std::move(result), now);
  }
  std::string id(Time now) {
    const auto answer = cache_.get(now);
    if (answer.error) return "error: " + answer.error->message;
    return answer.credentials ? answer.credentials->access_key_id : "pending";
  }

  std::shared_ptr<ScriptedProvider> provider_ = std::make_shared<ScriptedProvider>();
  std::mutex mutex_;
  std::optional<Result<AwsCredentials>> delivered_;
  CredentialsCache cache_{provider_, [this](Result<AwsCredentials> result) {
                            const std::lock_guard lock(mutex_);
                            delivered_ = std::move(result);
                          }};
};

TEST(StaticCredentials, ServeUntilTheyEnd) {
  CredentialsCache cache(keys("A", start + 1min));
  EXPECT_EQ(cache.get(start).credentials->access_key_id, "A");
  EXPECT_FALSE(cache.renewing()) << "there is nobody to ask";
  EXPECT_FALSE(cache.reject(cache.get(start).credentials));
  const auto after = cache.get(start + 1min);
  ASSERT_TRUE(after.error);
  EXPECT_EQ(after.error->code, ErrorCode::credentials);
}

TEST_F(CredentialsCacheTest, FetchedOnceAndKept) {
  will_answer(keys("A"));
  EXPECT_EQ(id(start), "pending");
  EXPECT_EQ(id(start), "pending") << "one renewal at a time";
  EXPECT_FALSE(finish_renewal(start));
  EXPECT_EQ(id(start), "A");
  EXPECT_EQ(id(start + 10000h), "A");
  EXPECT_EQ(provider_->asked, 1);
}

TEST_F(CredentialsCacheTest, RenewedEarlyWhileTheOldOnesServe) {
  will_answer(keys("A", start + 1h));
  EXPECT_EQ(id(start), "pending");
  finish_renewal(start);
  EXPECT_EQ(id(start + 54min), "A");
  EXPECT_FALSE(cache_.renewing());
  will_answer(keys("B", start + 2h));
  EXPECT_EQ(id(start + 55min), "A");
  EXPECT_TRUE(cache_.renewing());
  EXPECT_EQ(id(start + 56min), "A");
  EXPECT_FALSE(finish_renewal(start + 56min));
  EXPECT_EQ(id(start + 56min), "B");
}

TEST_F(CredentialsCacheTest, AFailedRenewalIsNoErrorWhileTheOldOnesServe) {
  will_answer(keys("A", start + 1h));
  EXPECT_EQ(id(start), "pending");
  finish_renewal(start);
  will_answer(Error{.code = ErrorCode::credentials, .message = "gone"});
  EXPECT_EQ(id(start + 55min), "A");
  EXPECT_FALSE(finish_renewal(start + 55min));
  EXPECT_EQ(id(start + 55min + 1s), "A");
  EXPECT_FALSE(cache_.renewing()) << "not again at once";
  will_answer(Error{.code = ErrorCode::timeout, .message = "gone"});
  EXPECT_EQ(id(start + 1h), "pending") << "they have ended";
  const auto error = finish_renewal(start + 1h);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ErrorCode::credentials);
  EXPECT_EQ(error->message, "gone");
}

TEST_F(CredentialsCacheTest, RejectedOnesAreReplaced) {
  will_answer(keys("A"));
  EXPECT_EQ(id(start), "pending");
  finish_renewal(start);
  const auto used = cache_.get(start).credentials;
  will_answer(keys("B"));
  EXPECT_TRUE(cache_.reject(used));
  EXPECT_EQ(id(start), "pending");
  finish_renewal(start);
  EXPECT_EQ(id(start), "B");
  EXPECT_TRUE(cache_.reject(used)) << "another call's news of the old ones";
  EXPECT_EQ(id(start), "B");
}

TEST_F(CredentialsCacheTest, UnusableAnswersAreErrors) {
  const auto error_after = [this] {
    EXPECT_EQ(id(start), "pending");
    const auto error = finish_renewal(start);
    EXPECT_TRUE(error && error->code == ErrorCode::credentials);
    EXPECT_EQ(error->message.find("hunter2"), std::string::npos);
    return error->message;
  };
  EXPECT_EQ(error_after(), "the credentials provider threw an exception");
  will_answer(keys("A", start));
  EXPECT_EQ(error_after(), "the credentials provider gave credentials that have expired");
  will_answer(keys(""));
  EXPECT_EQ(error_after(), "the AWS credentials have no access_key_id");
}

}  // namespace
}  // namespace valkeycache
