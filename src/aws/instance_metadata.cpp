#include "aws/instance_metadata.hpp"

#include <algorithm>
#include <chrono>
#include <random>
#include <string_view>
#include <utility>

#include "aws/credentials_answer.hpp"
#include "aws/endpoint.hpp"
#include "aws/http_fetch.hpp"
#include "aws/profile_files.hpp"
#include "base/ascii.hpp"
#include "base/number.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::string_view role_path = "/latest/meta-data/iam/security-credentials/";
constexpr std::size_t max_token_size = 4096;

int number_of(const Environment& environment, std::string_view name, int otherwise, int largest) {
  const auto text = variable(environment, name);
  const auto number = text ? parse_number<int>(*text) : std::nullopt;
  return number && *number >= 1 ? std::min(*number, largest) : otherwise;
}

// A conversation with the service: a session token, then what is asked.
class MetadataSession {
 public:
  MetadataSession(const SourceContext& context, std::string place, int attempts)
      : context_(context), place_(std::move(place)) {
    patience_.attempts = attempts;
    timeout_ =
        std::chrono::seconds(number_of(context.environment, "AWS_METADATA_SERVICE_TIMEOUT", 1, 60));
  }

  // "" where all is well, else why not.
  std::string open() {
    auto asked = request("/latest/api/token");
    asked.method = "PUT";
    asked.header_lines = {"x-aws-ec2-metadata-token-ttl-seconds: 21600", "Content-Type:"};
    auto answer = fetch_patiently(asked, patience_, context_.stop);
    if (answer.status != 200) {
      return "a session token from " + place_ + ": " + describe(answer);
    }
    const bool good = !answer.body.empty() && answer.body.size() <= max_token_size &&
                      std::all_of(answer.body.begin(), answer.body.end(),
                                  [](char c) { return c > 0x20 && c < 0x7f; });
    if (!good) return place_ + " gave a session token that cannot be one";
    token_ = std::move(answer.body);
    return {};
  }

  // A token that has ended (401) is replaced once.
  FetchAnswer get(std::string_view path) {
    for (bool renewed = false;; renewed = true) {
      auto asked = request(path);
      asked.header_lines = {"x-aws-ec2-metadata-token: " + token_};
      auto answer = fetch_patiently(asked, patience_, context_.stop);
      if (answer.status != 401 || renewed || !open().empty()) return answer;
    }
  }

  [[nodiscard]] const std::string& place() const noexcept { return place_; }

 private:
  [[nodiscard]] FetchRequest request(std::string_view path) const {
    return {.url = place_ + std::string(path),
            .timeout = timeout_,
            .max_bytes = max_credentials_answer,
            .bypass_proxy = true};
  }

  const SourceContext& context_;
  std::string place_;
  FetchPatience patience_;
  std::chrono::milliseconds timeout_{0};
  std::string token_;
};

bool is_disabled(const SourceContext& context) {
  return is_true(context.environment, "AWS_EC2_METADATA_DISABLED");
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find_first_of("\r\n"));
}

// IAM's rules for names of roles.
bool is_role_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return is_alphanumeric(c) || std::string_view("_+=,.@-").find(c) != std::string_view::npos;
  });
}

struct Asked {
  SourceAnswer answer;
  // The service was out of order, rather than without a role to give.
  bool may_pass = false;
};

Asked ask(const SourceContext& context) {
  auto place = instance_metadata_address(context);
  if (!place) return {refusal(place.error().message)};
  MetadataSession session(context, *std::move(place),
                          number_of(context.environment, "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
                                    FetchPatience().attempts, 10));
  if (auto why = session.open(); !why.empty()) return {nothing(std::move(why)), true};
  const auto roles = session.get(role_path);
  if (roles.status == 404) return {nothing("the instance has no role")};
  const auto role = first_line(roles.body);
  if (roles.status != 200) {
    return {nothing("the role's name from " + session.place() + ": " + describe(roles)), true};
  }
  if (!is_role_name(role)) return {nothing("the instance's metadata name no role"), true};
  const auto answer = session.get(std::string(role_path).append(role));
  if (answer.status != 200) {
    return {nothing("the role's credentials from " + session.place() + ": " + describe(answer)),
            true};
  }
  auto credentials = credentials_of_json(answer.body, CredentialsForm::instance);
  if (!credentials) {
    return {nothing("the instance's metadata: " + credentials.error().message), true};
  }
  return {{.credentials = *std::move(credentials)}};
}

void extend(AwsCredentials& credentials) {
  using std::chrono::seconds;
  static thread_local std::minstd_rand random{std::random_device()()};
  const seconds further(std::uniform_int_distribution<int>(5 * 60, 10 * 60)(random));
  const auto until = std::chrono::system_clock::now() + further;
  if (!credentials.expires || *credentials.expires < until) credentials.expires = until;
}

}  // namespace

Result<std::string> instance_metadata_address(const SourceContext& context) {
  const auto loaded = ProfileFiles::load(context.environment);
  const auto profile = choose_profile(context.profile, context.environment);
  const auto setting = [&](std::string_view variable_name, std::string_view setting_name) {
    auto value = variable(context.environment, variable_name);
    if (!value && loaded) value = loaded->setting(profile.name, setting_name);
    return value.value_or("");
  };
  const auto url = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
  if (!url.empty()) {
    const auto endpoint = parse_endpoint(url);
    if (endpoint) return endpoint->url();
    return Error{.code = ErrorCode::credentials,
                 .message =
                     "AWS_EC2_METADATA_SERVICE_ENDPOINT, or the profile's "
                     "ec2_metadata_service_endpoint, cannot be used: " +
                     endpoint.error().message};
  }
  const auto mode = to_lower(
      setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode"));
  if (mode.empty() || mode == "ipv4") return std::string("http://169.254.169.254");
  if (mode == "ipv6") return std::string("http://[fd00:ec2::254]");
  return Error{.code = ErrorCode::credentials,
               .message =
                   "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE, or the profile's setting, is neither "
                   "IPv4 nor IPv6"};
}

SourceAnswer instance_credentials(const SourceContext& context) {
  if (is_disabled(context)) return nothing("AWS_EC2_METADATA_DISABLED is true");
  auto asked = ask(context);
  if (!context.instance_memory) return std::move(asked.answer);
  const std::lock_guard lock(context.instance_memory->mutex);
  auto& last = context.instance_memory->last;
  auto& found = asked.answer.credentials;
  if (found) {
    last = *found;
    if (found->expires && *found->expires <= std::chrono::system_clock::now()) extend(*found);
  } else if (asked.may_pass && last) {
    found = *last;
    extend(*found);
  }
  return std::move(asked.answer);
}

CredentialsSource instance_source(SourceContext context) {
  return {"instance metadata", [context = std::move(context)] {
            return instance_credentials(context);
          }};
}

std::string instance_region(const SourceContext& context) {
  if (is_disabled(context)) return {};
  auto place = instance_metadata_address(context);
  if (!place) return {};
  MetadataSession session(context, *std::move(place), 1);
  if (!session.open().empty()) return {};
  const auto answer = session.get("/latest/meta-data/placement/region");
  const auto region = first_line(answer.body);
  return answer.status == 200 && is_host_label(region) ? std::string(region) : std::string();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
