// Roles by AWS's Security Token Service.
//
// Rules: AssumeRole and AssumeRoleWithWebIdentity in the STS API reference.
#pragma once

#include <string>

#include "aws/credentials_source.hpp"
#include "aws/profile_files.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct RoleRequest {
  std::string role_arn;
  std::string session_name = {};  // "": one of ours
  std::string external_id = {};
  std::string duration_seconds = {};  // "": STS's own, an hour
};

// STS's endpoint follows the same rules as Bedrock's, with AWS_ENDPOINT_URL_STS and the service
// "sts"; over plain http it has to be this machine, since its answer holds keys.
struct StsPlace {
  const SourceContext& context;
  const ProfileFiles& files;
  const std::string& profile;
};

// Signed with `source`. The answers never say to go on looking: roles are asked for by name.
SourceAnswer assume_role(const RoleRequest& request, const AwsCredentials& source,
                         const StsPlace& place);

// With the token in a file, which is read anew each time.
SourceAnswer assume_role_with_web_identity(const RoleRequest& request,
                                           const std::string& token_file, const StsPlace& place);

}  // namespace detail
}  // namespace valkeycache::inline v0
