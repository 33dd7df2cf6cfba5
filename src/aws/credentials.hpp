// The chain that asks the sources of AWS credentials one after the other, and its first source, the
// environment.
#pragma once

#include <valkeycache/bedrock_client.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/credentials_source.hpp"
#include "aws/environment.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. A key id without a secret counts as
// absent.
CredentialsSource environment_source(Environment environment);

// Asks its sources in order and takes the first that has credentials. Where none has, the error
// lists every source with its reason.
class CredentialsChain final : public AwsCredentialsProvider {
 public:
  explicit CredentialsChain(std::vector<CredentialsSource> sources)
      : sources_(std::move(sources)) {}
  Result<AwsCredentials> credentials() override;

 private:
  std::vector<CredentialsSource> sources_;
};

// Environment, profile, web identity by environment, container, instance metadata; with a profile
// named in the options, that profile alone. A profile that AWS_PROFILE names has to be there, even
// where the environment has keys. The context's instance_memory is the chain's own.
std::shared_ptr<AwsCredentialsProvider> default_credentials_chain(std::string_view profile_option,
                                                                  SourceContext context);

// Nothing where the credentials can be used: an id and a secret, and only characters that may stand
// in a header. The error (ErrorCode::credentials) names the member at fault.
std::optional<Error> check_credentials(const AwsCredentials& credentials);

}  // namespace detail
}  // namespace valkeycache::inline v0
