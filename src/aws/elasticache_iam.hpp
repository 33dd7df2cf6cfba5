// Tokens for ElastiCache: a presigned request's URL without its scheme.
//
// Rule: "Authenticating with IAM" in the ElastiCache user guide.
#pragma once

#include <valkeycache/elasticache_iam.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "aws/environment.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct ElastiCacheLogin {
  std::string cache_name;  // lower case
  std::string user;
  std::string region;
  bool serverless = false;
};

// Pure. It is a password: never log it.
std::string elasticache_token(const ElastiCacheLogin& login, const AwsCredentials& credentials,
                              std::chrono::system_clock::time_point now);

using SystemClock = std::function<std::chrono::system_clock::time_point()>;

// elasticache_iam() against a given environment and clock.
Result<PasswordProvider> make_elasticache_iam(ElastiCacheIamOptions options,
                                              const Environment& environment,
                                              SystemClock clock = std::chrono::system_clock::now);

}  // namespace detail
}  // namespace valkeycache::inline v0
