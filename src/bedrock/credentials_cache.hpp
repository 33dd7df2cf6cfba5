// The credentials in use, and their renewal on a thread of its own.
#pragma once

#include <valkeycache/bedrock_client.hpp>
#include <valkeycache/detail/future_state.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

namespace valkeycache::inline v0 {
namespace detail {

// Belongs to one thread, save for the renewal, which runs provider->credentials() on a short-lived
// thread: one at a time, from five minutes before the credentials end, while the old ones go on
// serving. Static credentials need no thread.
class CredentialsCache {
 public:
  using Clock = std::chrono::system_clock;
  using Credentials = std::shared_ptr<const AwsCredentials>;
  // Brings a renewal's result from its thread to the owner's, which then calls renewed(). Called
  // once for each renewal, whatever happens.
  using Deliver = std::function<void(Result<AwsCredentials>)>;

  CredentialsCache() = default;
  explicit CredentialsCache(AwsCredentials fixed)
      : current_(std::make_shared<const AwsCredentials>(std::move(fixed))) {}
  CredentialsCache(std::shared_ptr<AwsCredentialsProvider> provider, Deliver deliver)
      : provider_(std::move(provider)), deliver_(std::move(deliver)) {}

  struct Answer {
    Credentials credentials = {};     // to be used now
    std::optional<Error> error = {};  // there will be none
    // Neither: they are being fetched; ask again after renewed().
  };
  Answer get(Clock::time_point now);

  // The service does not take these any more: the next get() waits for others. False where there is
  // nobody to ask for others.
  bool reject(const Credentials& used);

  // A renewal is over. The error is for those who wait, if there is nothing to go on with.
  std::optional<Error> renewed(Result<AwsCredentials> result, Clock::time_point now);

  [[nodiscard]] bool renewing() const noexcept { return renewing_; }

 private:
  [[nodiscard]] bool is_usable(Clock::time_point now) const;
  std::optional<Error> start_renewal();

  std::shared_ptr<AwsCredentialsProvider> provider_;
  Deliver deliver_;
  Credentials current_;
  bool renewing_ = false;
  Clock::time_point next_early_renewal_{};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
