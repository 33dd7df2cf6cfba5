// Where AWS's services are: regions, endpoints and the rules between them. No network.
#pragma once

#include <valkeycache/result.hpp>

#include <optional>
#include <string>
#include <string_view>

#include "aws/environment.hpp"
#include "aws/profile_files.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct Endpoint {
  std::string scheme;     // "http" or "https"
  std::string authority;  // host, and the port unless it is the scheme's own: the Host header
  std::string host;       // lower case; an IPv6 address without its brackets
  std::string base_path;  // "" or "/prefix", without a slash at its end; as it goes on the wire
  bool custom = false;    // given by somebody, not derived from the region

  [[nodiscard]] std::string url() const { return scheme + "://" + authority + base_path; }
  [[nodiscard]] bool is_https() const noexcept { return scheme == "https"; }
  // 127.0.0.0/8, ::1 or localhost: what is sent there does not leave the machine.
  [[nodiscard]] bool is_loopback() const noexcept;
};

// Takes "http[s]://host[:port][/path]". User information, a query, a fragment, blanks, control and
// non-ASCII characters are errors (invalid_argument); the message never holds the text itself,
// which may carry a password.
Result<Endpoint> parse_endpoint(std::string_view url);

// Letters, digits and hyphens, at most 63, no hyphen at either end.
bool is_host_label(std::string_view text) noexcept;

// A service's names in host names, in the environment and in profile files.
struct ServiceNames {
  std::string_view host;
  std::string_view variable;
  std::string_view section;
};
inline constexpr ServiceNames bedrock_runtime_service{
    "bedrock-runtime", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "bedrock_runtime"};
inline constexpr ServiceNames sts_service{"sts", "AWS_ENDPOINT_URL_STS", "sts"};

struct EndpointOptions {
  std::string_view region;    // resolved already; may be empty where there is a custom endpoint
  std::string_view endpoint;  // of the caller's options; "": look further
  bool fips = false;
  bool dual_stack = false;
  ServiceNames service = bedrock_runtime_service;
};

// The caller's endpoint, else the service's own variable, AWS_ENDPOINT_URL, the profile's
// services section, the profile's endpoint_url (all but the first unless
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS or ignore_configured_endpoint_urls is true), else the
// region's. FIPS and dual-stack endpoints may also be asked for as AWS's SDKs do
// (AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT, and the profile's use_fips_endpoint and
// use_dualstack_endpoint); either together with a custom endpoint is an error.
Result<Endpoint> resolve_endpoint(const EndpointOptions& options, const Environment& environment,
                                  const ProfileFiles& files, std::string_view profile);

// What resolve_endpoint() would take for a custom endpoint, unchecked; nothing where it would take
// the region's own.
std::optional<std::string> custom_endpoint(const EndpointOptions& options,
                                           const Environment& environment,
                                           const ProfileFiles& files, std::string_view profile);

// The region's own endpoint by AWS's partition rules.
Result<Endpoint> region_endpoint(std::string_view region, bool fips, bool dual_stack,
                                 const ServiceNames& service = bedrock_runtime_service);

// The option, else AWS_REGION, AWS_DEFAULT_REGION, the profile's region; "" where there is none.
std::string resolve_region(std::string_view option, const Environment& environment,
                           const ProfileFiles& files, std::string_view profile);

}  // namespace detail
}  // namespace valkeycache::inline v0
