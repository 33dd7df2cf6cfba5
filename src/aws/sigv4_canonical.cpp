#include "aws/sigv4_canonical.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "aws/percent.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Most paths need nothing done.
bool is_normal(std::string_view path) noexcept {
  return path.starts_with('/') && path.find("//") == std::string_view::npos &&
         path.find("/.") == std::string_view::npos;
}

std::string normalized(std::string_view path) {
  std::vector<std::string_view> segments;
  for (std::size_t from = 0; from <= path.size();) {
    const auto to = std::min(path.find('/', from), path.size());
    const auto segment = path.substr(from, to - from);
    if (segment == "..") {
      if (!segments.empty()) segments.pop_back();
    } else if (!segment.empty() && segment != ".") {
      segments.push_back(segment);
    }
    from = to + 1;
  }
  std::string out;
  for (const auto segment : segments) out.append("/").append(segment);
  if (segments.empty() || path.ends_with('/')) out += '/';
  return out;
}

}  // namespace

void append_canonical_path(std::string& out, std::string_view path, bool normalize, bool encode) {
  std::string clean;
  if (normalize && !is_normal(path)) {
    clean = normalized(path);
    path = clean;
  }
  if (path.empty()) path = "/";
  if (encode) {
    append_percent_encoded(out, path, "/");
  } else {
    out.append(path);
  }
}

void append_canonical_query(std::string& out, std::string_view query) {
  if (query.empty()) return;
  std::vector<std::pair<std::string, std::string>> parameters;
  for (std::size_t from = 0; from <= query.size();) {
    const auto to = std::min(query.find('&', from), query.size());
    const auto parameter = query.substr(from, to - from);
    from = to + 1;
    if (parameter.empty()) continue;
    const auto equals = parameter.find('=');
    const auto name = parameter.substr(0, equals);
    const auto value =
        equals == std::string_view::npos ? std::string_view() : parameter.substr(equals + 1);
    // Decoded first, so that it does not matter how the wire wrote it.
    parameters.emplace_back(percent_encoded(percent_decoded(name)),
                            percent_encoded(percent_decoded(value)));
  }
  std::sort(parameters.begin(), parameters.end());
  bool first = true;
  for (const auto& [name, value] : parameters) {
    if (!std::exchange(first, false)) out += '&';
    out.append(name).append("=").append(value);
  }
}

void append_canonical_value(std::string& out, std::string_view value) {
  std::size_t at = 0;
  std::size_t end = value.size();
  while (at < end && is_blank(value[at])) ++at;
  while (end > at && is_blank(value[end - 1])) --end;
  while (at < end) {
    std::size_t word_end = at;
    while (word_end < end && !is_blank(value[word_end])) ++word_end;
    out.append(value, at, word_end - at);
    if (word_end == end) break;
    out += ' ';
    at = word_end;
    while (is_blank(value[at])) ++at;
  }
}

bool is_unsignable_header(std::string_view lower_name) noexcept {
  // What the official JavaScript signer leaves out.
  static constexpr std::array<std::string_view, 15> names{"authorization",  "cache-control",
                                                          "connection",     "expect",
                                                          "from",           "keep-alive",
                                                          "max-forwards",   "pragma",
                                                          "referer",        "te",
                                                          "trailer",        "user-agent",
                                                          "upgrade",        "transfer-encoding",
                                                          "x-amzn-trace-id"};
  return lower_name.starts_with("proxy-") || lower_name.starts_with("sec-") ||
         std::find(names.begin(), names.end(), lower_name) != names.end();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
