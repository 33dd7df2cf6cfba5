// How a profile comes by credentials: keys, a role, a web identity or a command.
//
// Rules: "Settings reference" in the AWS SDKs and tools reference guide; the order within a profile
// is the official JavaScript SDK's.
#pragma once

#include "aws/credentials_source.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// The context's profile, or else AWS_PROFILE or "default". Within it, the first of these counts:
//  - role_arn with source_profile (another one, or the same one's keys) or credential_source
//    (Environment, EcsContainer, Ec2InstanceMetadata), role_session_name, external_id,
//    duration_seconds;
//  - aws_access_key_id, aws_secret_access_key, aws_session_token;
//  - web_identity_token_file with role_arn;
//  - credential_process.
// Where one of them fails, nothing else is looked for: somebody configured it. mfa_serial, sso_*
// and login_session need a person; the refusal tells of credential_process, by which AWS's command
// line tool brings them in. The files are read anew each time. A profile that was named and is not
// there ends the search.
CredentialsSource profile_source(SourceContext context);

}  // namespace detail
}  // namespace valkeycache::inline v0
