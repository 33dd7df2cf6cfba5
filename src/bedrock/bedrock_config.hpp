// BedrockOptions made definite: everything that environment and profile files add is in, everything
// unusable is refused.
#pragma once

#include <valkeycache/bedrock_client.hpp>
#include <valkeycache/detail/future_state.hpp>

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>

#include "aws/endpoint.hpp"
#include "aws/environment.hpp"
#include "bedrock/header_rules.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Times beyond it are cut down to it, so that adding them to a clock cannot overflow.
inline constexpr std::chrono::milliseconds longest_time = std::chrono::hours(24 * 365);

enum class AuthScheme : std::uint8_t { sigv4, bearer, none };

struct BedrockConfig {
  std::string model;
  std::string region;  // "" where nothing needs one
  Endpoint endpoint;
  AuthScheme auth = AuthScheme::none;
  std::string authorization;  // "Bearer ..." for AuthScheme::bearer
  // For AuthScheme::sigv4, one of the two.
  std::optional<AwsCredentials> static_credentials;
  std::shared_ptr<AwsCredentialsProvider> provider;
  // Ends a search of the library's own chain, which may wait for the network.
  std::stop_source credentials_stop;
  HeaderList headers;
  std::function<HeaderList()> header_callback;
  std::chrono::milliseconds timeout{0};
  std::chrono::milliseconds connect_timeout{0};
  std::chrono::milliseconds read_timeout{0};  // 0: none, here and below
  std::chrono::milliseconds stream_read_timeout{0};
  bool retry_read_timeouts = false;
  int max_attempts = 0;
  std::size_t max_response_bytes = 0;
  std::size_t max_concurrent = 0;
  std::string ca_file;
  std::shared_ptr<const CallbackContext> context;
};

// Reads the environment and the profile files, and where they name no region, asks the instance's
// metadata, so it may block for as long as that takes; the latter a second or two.
// Errors: invalid_argument; credentials for profile files that cannot be used.
Result<BedrockConfig> resolve_options(BedrockOptions options, const Environment& environment);

// What the identity of a client's answers is, for complete cache keys: the operation, the region,
// and the endpoint where it is not AWS's own. Never holds credentials.
std::string cache_scope(const BedrockConfig& config, std::string_view operation);

}  // namespace detail
}  // namespace valkeycache::inline v0
