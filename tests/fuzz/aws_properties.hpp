// What must hold for any bytes whatever that come as AWS's files, answers and addresses. Each
// function gives nullptr, or what did not hold; the fuzz targets and the unit tests share them.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "aws/credentials_answer.hpp"
#include "aws/endpoint.hpp"
#include "aws/iso8601.hpp"
#include "aws/profile_files.hpp"
#include "aws/xml_leaves.hpp"
#include "base/utf8.hpp"
#include "valkey/settings.hpp"

namespace valkeycache_fuzz {

using namespace valkeycache;

// The config file, and behind a NUL the credentials file.
inline const char* check_profile_files(std::string_view bytes) {
  const auto end = std::min(bytes.find('\0'), bytes.size());
  const auto config = bytes.substr(0, end);
  const auto credentials = bytes.substr(std::min(end + 1, bytes.size()));
  const auto files = detail::ProfileFiles::parse(config, credentials);
  for (const std::string_view name : {"default", "a", "b"}) {
    for (const auto* settings : {files.profile(name), files.services(name)}) {
      if (!settings) continue;
      for (const auto& [setting, value] : *settings) {
        if (setting.empty()) return "a setting without a name";
        if (setting.find('\n') != std::string::npos || value.find('\n') != std::string::npos) {
          return "a setting over two lines";
        }
        constexpr std::string_view blanks = " \t\r\f\v";
        if (!value.empty() && (blanks.find(value.front()) != std::string_view::npos ||
                               blanks.find(value.back()) != std::string_view::npos)) {
          return "a value with blanks around it";
        }
      }
    }
  }
  static_cast<void>(
      detail::resolve_endpoint({.region = "us-west-2", .endpoint = {}}, {}, files, "default"));
  return nullptr;
}

inline const char* check_credentials_answer(std::string_view bytes) {
  using detail::CredentialsForm;
  for (const auto form :
       {CredentialsForm::process, CredentialsForm::container, CredentialsForm::instance}) {
    const auto answer = detail::credentials_of_json(bytes, form);
    if (!answer) continue;
    if (answer->access_key_id.empty() || answer->secret_access_key.empty()) {
      return "credentials without keys";
    }
    // Of bytes that this parser took, nlohmann/json may refuse a number that no double holds.
    const auto json = nlohmann::json::parse(bytes, nullptr, false);
    if (json.is_discarded()) continue;
    if (json.at("AccessKeyId") != answer->access_key_id ||
        json.at("SecretAccessKey") != answer->secret_access_key) {
      return "other keys than another parser sees";
    }
    if (form != CredentialsForm::process && !answer->expires) return "they have no end";
  }

  bool good_leaves = true;
  std::size_t leaves = 0;
  const bool whole = detail::read_xml_leaves(bytes, [&](std::string_view path, std::string text) {
    ++leaves;
    good_leaves = good_leaves && !path.empty() && path.find('<') == std::string_view::npos &&
                  path.back() != '/' && detail::is_valid_utf8(text) && text.size() <= bytes.size();
  });
  if (!good_leaves) return "a leaf that cannot be one";
  if (whole && leaves == 0) return "a document without leaves";
  const auto of_sts = detail::credentials_of_sts(bytes, "AssumeRole");
  if (of_sts && (!whole || of_sts->secret_access_key.empty() || !of_sts->expires)) {
    return "credentials of no whole answer";
  }
  if (detail::sts_error_code(bytes).size() > 64) return "an endless error code";

  const auto time = detail::parse_iso8601(bytes);
  if (time && *time < std::chrono::system_clock::time_point(-std::chrono::hours(24))) {
    return "a time before all clocks";
  }
  return nullptr;
}

inline const char* check_uris(std::string_view bytes) {
  const auto endpoint = detail::parse_endpoint(bytes);
  if (endpoint) {
    const auto url = endpoint->url();
    const auto again = detail::parse_endpoint(url);
    if (!again || again->url() != url) return "an endpoint that changes when it is read again";
    if (url.find_first_of("?# \r\n\\") != std::string::npos ||
        endpoint->authority.find('@') != std::string::npos) {
      return "what no endpoint may hold";
    }
    if (endpoint->host.empty() || endpoint->base_path.ends_with('/')) return "a strange endpoint";
  } else if (endpoint.error().message.empty()) {
    return "an error without words";
  }

  const auto location = detail::parse_uri(bytes, {});
  if (!location) return location.error().message.empty() ? "an error without words" : nullptr;
  const auto& options = location->options;
  if (location->in_memory ? location->memory_name.empty()
                          : options.host.empty() && options.unix_socket.empty()) {
    return "a URI that leads nowhere";
  }
  if (options.port < 1 || options.database < 0) return "a number too far";
  static_cast<void>(detail::checked(options));
  return nullptr;
}

}  // namespace valkeycache_fuzz
