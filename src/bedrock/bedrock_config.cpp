#include "bedrock/bedrock_config.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "aws/credentials.hpp"
#include "aws/instance_metadata.hpp"
#include "aws/profile_files.hpp"
#include "base/errors.hpp"
#include "base/number.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr int default_max_attempts = 3;

bool is_header_text(std::string_view text) noexcept {
  for (const char c : text) {
    if (c <= 0x20 || c >= 0x7f) return false;
  }
  return !text.empty();
}

bool is_readable(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (!file) return false;
  static_cast<void>(std::fclose(file));
  return true;
}

// Environment and profile, as the rest is resolved against them.
struct Surroundings {
  const Environment& environment;
  const ProfileFiles& files;
  const std::string& profile;

  [[nodiscard]] std::optional<std::string> look_up(std::string_view variable_name,
                                                   std::string_view setting_name) const {
    if (auto value = variable(environment, variable_name)) return value;
    return files.setting(profile, setting_name);
  }
};

Result<int> resolve_max_attempts(int option, const Surroundings& around) {
  if (option < 0) return error_invalid("max_attempts: is negative");
  if (option > 0) return option;
  const auto text = around.look_up("AWS_MAX_ATTEMPTS", "max_attempts");
  if (!text) return default_max_attempts;
  const auto attempts = parse_number<int>(*text).value_or(0);
  if (attempts < 1) {
    return error_invalid(
        "max_attempts: AWS_MAX_ATTEMPTS or the profile's max_attempts is not a number from 1 on");
  }
  return attempts;
}

// Before it is known whether what there is can be used.
bool will_sign(const BedrockOptions& options, const Environment& environment) {
  if (options.auth == BedrockAuth::sigv4) return true;
  if (options.auth != BedrockAuth::automatic || !options.bearer_token.empty()) return false;
  return options.credentials || options.credentials_provider ||
         !variable(environment, "AWS_BEARER_TOKEN_BEDROCK");
}

std::optional<Error> resolve_auth(BedrockConfig& config, BedrockOptions& options,
                                  const Surroundings& around) {
  auto token = std::exchange(options.bearer_token, {});
  const bool has_own_credentials = options.credentials || options.credentials_provider;
  const auto token_variable = variable(around.environment, "AWS_BEARER_TOKEN_BEDROCK");
  switch (options.auth) {
    case BedrockAuth::none:
      config.auth = AuthScheme::none;
      return std::nullopt;
    case BedrockAuth::sigv4:
      token.clear();
      break;
    case BedrockAuth::bearer:
      if (token.empty()) token = token_variable.value_or("");
      if (token.empty()) {
        return error_invalid(
            "bearer_token: is neither in the options nor in AWS_BEARER_TOKEN_BEDROCK");
      }
      break;
    case BedrockAuth::automatic:
      if (token.empty() && !has_own_credentials) token = token_variable.value_or("");
      break;
  }
  if (!token.empty()) {
    if (!is_header_text(token)) {
      return error_invalid("bearer_token: holds a character that no token has");
    }
    if (!config.endpoint.is_https() && !config.endpoint.is_loopback()) {
      return error_invalid("bearer_token: is not sent over plain http; give an https endpoint");
    }
    config.auth = AuthScheme::bearer;
    config.authorization = "Bearer " + token;
    return std::nullopt;
  }
  config.auth = AuthScheme::sigv4;
  if (options.credentials_provider) {
    config.provider = std::move(options.credentials_provider);
  } else if (options.credentials) {
    if (auto error = check_credentials(*options.credentials)) {
      error->code = ErrorCode::invalid_argument;
      return error;
    }
    config.static_credentials = std::move(options.credentials);
  } else {
    config.provider =
        default_credentials_chain(options.profile, {.environment = around.environment,
                                                    .region = config.region,
                                                    .fips = options.fips,
                                                    .dual_stack = options.dual_stack,
                                                    .ca_file = config.ca_file,
                                                    .stop = config.credentials_stop.get_token()});
  }
  return std::nullopt;
}

}  // namespace

