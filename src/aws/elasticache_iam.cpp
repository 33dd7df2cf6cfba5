#include "aws/elasticache_iam.hpp"

#include <array>
#include <mutex>
#include <utility>

#include "aws/credentials.hpp"
#include "aws/endpoint.hpp"
#include "aws/instance_metadata.hpp"
#include "aws/libcurl.hpp"
#include "aws/percent.hpp"
#include "aws/profile_files.hpp"
#include "aws/sigv4.hpp"
#include "base/ascii.hpp"
#include "base/errors.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::chrono::seconds token_life{900};
constexpr std::chrono::hours connection_life{12};
constexpr std::chrono::minutes early_renewal{5};

// One for all connections of a cache.
class TokenMaker {
 public:
  TokenMaker(ElastiCacheLogin login, std::shared_ptr<AwsCredentialsProvider> provider,
             std::optional<AwsCredentials> fixed, SystemClock clock, LogHook log)
      : login_(std::move(login)),
        provider_(std::move(provider)),
        credentials_(std::move(fixed)),
        clock_(std::move(clock)),
        log_(std::move(log)) {}

  Result<Password> make() {
    auto credentials = find();
    if (!credentials) {
      if (log_) {
        log_({.level = LogLevel::warning,
              .component = "elasticache",
              .message = credentials.error().message});
      }
      return std::move(credentials).error();
    }
    return Password{.text = elasticache_token(login_, *credentials, clock_()),
                    .life = connection_life};
  }

 private:
  Result<AwsCredentials> find() {
    // Held while the sources are asked: who comes meanwhile takes what they give.
    const std::lock_guard lock(mutex_);
    const auto now = clock_();
    const auto* const ends =
        credentials_ && credentials_->expires ? &*credentials_->expires : nullptr;
    if (!provider_) {
      if (!ends || *ends > now) return *credentials_;
      return Error{.code = ErrorCode::credentials,
                   .message = "the AWS credentials given have expired"};
    }
    if (ends && *ends - now > early_renewal) return *credentials_;
    auto found = provider_->credentials();
    if (found) {
      if (auto error = check_credentials(*found)) {
        found = *std::move(error);
      } else if (found->expires && *found->expires <= now) {
        found = Error{.code = ErrorCode::credentials,
                      .message = "the credentials provider gave credentials that have expired"};
      }
    }
    if (found) {
      credentials_ = *found;
    } else if (ends && *ends > now) {
      return *credentials_;
    }
    return found;
  }

  const ElastiCacheLogin login_;
  const std::shared_ptr<AwsCredentialsProvider> provider_;
  std::mutex mutex_;
  std::optional<AwsCredentials> credentials_;
  const SystemClock clock_;
  const LogHook log_;
};

}  // namespace

std::string elasticache_token(const ElastiCacheLogin& login, const AwsCredentials& credentials,
                              std::chrono::system_clock::time_point now) {
  std::string query = "Action=connect&User=";
  append_percent_encoded(query, login.user);
  if (login.serverless) query += "&ResourceType=ServerlessCache";
  const std::array<HeaderView, 1> headers{{{"host", login.cache_name}}};
  SigV4Signer signer(login.region, "elasticache");
  return login.cache_name + "/?" +
         signer.presign(
             {.method = "GET", .path = "/", .query = query, .headers = headers, .body = {}},
             credentials, now, token_life);
}

Result<PasswordProvider> make_elasticache_iam(ElastiCacheIamOptions options,
                                              const Environment& environment, SystemClock clock) {
  if (!is_host_label(options.cache_name)) {
    return error_invalid(
        "cache_name: is not the id of a replication group nor the name of a serverless cache; it "
        "has letters, digits and hyphens");
  }
  if (!is_host_label(options.user)) {
    return error_invalid("user: is no ElastiCache user id; it has letters, digits and hyphens");
  }
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
  if (!initialize_libcurl()) {
    return Error{.code = ErrorCode::unsupported, .message = "libcurl could not be initialised"};
  }
  ElastiCacheLogin login{.cache_name = std::move(options.cache_name),
                         .user = std::move(options.user),
                         .region = {},
                         .serverless = options.serverless};
  // ElastiCache keeps the name in lower case, and so it has to be signed.
  for (char& c : login.cache_name) c = to_lower(c);
  login.region = resolve_region(options.region, environment, *files, profile.name);
  if (login.region.empty()) {
    login.region = instance_region({.environment = environment, .profile = options.profile});
  }
  // The same rules as for other services: a region that is none is an error here.
  if (auto check = region_endpoint(login.region, false, false); !check) {
    return std::move(check).error();
  }
  if (options.credentials) {
    if (auto error = check_credentials(*options.credentials)) {
      error->code = ErrorCode::invalid_argument;
      return *std::move(error);
    }
  }
  auto provider = std::move(options.credentials_provider);
  if (provider) {
    options.credentials.reset();
  } else if (!options.credentials) {
    auto ca_file = variable(environment, "AWS_CA_BUNDLE");
    if (!ca_file) ca_file = files->setting(profile.name, "ca_bundle");
    provider = default_credentials_chain(
        options.profile,
        {.environment = environment, .region = login.region, .ca_file = ca_file.value_or("")});
  }
  auto maker = std::make_shared<TokenMaker>(std::move(login), std::move(provider),
                                            std::move(options.credentials), std::move(clock),
                                            std::move(options.log));
  return PasswordProvider{.ask = [maker = std::move(maker)] { return maker->make(); },
                          .needs_tls = true};
}

}  // namespace detail

Result<PasswordProvider> elasticache_iam(ElastiCacheIamOptions options) {
  return detail::make_elasticache_iam(std::move(options), detail::process_environment());
}

}  // namespace valkeycache::inline v0
