// The endpoints that tell containers of their role: ECS, EKS Pod Identity, Greengrass.
//
// Rules: "Container credential provider" in the AWS SDKs and tools reference guide.
#pragma once

#include <string>

#include "aws/credentials_source.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What is asked, once one of the two variables below is set.
struct ContainerPlace {
  std::string url;
  bool bypass_proxy = true;
};

// By AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, else AWS_CONTAINER_CREDENTIALS_FULL_URI. The latter
// has to be https, this machine, or one of the addresses that ECS and EKS use: the token is sent
// there.
Result<ContainerPlace> container_place(const SourceContext& context);

// With AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE (read each time), else
// AWS_CONTAINER_AUTHORIZATION_TOKEN. Where there is such a place, nothing else is looked for
// afterwards: the role of the machine below is not the container's.
SourceAnswer container_credentials(const SourceContext& context);
CredentialsSource container_source(SourceContext context);

}  // namespace detail
}  // namespace valkeycache::inline v0