Result<BedrockConfig> resolve_options(BedrockOptions options, const Environment& environment) {
  if (options.timeout <= std::chrono::milliseconds::zero()) {
    return error_invalid("timeout: is not positive");
  }
  if (options.connect_timeout <= std::chrono::milliseconds::zero()) {
    return error_invalid("connect_timeout: is not positive");
  }
  if (options.read_timeout < std::chrono::milliseconds::zero()) {
    return error_invalid("read_timeout: is negative");
  }
  if (options.stream_read_timeout < std::chrono::milliseconds::zero()) {
    return error_invalid("stream_read_timeout: is negative");
  }
  if (options.max_concurrent == 0) return error_invalid("max_concurrent: is 0");
  if (options.max_response_bytes == 0) return error_invalid("max_response_bytes: is 0");

  // Files that cannot be read matter only to those who need something from them: a service account
  // often has a HOME that is not its own.
  const auto loaded = ProfileFiles::load(environment);
  const ProfileFiles no_files;
  const auto* const files = loaded ? &*loaded : &no_files;
  const auto profile = choose_profile(options.profile, environment);
  if (!options.profile.empty()) {
    if (!loaded) return loaded.error();
    if (auto error = check_profile(*files, profile)) {
      error->code = ErrorCode::invalid_argument;
      error->message.insert(0, "profile: ");
      return *std::move(error);
    }
  }
  const Surroundings around{environment, *files, profile.name};

  BedrockConfig config;
  config.region = resolve_region(options.region, environment, *files, profile.name);
  EndpointOptions endpoint_options{.region = config.region,
                                   .endpoint = options.endpoint,
                                   .fips = options.fips,
                                   .dual_stack = options.dual_stack};
  if (config.region.empty() &&
      (will_sign(options, environment) ||
       !custom_endpoint(endpoint_options, environment, *files, profile.name))) {
    config.region = instance_region({.environment = environment, .profile = options.profile});
    endpoint_options.region = config.region;
  }
  auto endpoint = resolve_endpoint(endpoint_options, environment, *files, profile.name);
  if (!endpoint) return std::move(endpoint).error();
  config.endpoint = *std::move(endpoint);
  config.ca_file = !options.ca_file.empty()
                       ? std::move(options.ca_file)
                       : around.look_up("AWS_CA_BUNDLE", "ca_bundle").value_or("");
  if (!config.ca_file.empty() && !is_readable(config.ca_file)) {
    return error_invalid("ca_file (or AWS_CA_BUNDLE, or the profile's ca_bundle): " +
                         config.ca_file + " cannot be read");
  }
  if (auto error = resolve_auth(config, options, around)) return *std::move(error);
  // The region is part of each signature, a custom endpoint or not.
  if (config.auth == AuthScheme::sigv4 || !config.region.empty()) {
    if (auto check = region_endpoint(config.region, false, false); !check) {
      return std::move(check).error();
    }
  }

  auto attempts = resolve_max_attempts(options.max_attempts, around);
  if (!attempts) return std::move(attempts).error();
  config.max_attempts = *attempts;

  if (auto error = check_headers(options.headers, config.auth == AuthScheme::none)) {
    return *std::move(error);
  }
  config.model = std::move(options.model);
  config.headers = std::move(options.headers);
  config.header_callback = std::move(options.header_callback);
  config.timeout = std::min(options.timeout, longest_time);
  config.connect_timeout = std::min(options.connect_timeout, longest_time);
  config.read_timeout = std::min(options.read_timeout, longest_time);
  config.stream_read_timeout = std::min(options.stream_read_timeout, longest_time);
  config.retry_read_timeouts = options.retry_read_timeouts;
  config.max_response_bytes = options.max_response_bytes;
  config.max_concurrent = options.max_concurrent;
  config.context = std::make_shared<const CallbackContext>(
      CallbackContext{std::move(options.executor), std::move(options.log)});
  return config;
}

std::string cache_scope(const BedrockConfig& config, std::string_view operation) {
  std::string scope(operation);
  scope.append("|").append(config.region);
  if (config.endpoint.custom) scope.append("|endpoint=").append(config.endpoint.url());
  return scope;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
