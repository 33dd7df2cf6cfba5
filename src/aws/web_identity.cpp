#include "aws/web_identity.hpp"

#include "aws/profile_files.hpp"
#include "aws/sts.hpp"

namespace valkeycache::inline v0 {
namespace detail {

CredentialsSource web_identity_source(SourceContext context) {
  return {
      "web identity", [context = std::move(context)]() -> SourceAnswer {
        const auto token_file = variable(context.environment, "AWS_WEB_IDENTITY_TOKEN_FILE");
        if (!token_file) return nothing("AWS_WEB_IDENTITY_TOKEN_FILE is not set");
        const auto role = variable(context.environment, "AWS_ROLE_ARN");
        if (!role) {
          return refusal("AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
        }
        const RoleRequest request{
            .role_arn = *role,
            .session_name = variable(context.environment, "AWS_ROLE_SESSION_NAME").value_or("")};
        // They may name another endpoint of STS; files that cannot be read name none.
        const auto loaded = ProfileFiles::load(context.environment);
        const ProfileFiles no_files;
        const auto profile = choose_profile(context.profile, context.environment);
        return assume_role_with_web_identity(request, *token_file,
                                             {context, loaded ? *loaded : no_files, profile.name});
      }};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
