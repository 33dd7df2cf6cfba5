// What the sources of credentials have in common.
#pragma once

#include <valkeycache/bedrock_client.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

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

inline SourceAnswer nothing(std::string why) {
  return {.why = std::move(why)};
}
inline SourceAnswer refusal(std::string why) {
  return {.why = std::move(why), .ends_search = true};
}

struct CredentialsSource {
  std::string name;
  // May block. One thread at a time.
  std::function<SourceAnswer()> look;
};

struct InstanceMemory;

// What sources need to know. Cheap to copy.
struct SourceContext {
  Environment environment = {};
  std::string profile = {};  // of the client's options; "": none
  // For STS: the client's region, kinds of endpoints and certificates.
  std::string region = {};
  bool fips = false;
  bool dual_stack = false;
  std::string ca_file = {};
  // Ends all waiting.
  std::stop_token stop = {};
  // Where containers are told of their role; tests cannot listen there.
  std::string container_host = "http://169.254.170.2";
  // What the instance's metadata said last; see instance_metadata.hpp.
  std::shared_ptr<InstanceMemory> instance_memory = {};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
