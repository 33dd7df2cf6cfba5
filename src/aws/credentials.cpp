#include "aws/credentials.hpp"

#include <algorithm>
#include <utility>

#include "aws/container_credentials.hpp"
#include "aws/instance_metadata.hpp"
#include "aws/profile_credentials.hpp"
#include "aws/profile_files.hpp"
#include "aws/web_identity.hpp"

namespace valkeycache::inline v0 {

AwsCredentialsProvider::~AwsCredentialsProvider() = default;

namespace detail {
namespace {

Error credentials_error(std::string message) {
  return {.code = ErrorCode::credentials, .message = std::move(message)};
}

bool is_visible_ascii(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// Never has credentials; ends the search where AWS_PROFILE names a profile that is not there. A
// program that was told to use a profile shall not run with whatever else lies about.
CredentialsSource profile_check(Environment environment) {
  return {"AWS_PROFILE", [environment = std::move(environment)]() -> SourceAnswer {
            const auto files = ProfileFiles::load(environment);
            if (!files) return {.why = files.error().message, .ends_search = true};
            if (auto error = check_profile(*files, choose_profile({}, environment))) {
              return {.why = std::move(error->message), .ends_search = true};
            }
            return {.why = "names a profile that is there"};
          }};
}

}  // namespace

CredentialsSource environment_source(Environment environment) {
  return {"environment", [environment = std::move(environment)]() -> SourceAnswer {
            const auto id = variable(environment, "AWS_ACCESS_KEY_ID");
            const auto secret = variable(environment, "AWS_SECRET_ACCESS_KEY");
            if (!id) return {.why = "AWS_ACCESS_KEY_ID is not set"};
            if (!secret) {
              return {.why = "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"};
            }
            return {.credentials = AwsCredentials{
                        .access_key_id = *id,
                        .secret_access_key = *secret,
                        .session_token = variable(environment, "AWS_SESSION_TOKEN").value_or("")}};
          }};
}

Result<AwsCredentials> CredentialsChain::credentials() {
  std::string tried;
  for (const auto& source : sources_) {
    auto answer = source.look();
    if (answer.credentials) return *std::move(answer.credentials);
    tried.append(tried.empty() ? "" : "; ").append(source.name).append(": ").append(answer.why);
    if (answer.ends_search) break;
  }
  return credentials_error("no AWS credentials were found (" + tried + ")");
}

std::shared_ptr<AwsCredentialsProvider> default_credentials_chain(std::string_view profile_option,
                                                                  SourceContext context) {
  context.instance_memory = std::make_shared<InstanceMemory>();
  context.profile = profile_option;
  const auto& environment = context.environment;
  std::vector<CredentialsSource> sources;
  if (!profile_option.empty()) {
    sources.push_back(profile_source(std::move(context)));
    return std::make_shared<CredentialsChain>(std::move(sources));
  }
  if (variable(environment, "AWS_PROFILE")) sources.push_back(profile_check(environment));
  sources.push_back(environment_source(environment));
  sources.push_back(profile_source(context));
  sources.push_back(web_identity_source(context));
  sources.push_back(container_source(context));
  sources.push_back(instance_source(std::move(context)));
  return std::make_shared<CredentialsChain>(std::move(sources));
}

std::optional<Error> check_credentials(const AwsCredentials& credentials) {
  if (credentials.access_key_id.empty()) {
    return credentials_error("the AWS credentials have no access_key_id");
  }
  if (credentials.secret_access_key.empty()) {
    return credentials_error("the AWS credentials have no secret_access_key");
  }
  // '/', ',' and '=' give the Authorization header its structure.
  if (!is_visible_ascii(credentials.access_key_id) ||
      credentials.access_key_id.find_first_of("/,=") != std::string::npos) {
    return credentials_error("the AWS access_key_id holds a character that no key id has");
  }
  if (!is_visible_ascii(credentials.session_token)) {
    return credentials_error("the AWS session_token holds a character that no token has");
  }
  return std::nullopt;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
