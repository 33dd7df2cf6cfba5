// The endpoints that tell containers of their role: ECS, EKS Pod Identity, Greengrass.
//
// Rules: "Container credential provider" in the AWS SDKs and tools reference guide.
#pragma once

#include "aws/credentials_source.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, else AWS_CONTAINER_CREDENTIALS_FULL_URI, with
// AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE (read each time), else AWS_CONTAINER_AUTHORIZATION_TOKEN.
// The full one has to be https, this machine, or one of the addresses that ECS and EKS use. Where
// one of the two is set, nothing else is looked for afterwards: the role of the machine below is
// not the container's.
SourceAnswer container_credentials(const SourceContext& context);
CredentialsSource container_source(SourceContext context);

}  // namespace detail
}  // namespace valkeycache::inline v0
