// What services and programs answer when they are asked for credentials. No network.
//
// The errors (ErrorCode::credentials) say what is wrong with an answer and never quote it.
#pragma once

#include <valkeycache/bedrock_client.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// Longer ones are not read.
inline constexpr std::size_t max_credentials_answer = std::size_t{64} << 10;

// Whose JSON it is. They differ in what has to be there.
enum class CredentialsForm : std::uint8_t {
  process,    // of a credential_process: Version 1; SessionToken and Expiration may be absent
  container,  // of a container's endpoint: Token and Expiration too
  instance,   // of EC2's metadata: moreover, Code is "Success"
};

// One JSON object. Members with other names are passed over; one of those above twice is an error.
Result<AwsCredentials> credentials_of_json(std::string_view json, CredentialsForm form);

// STS's XML answer to `action`, such as "AssumeRole".
Result<AwsCredentials> credentials_of_sts(std::string_view xml, std::string_view action);

// The name of the error in STS's error answer, such as "AccessDenied"; "" where there is none.
// STS's message, which may quote the request, is left out.
std::string sts_error_code(std::string_view xml);

}  // namespace detail
}  // namespace valkeycache::inline v0
