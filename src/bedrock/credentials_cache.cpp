#include "bedrock/credentials_cache.hpp"

#include <exception>
#include <system_error>
#include <thread>
#include <utility>

#include "aws/credentials.hpp"
#include "base/io_thread.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::chrono::minutes early_renewal{5};
// Between attempts to renew credentials that still serve.
constexpr std::chrono::seconds early_renewal_pause{10};

Error credentials_error(const char* message) {
  return {.code = ErrorCode::credentials, .message = message};
}

// The provider is foreign code.
Result<AwsCredentials> ask(AwsCredentialsProvider& provider) noexcept {
  try {
    auto result = provider.credentials();
    if (!result) {
      auto error = std::move(result).error();
      error.code = ErrorCode::credentials;
      return error;
    }
    if (auto error = check_credentials(*result)) return *std::move(error);
    return result;
  } catch (...) {
    return credentials_error("the credentials provider threw an exception");
  }
}

}  // namespace

bool CredentialsCache::is_usable(Clock::time_point now) const {
  return current_ && (!current_->expires || *current_->expires > now);
}

CredentialsCache::Answer CredentialsCache::get(Clock::time_point now) {
  if (is_usable(now)) {
    const bool ends_soon = current_->expires && *current_->expires - now <= early_renewal;
    if (provider_ && ends_soon && !renewing_ && now >= next_early_renewal_) {
      next_early_renewal_ = now + early_renewal_pause;
      start_renewal();  // where it fails, the old ones still serve
    }
    return {.credentials = current_};
  }
  if (!provider_) return {.error = credentials_error("the AWS credentials given have expired")};
  if (renewing_) return {};
  return {.error = start_renewal()};
}

bool CredentialsCache::reject(const Credentials& used) {
  if (!provider_) return false;
  if (current_ == used) current_.reset();
  return true;
}

std::optional<Error> CredentialsCache::start_renewal() {
  try {
    const AllSignalsBlocked blocked;
    std::thread([provider = provider_, deliver = deliver_] {
      name_this_thread("vkc-credentials");
      deliver(ask(*provider));
    }).detach();
  } catch (const std::system_error&) {
    return credentials_error("no thread could be started to fetch AWS credentials");
  }
  renewing_ = true;
  return std::nullopt;
}

std::optional<Error> CredentialsCache::renewed(Result<AwsCredentials> result,
                                               Clock::time_point now) {
  renewing_ = false;
  if (!result) {
    if (is_usable(now)) return std::nullopt;
    current_.reset();
    return std::move(result).error();
  }
  if (result->expires && *result->expires <= now) {
    if (is_usable(now)) return std::nullopt;
    return credentials_error("the credentials provider gave credentials that have expired");
  }
  current_ = std::make_shared<const AwsCredentials>(*std::move(result));
  return std::nullopt;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
