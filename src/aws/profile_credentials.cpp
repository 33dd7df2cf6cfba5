#include "aws/profile_credentials.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/container_credentials.hpp"
#include "aws/credential_process.hpp"
#include "aws/credentials.hpp"
#include "aws/instance_metadata.hpp"
#include "aws/profile_files.hpp"
#include "aws/sts.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::size_t longest_chain = 8;

// What a person has to be there for.
constexpr std::array<std::string_view, 5> personal_settings{
    "sso_session", "sso_start_url", "sso_account_id", "sso_role_name", "login_session"};

std::string delegation(const std::string& profile) {
  return "let AWS's command line tool do it: in a profile of its own, credential_process = aws "
         "configure export-credentials --profile " +
         profile + " --format process";
}

class Resolver {
 public:
  Resolver(const SourceContext& context, const ProfileFiles& files, const std::string& chosen)
      : context_(context), files_(files), chosen_(chosen) {}

  SourceAnswer resolve(const std::string& profile) {
    const auto named = "profile '" + profile + "'";
    if (!files_.profile(profile)) return nothing("there is no " + named);
    const bool is_source = !visited_.empty();
    const bool visited = std::find(visited_.begin(), visited_.end(), profile) != visited_.end();
    // A role's source_profile may be the role's own profile: its keys are meant.
    if (is_source && has_keys(profile)) return keys(profile);
    if (visited) return refusal(named + " is reached again by its own source_profile");
    if (visited_.size() == longest_chain) {
      return refusal("the chain of source_profile is longer than " + std::to_string(longest_chain));
    }
    visited_.push_back(profile);
    auto answer = of_settings(profile);
    if (!answer.credentials) answer.why.insert(0, named + " ");
    return answer;
  }

 private:
  [[nodiscard]] std::optional<std::string> setting(const std::string& profile,
                                                   std::string_view name) const {
    return files_.setting(profile, name);
  }
  [[nodiscard]] bool has_keys(const std::string& profile) const {
    return setting(profile, "aws_access_key_id") && setting(profile, "aws_secret_access_key");
  }
  [[nodiscard]] SourceAnswer keys(const std::string& profile) const {
    return {.credentials = AwsCredentials{
                .access_key_id = *setting(profile, "aws_access_key_id"),
                .secret_access_key = *setting(profile, "aws_secret_access_key"),
                .session_token = setting(profile, "aws_session_token").value_or("")}};
  }

  // In `why` the profile's name is left to be put in front.
  SourceAnswer of_settings(const std::string& profile) {
    const bool has_source =
        setting(profile, "source_profile") || setting(profile, "credential_source");
    const auto token_file = setting(profile, "web_identity_token_file");
    if (setting(profile, "role_arn") && (has_source || !token_file)) return role(profile);
    if (has_keys(profile)) return keys(profile);
    if (setting(profile, "aws_access_key_id")) {
      return nothing("has an aws_access_key_id without an aws_secret_access_key");
    }
    if (token_file) return web_identity(profile, *token_file);
    if (const auto command = setting(profile, "credential_process")) {
      auto answer = process_credentials(*command, context_);
      if (!answer.credentials) answer.why.insert(0, "has credentials by a command: ");
      return answer;
    }
    for (const auto name : personal_settings) {
      if (setting(profile, name)) {
        return refusal("needs a person to sign in (" + std::string(name) + "); " +
                       delegation(profile));
      }
    }
    return nothing("has no aws_access_key_id, role_arn or credential_process");
  }

  [[nodiscard]] RoleRequest role_request(const std::string& profile) const {
    return {.role_arn = setting(profile, "role_arn").value_or(""),
            .session_name = setting(profile, "role_session_name").value_or(""),
            .external_id = setting(profile, "external_id").value_or(""),
            .duration_seconds = setting(profile, "duration_seconds").value_or("")};
  }

  SourceAnswer web_identity(const std::string& profile, const std::string& token_file) {
    if (!setting(profile, "role_arn")) {
      return refusal("has a web_identity_token_file without a role_arn");
    }
    auto request = role_request(profile);
    request.external_id.clear();  // AssumeRoleWithWebIdentity knows none
    auto answer = assume_role_with_web_identity(request, token_file, {context_, files_, chosen_});
    if (!answer.credentials) answer.why.insert(0, "has a web identity: ");
    return answer;
  }

  SourceAnswer role(const std::string& profile) {
    const auto source_profile = setting(profile, "source_profile");
    const auto credential_source = setting(profile, "credential_source");
    if (setting(profile, "mfa_serial")) {
      return refusal("has a role that needs a person's code (mfa_serial); " + delegation(profile));
    }
    if (source_profile && credential_source) {
      return refusal("has both a source_profile and a credential_source");
    }
    if (!source_profile && !credential_source) {
      return refusal("has a role_arn without a source_profile or a credential_source");
    }
    auto source = source_profile ? resolve(*source_profile) : by_name(*credential_source);
    if (!source.credentials) {
      return refusal("has a role, but nobody to ask for it: " + source.why);
    }
    auto answer =
        assume_role(role_request(profile), *source.credentials, {context_, files_, chosen_});
    if (!answer.credentials) answer.why.insert(0, "has a role: ");
    return answer;
  }

  SourceAnswer by_name(const std::string& credential_source) {
    if (credential_source == "Environment") return environment_source(context_.environment).look();
    if (credential_source == "EcsContainer") return container_credentials(context_);
    if (credential_source == "Ec2InstanceMetadata") return instance_credentials(context_);
    return refusal(
        "its credential_source is none of Environment, EcsContainer, Ec2InstanceMetadata");
  }

  const SourceContext& context_;
  const ProfileFiles& files_;
  const std::string& chosen_;
  std::vector<std::string> visited_;
};

}  // namespace

CredentialsSource profile_source(SourceContext context) {
  return {"profile", [context = std::move(context)]() -> SourceAnswer {
            const auto profile = choose_profile(context.profile, context.environment);
            const auto files = ProfileFiles::load(context.environment);
            if (!files) return {.why = files.error().message, .ends_search = profile.asked_for};
            if (auto error = check_profile(*files, profile)) {
              return refusal(std::move(error->message));
            }
            return Resolver(context, *files, profile.name).resolve(profile.name);
          }};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
