#include <algorithm>
#include <optional>
#include <utility>

#include "base/ascii.hpp"
#include "base/number.hpp"
#include "valkey/cluster_topology.hpp"
#include "valkey/settings.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

Error bad_uri(std::string message) {
  return {.code = ErrorCode::invalid_uri, .message = std::move(message)};
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::optional<Error> read_database(std::string_view text, ValkeyCacheOptions& options) {
  const auto number = parse_number<int>(text);
  if (!number || *number < 0) return bad_uri("the URI's database is not a number from 0 upwards");
  options.database = *number;
  return std::nullopt;
}

std::optional<Error> read_user_info(std::string_view text, ValkeyCacheOptions& options) {
  const auto colon = text.find(':');
  const auto user = percent_decode(text.substr(0, colon));
  const auto password =
      colon == std::string_view::npos ? std::string() : percent_decode(text.substr(colon + 1));
  if (!user || !password) return bad_uri("the URI's user or password has a malformed % escape");
  if (colon == std::string_view::npos && !options.password_provider.ask) {
    return bad_uri("the URI has a user without a password; write user:password@ or :password@");
  }
  options.username = *user;
  options.password = *password;
  return std::nullopt;
}

std::optional<Error> read_host_and_port(std::string_view text, ValkeyCacheOptions& options) {
  std::string_view port;
  if (text.starts_with('[')) {  // an IPv6 address
    const auto close = text.find(']');
    if (close == std::string_view::npos) return bad_uri("the URI's '[' has no ']'");
    options.host = text.substr(1, close - 1);
    const auto rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return bad_uri("the URI has text behind its ']'");
    if (!rest.empty()) port = rest.substr(1);
    if (!rest.empty() && port.empty()) return bad_uri("the URI's port is empty");
  } else {
    const auto colon = text.find(':');
    if (colon != std::string_view::npos) {
      port = text.substr(colon + 1);
      if (port.find(':') != std::string_view::npos) {
        return bad_uri("the URI's host has several ':'; put an IPv6 address in brackets");
      }
      if (port.empty()) return bad_uri("the URI's port is empty");
    }
    const auto host = percent_decode(text.substr(0, colon));
    if (!host) return bad_uri("the URI's host has a malformed % escape");
    options.host = *host;
  }
  if (options.host.empty()) return bad_uri("the URI names no host");
  const bool odd = std::any_of(options.host.begin(), options.host.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '\x7f' || c == '/' || c == '@';
  });
  if (odd) return bad_uri("the URI's host holds a character that no host name has");
  if (!port.empty()) {
    const auto number = parse_number<std::uint16_t>(port);
    if (!number || *number == 0) return bad_uri("the URI's port is not a number from 1 to 65535");
    options.port = *number;
  }
  return std::nullopt;
}

// Those behind the first one.
std::optional<Error> read_seeds(std::string_view text, ValkeyCacheOptions& options) {
  options.seeds.clear();
  for (;;) {
    const auto comma = text.find(',');
    const auto seed = text.substr(0, comma);
    if (!parse_endpoint(seed, options.port)) {
      return bad_uri("the URI has a malformed address among its hosts");
    }
    options.seeds.emplace_back(seed);
    if (comma == text.npos) return std::nullopt;
    text.remove_prefix(comma + 1);
  }
}

