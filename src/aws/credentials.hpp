// Sources of AWS credentials that need no network: options, environment, profile files; and the
// chain that asks one after the other.
#pragma once

#include <valkeycache/bedrock_client.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/environment.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What came of asking one source.
struct SourceAnswer {
  std::optional<AwsCredentials> credentials = {};
  // Where there are none: why, in words that name variables, files and profiles, never values.
  std::string why = {};
  // The source was told to be used and cannot be: to go on looking would use credentials that
  // nobody asked for.
  bool ends_search = false;
};

struct CredentialsSource {
  std::string name;
  std::function<SourceAnswer()> look;
};

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. A key id without a secret counts as
// absent.
CredentialsSource environment_source(Environment environment);

// Plain keys of a profile, the one named or else AWS_PROFILE or "default". The files are read anew
// each time. A profile that was named and is not there ends the search.
CredentialsSource profile_source(std::string profile_option, Environment environment);

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

// Environment, then profile; with a profile named in the options, that profile alone. A profile
// that AWS_PROFILE names has to be there, even where the environment has keys.
std::shared_ptr<AwsCredentialsProvider> default_credentials_chain(std::string_view profile_option,
                                                                  const Environment& environment);

// Nothing where the credentials can be used: an id and a secret, and only characters that may stand
// in a header. The error (ErrorCode::credentials) names the member at fault.
std::optional<Error> check_credentials(const AwsCredentials& credentials);

}  // namespace detail
}  // namespace valkeycache::inline v0
