#include "aws/endpoint.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/ascii.hpp"
#include "base/errors.hpp"
#include "base/number.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// AWS's partitions by the beginning of their regions' names; the first row is for all others.
struct Partition {
  std::string_view region_prefix;
  std::string_view suffix;
  std::string_view dual_stack_suffix;
};
constexpr std::array<Partition, 7> partitions{{
    {"", "amazonaws.com", "api.aws"},
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
}};

const Partition& partition_of(std::string_view region) noexcept {
  for (const auto& partition : partitions) {
    if (!partition.region_prefix.empty() && region.starts_with(partition.region_prefix)) {
      return partition;
    }
  }
  return partitions.front();
}

bool is_host_name(std::string_view host) noexcept {
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '.' || c == '_';
  });
}

bool is_ipv6_text(std::string_view host) noexcept {
  return !host.empty() && host.find(':') != std::string_view::npos &&
         std::all_of(host.begin(), host.end(),
                     [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; });
}

// "127.x.y.z" with four numbers: inet_aton's shorter forms do not count.
bool is_loopback_v4(std::string_view host) noexcept {
  if (!host.starts_with("127.")) return false;
  int numbers = 0;
  for (std::size_t from = 0; from <= host.size(); ++numbers) {
    const auto to = std::min(host.find('.', from), host.size());
    if (!parse_number<std::uint8_t>(host.substr(from, to - from))) return false;
    from = to + 1;
  }
  return numbers == 4;
}

// Where the configuration (not the caller) names an endpoint.
std::optional<std::string> configured_endpoint(const Environment& environment,
                                               const ProfileFiles& files, std::string_view profile,
                                               const ServiceNames& service) {
  if (is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") ||
      is_true(files.setting(profile, "ignore_configured_endpoint_urls"))) {
    return std::nullopt;
  }
  if (auto url = variable(environment, service.variable)) return url;
  if (auto url = variable(environment, "AWS_ENDPOINT_URL")) return url;
  if (const auto name = files.setting(profile, "services")) {
    if (const auto* services = files.services(*name)) {
      const auto found = services->find(std::string(service.section) + ".endpoint_url");
      if (found != services->end() && !found->second.empty()) return found->second;
    }
  }
  return files.setting(profile, "endpoint_url");
}

}  // namespace

bool is_host_label(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-'; });
}

bool Endpoint::is_loopback() const noexcept {
  return host == "localhost" || host == "::1" || is_loopback_v4(host);
}

Result<Endpoint> parse_endpoint(std::string_view url) {
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      return error_invalid("endpoint: holds a blank, a control or a non-ASCII character");
    }
  }
  if (url.find_first_of("\\^`{|}<>\"") != std::string_view::npos) {
    return error_invalid("endpoint: holds a character that a URL may not hold");
  }
  Endpoint endpoint;
  endpoint.custom = true;
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) {
    return error_invalid("endpoint: is not a URL that begins with https:// or http://");
  }
  for (const char c : url.substr(0, scheme_end)) endpoint.scheme += to_lower(c);
  if (endpoint.scheme != "http" && endpoint.scheme != "https") {
    return error_invalid("endpoint: its scheme is neither https nor http");
  }
  auto rest = url.substr(scheme_end + 3);
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return error_invalid("endpoint: may have no query and no fragment");
  }
  const auto path_at = std::min(rest.find('/'), rest.size());
  auto authority = rest.substr(0, path_at);
  auto path = rest.substr(path_at);
  if (authority.find('@') != std::string_view::npos) {
    return error_invalid("endpoint: may hold no user name or password");
  }

  const bool bracketed = authority.starts_with('[');
  std::string_view host;
  if (bracketed) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos)
      return error_invalid("endpoint: its host has no closing ]");
    host = authority.substr(1, close - 1);
    authority.remove_prefix(close + 1);
  } else {
    const auto colon = std::min(authority.find(':'), authority.size());
    host = authority.substr(0, colon);
    authority.remove_prefix(colon);
  }
  if (bracketed ? !is_ipv6_text(host) : !is_host_name(host)) {
    return error_invalid("endpoint: its host name is not valid");
  }
  for (const char c : host) endpoint.host += to_lower(c);
  endpoint.authority = bracketed ? "[" + endpoint.host + "]" : endpoint.host;
  if (!authority.empty()) {
    const auto port = authority.front() == ':' ? parse_port(authority.substr(1)) : std::nullopt;
    if (!port) return error_invalid("endpoint: its port is not a number from 1 to 65535");
    if (*port != (endpoint.is_https() ? 443 : 80)) {
      endpoint.authority += ":" + std::to_string(*port);
    }
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  endpoint.base_path = path;
  return endpoint;
}

Result<Endpoint> region_endpoint(std::string_view region, bool fips, bool dual_stack,
                                 const ServiceNames& service) {
  if (region.empty()) {
    return error_invalid(
        "region: none is set; name one in the options, in AWS_REGION or in the AWS profile");
  }
  if (!is_host_label(region)) return error_invalid("region: is not a valid host label");
  const auto& partition = partition_of(region);
  Endpoint endpoint;
  endpoint.scheme = "https";
  endpoint.host = service.host;
  // All of STS in GovCloud is FIPS, under its plain name.
  const bool plain_is_fips =
      service.host == sts_service.host && region.starts_with("us-gov-") && !dual_stack;
  endpoint.host += fips && !plain_is_fips ? "-fips." : ".";
  for (const char c : region) endpoint.host += to_lower(c);
  endpoint.host.append(".").append(dual_stack ? partition.dual_stack_suffix : partition.suffix);
  endpoint.authority = endpoint.host;
  return endpoint;
}

std::optional<std::string> custom_endpoint(const EndpointOptions& options,
                                           const Environment& environment,
                                           const ProfileFiles& files, std::string_view profile) {
  if (!options.endpoint.empty()) return std::string(options.endpoint);
  return configured_endpoint(environment, files, profile, options.service);
}

Result<Endpoint> resolve_endpoint(const EndpointOptions& options, const Environment& environment,
                                  const ProfileFiles& files, std::string_view profile) {
  const bool fips = options.fips || is_true(environment, "AWS_USE_FIPS_ENDPOINT") ||
                    (!variable(environment, "AWS_USE_FIPS_ENDPOINT") &&
                     is_true(files.setting(profile, "use_fips_endpoint")));
  const bool dual_stack = options.dual_stack ||
                          is_true(environment, "AWS_USE_DUALSTACK_ENDPOINT") ||
                          (!variable(environment, "AWS_USE_DUALSTACK_ENDPOINT") &&
                           is_true(files.setting(profile, "use_dualstack_endpoint")));
  const auto url = custom_endpoint(options, environment, files, profile);
  if (!url) return region_endpoint(options.region, fips, dual_stack, options.service);
  if (fips) return error_invalid("endpoint: a custom one and fips exclude each other");
  if (dual_stack) return error_invalid("endpoint: a custom one and dual_stack exclude each other");
  return parse_endpoint(*url);
}

std::string resolve_region(std::string_view option, const Environment& environment,
                           const ProfileFiles& files, std::string_view profile) {
  if (!option.empty()) return std::string(option);
  if (auto region = variable(environment, "AWS_REGION")) return *std::move(region);
  if (auto region = variable(environment, "AWS_DEFAULT_REGION")) return *std::move(region);
  return files.setting(profile, "region").value_or(std::string());
}

}  // namespace detail
}  // namespace valkeycache::inline v0
