#include "valkey/settings.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/errors.hpp"
#include "valkey/cluster_topology.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// CLIENT SETNAME takes printable ASCII without blanks.
bool is_client_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// A year is for ever, and can be added to any time without overflow.
void clamp_times(ValkeyCacheOptions& options) {
  constexpr std::chrono::milliseconds longest = std::chrono::hours(24 * 365);
  for (auto* time : {&options.connect_timeout, &options.command_timeout, &options.reconnect_base,
                     &options.reconnect_cap, &options.close_timeout, &options.near_cache.max_age,
                     &options.near_cache.heartbeat}) {
    *time = std::min(*time, longest);
  }
}

bool positive(std::chrono::milliseconds time) {
  return time.count() > 0;
}

std::optional<Error> wrong_tls(const ValkeyCacheOptions& options) {
  const auto& tls = options.tls;
  if (tls.enabled && !options.unix_socket.empty()) {
    return error_invalid("tls.enabled is set, but there is no TLS over unix_socket");
  }
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    return error_invalid("tls.certificate_file and tls.key_file go together; one of them is empty");
  }
  for (const auto* text :
       {&tls.ca_file, &tls.ca_directory, &tls.server_name, &tls.certificate_file, &tls.key_file}) {
    if (text->find('\0') != std::string::npos)
      return error_invalid("an option of tls holds a NUL byte");
  }
  return std::nullopt;
}

std::optional<Error> wrong_identity(const ValkeyCacheOptions& options) {
  const auto& provider = options.password_provider;
  if (provider.ask && !options.password.empty()) {
    return error_invalid("password and password_provider are set; which one is it?");
  }
  if (!options.username.empty() && options.password.empty() && !provider.ask) {
    return error_invalid("username is set, but password is not");
  }
  if (provider.needs_tls && !options.tls.enabled) {
    return error_invalid("password_provider gives its passwords to TLS only; write valkeys://");
  }
  return std::nullopt;
}

std::optional<Error> wrong_fleet(const ValkeyCacheOptions& options) {
  const bool many = options.deployment != Deployment::single;
  if (many && !options.unix_socket.empty()) {
    return error_invalid("deployment is not single, but unix_socket names one server");
  }
  if (!many && !options.seeds.empty()) {
    return error_invalid("seeds are set, but deployment is single; say what they belong to");
  }
  if (!many && options.read_from == ReadFrom::replica) {
    return error_invalid("read_from wants replicas, but deployment is single");
  }
  for (const auto& seed : options.seeds) {
    if (!parse_endpoint(seed, options.port) || seed.find('\0') != std::string::npos) {
      return error_invalid("seeds hold something that is no address");
    }
  }
  if (options.deployment == Deployment::sentinel && options.sentinel_name.empty()) {
    return error_invalid("sentinel_name is empty");
  }
  if (options.deployment == Deployment::cluster && options.database != 0) {
    return error_invalid("database must be 0: a cluster has no other");
  }
  if (options.connections == 0 || options.connections > 64) {
    return error_invalid("connections must be from 1 to 64");
  }
  return std::nullopt;
}

}  // namespace

Result<ValkeyCacheOptions> checked(ValkeyCacheOptions options) {
  if (options.prefix.empty()) {
    return error_invalid(
        "prefix is empty: keys of other programs would be cleared with this cache's");
  }
  if (options.prefix.back() != ':' && options.prefix.back() != '/') options.prefix += ':';
  if (!options.ttl.is_valid()) {
    return error_invalid("ttl must be at least a millisecond and fit into 64 bits of them");
  }
  if (options.unix_socket.empty() && options.host.empty()) return error_invalid("host is empty");
  if (options.unix_socket.empty() && options.port == 0) return error_invalid("port is 0");
  if (options.unix_socket.size() > 107)
    return error_invalid("unix_socket is longer than 107 bytes");
  if (options.host.find('\0') != std::string::npos ||
      options.unix_socket.find('\0') != std::string::npos) {
    return error_invalid("host or unix_socket holds a NUL byte");
  }
  if (auto error = wrong_identity(options)) return *std::move(error);
  if (auto error = wrong_tls(options)) return *std::move(error);
  if (auto error = wrong_fleet(options)) return *std::move(error);
  if (options.database < 0) return error_invalid("database is negative");
  if (!is_client_name(options.client_name)) {
    return error_invalid("client_name holds a blank or something that is not printable ASCII");
  }
  if (!positive(options.connect_timeout)) return error_invalid("connect_timeout must be positive");
  if (!positive(options.command_timeout)) return error_invalid("command_timeout must be positive");
  if (options.reconnect_base.count() < 0) return error_invalid("reconnect_base is negative");
  if (options.reconnect_cap < options.reconnect_base) {
    return error_invalid("reconnect_cap is less than reconnect_base");
  }
  if (options.close_timeout.count() < 0) return error_invalid("close_timeout is negative");
  if (options.stay_awake.count() < 0) return error_invalid("stay_awake is negative");
  if (options.stay_awake > std::chrono::milliseconds(1)) {
    return error_invalid("stay_awake is more than 1 ms: whoever waits longer should sleep");
  }
  if (!positive(options.near_cache.max_age))
    return error_invalid("near_cache.max_age must be positive");
  if (!positive(options.near_cache.heartbeat)) {
    return error_invalid("near_cache.heartbeat must be positive");
  }
  clamp_times(options);
  // Beyond all memory, and a little can be added to it.
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 4;
  options.max_value_bytes = std::min(options.max_value_bytes, most);
  options.max_reply_bytes = std::min(options.max_reply_bytes, most);
  if (options.max_queued_commands == 0) return error_invalid("max_queued_commands is 0");
  if (options.max_queued_bytes == 0) return error_invalid("max_queued_bytes is 0");
  if (options.max_value_bytes == 0) return error_invalid("max_value_bytes is 0");
  if (options.max_reply_bytes < options.max_value_bytes) {
    return error_invalid("max_reply_bytes is less than max_value_bytes");
  }
  return options;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