Result<Location> parse_network(std::string_view rest, ValkeyCacheOptions options) {
  const auto slash = rest.find('/');
  auto authority = rest.substr(0, slash);
  const auto at = authority.rfind('@');
  if (at != std::string_view::npos) {
    if (auto error = read_user_info(authority.substr(0, at), options)) return *std::move(error);
    authority.remove_prefix(at + 1);
  }
  const bool many = options.deployment != Deployment::single;
  const bool sentinel = options.deployment == Deployment::sentinel;
  if (sentinel) options.port = 26379;
  const auto comma = many ? authority.find(',') : authority.npos;
  if (auto error = read_host_and_port(authority.substr(0, comma), options)) {
    return *std::move(error);
  }
  if (comma != authority.npos) {
    if (auto error = read_seeds(authority.substr(comma + 1), options)) return *std::move(error);
  }
  if (sentinel && slash != std::string_view::npos && slash + 1 < rest.size()) {
    const auto name = percent_decode(rest.substr(slash + 1));
    if (!name) return bad_uri("the URI's name of the primary has a malformed % escape");
    options.sentinel_name = *name;
  } else if (slash != std::string_view::npos && slash + 1 < rest.size()) {
    if (auto error = read_database(rest.substr(slash + 1), options)) return *std::move(error);
  }
  options.unix_socket.clear();
  return Location{.options = std::move(options)};
}

// unix:///path, unix://user:password@/path, both with ?db=n
Result<Location> parse_unix(std::string_view rest, std::string_view query,
                            ValkeyCacheOptions options) {
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return bad_uri("a unix:// URI needs an absolute path");
  const auto authority = rest.substr(0, slash);
  if (!authority.empty()) {
    if (authority.back() != '@') {
      return bad_uri("a unix:// URI has no host; write three slashes: unix:///path");
    }
    if (auto error = read_user_info(authority.substr(0, authority.size() - 1), options)) {
      return *std::move(error);
    }
  }
  const auto path = percent_decode(rest.substr(slash));
  if (!path || path->size() < 2) return bad_uri("the URI's path is empty or malformed");
  options.unix_socket = *path;
  if (!query.empty()) {
    if (!query.starts_with("db=")) return bad_uri("a unix:// URI knows one query parameter: db");
    if (auto error = read_database(query.substr(3), options)) return *std::move(error);
  }
  return Location{.options = std::move(options)};
}

}  // namespace

Result<Location> parse_uri(std::string_view uri, ValkeyCacheOptions options) {
  if (std::any_of(uri.begin(), uri.end(),
                  [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; })) {
    return bad_uri("the URI holds a blank or a control character; percent-encode it");
  }
  const auto separator = uri.find("://");
  if (separator == std::string_view::npos) {
    return bad_uri("the URI has no scheme; write valkey://host:port");
  }
  const auto scheme = uri.substr(0, separator);
  auto rest = uri.substr(separator + 3);
  if (rest.find('#') != std::string_view::npos) {
    return bad_uri("the URI holds a '#'; percent-encode it as %23");
  }
  const auto question = rest.find('?');
  const auto query =
      question == std::string_view::npos ? std::string_view{} : rest.substr(question + 1);
  rest = rest.substr(0, question);

  if (scheme == "unix") return parse_unix(rest, query, std::move(options));
  if (question != std::string_view::npos) {
    return bad_uri("the URI has a query; use the options instead");
  }
  if (scheme == "memory") {
    if (rest.empty()) return bad_uri("a memory:// URI needs a name");
    return Location{
        .in_memory = true, .memory_name = std::string(rest), .options = std::move(options)};
  }
  const auto plus = scheme.find('+');
  const auto what = scheme.substr(0, plus);
  const auto kind = plus == scheme.npos ? std::string_view{} : scheme.substr(plus + 1);
  const bool plain = what == "valkey" || what == "redis";
  const bool tls = what == "valkeys" || what == "rediss";
  if (tls) options.tls.enabled = true;
  if (kind == "cluster") options.deployment = Deployment::cluster;
  if (kind == "replicated") options.deployment = Deployment::replicated;
  if (kind == "sentinel") options.deployment = Deployment::sentinel;
  const bool known_kind =
      plus == scheme.npos || kind == "cluster" || kind == "replicated" || kind == "sentinel";
  if ((plain || tls) && known_kind) return parse_network(rest, std::move(options));
  return bad_uri(
      "the URI's scheme is unknown; known are valkey, valkeys, redis and rediss, each also with "
      "+cluster, +replicated or +sentinel, unix and memory");
}

}  // namespace detail
}  // namespace valkeycache::inline v0
