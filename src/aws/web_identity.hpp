// Web identity by environment, as pods of EKS have it: a token file and a role.
#pragma once

#include "aws/credentials_source.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME. Where the first is set, nothing
// else is looked for afterwards.
CredentialsSource web_identity_source(SourceContext context);

}  // namespace detail
}  // namespace valkeycache::inline v0
