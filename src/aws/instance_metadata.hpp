// EC2's instance metadata service, version 2: the instance's role and region.
//
// Rules: "Retrieve instance metadata" in the EC2 user guide and "IMDS client" in the AWS SDKs and
// tools reference guide. Version 1, without a session token, is not spoken.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "aws/credentials_source.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// The credentials that the service gave last, for as long as there is nobody newer to ask.
struct InstanceMemory {
  std::mutex mutex;
  std::optional<AwsCredentials> last = {};
};

// Where the service is, without a slash at its end: AWS_EC2_METADATA_SERVICE_ENDPOINT, else the
// profile's ec2_metadata_service_endpoint, else the fixed address that
// AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE (or the profile's setting), "IPv4" or "IPv6", chooses.
Result<std::string> instance_metadata_address(const SourceContext& context);

// AWS_EC2_METADATA_DISABLED=true switches it off. AWS_METADATA_SERVICE_TIMEOUT (seconds for an
// attempt, 1) and AWS_METADATA_SERVICE_NUM_ATTEMPTS (4) are read too. No proxy is used.
//
// A service that does not answer, or answers with what has ended, does not stop a program that it
// has served before: the last credentials go on for another five to ten minutes, again and again,
// which is what the SDKs do; Bedrock may well take them for longer than was promised.
SourceAnswer instance_credentials(const SourceContext& context);
CredentialsSource instance_source(SourceContext context);

// The region that the instance is in; "" where it is not known. One attempt, since most machines
// that ask are no instances.
std::string instance_region(const SourceContext& context);

}  // namespace detail
}  // namespace valkeycache::inline v0
