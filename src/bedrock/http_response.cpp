#include "bedrock/http_response.hpp"

#include <algorithm>
#include <utility>

#include "base/number.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::size_t max_value_size = 1024;
constexpr std::chrono::milliseconds longest_hint = std::chrono::hours(24);

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// `lower` is in lower case.
bool is_name(std::string_view name, std::string_view lower) noexcept {
  return std::equal(name.begin(), name.end(), lower.begin(), lower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

std::optional<std::chrono::milliseconds> parse_hint(std::string_view text,
                                                    std::chrono::milliseconds unit) noexcept {
  const auto number = parse_number<unsigned>(text);
  if (!number) return std::nullopt;
  return *number > longest_hint / unit ? longest_hint : *number * unit;
}

}  // namespace

void HttpResponse::take_head_line(std::string_view line) {
  if (line.starts_with("HTTP/")) {
    *this = HttpResponse();
    const auto blank = line.find(' ');
    if (blank != std::string_view::npos) {
      status = parse_number<int>(trimmed(line.substr(blank)).substr(0, 3)).value_or(0);
    }
    return;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const auto name = line.substr(0, colon);
  const auto value = trimmed(line.substr(colon + 1));
  if (value.size() > max_value_size) return;
  if (is_name(name, "content-type")) {
    content_type = value;
  } else if (is_name(name, "x-amzn-errortype")) {
    error_type = value;
  } else if (is_name(name, "x-amzn-requestid")) {
    request_id = value;
  } else if (is_name(name, "date")) {
    date = value;
  } else if (is_name(name, "content-length")) {
    content_length = parse_number<std::size_t>(value);
  } else if (is_name(name, "x-amz-retry-after")) {
    if (const auto hint = parse_hint(value, std::chrono::milliseconds(1))) {
      retry_after = hint;
      aws_hint_ = true;
    }
  } else if (is_name(name, "retry-after") && !aws_hint_) {
    if (const auto hint = parse_hint(value, std::chrono::seconds(1))) retry_after = hint;
  } else {
    take_invocation(name, value);
  }
}

void HttpResponse::take_invocation(std::string_view name, std::string_view value) {
  static constexpr std::string_view before = "x-amzn-bedrock-";
  if (name.size() < before.size() || !is_name(name.substr(0, before.size()), before)) return;
  const auto rest = name.substr(before.size());
  for (const auto& [known, place] :
       {std::pair{"input-token-count", &invocation.input_tokens},
        std::pair{"output-token-count", &invocation.output_tokens},
        std::pair{"cache-read-input-token-count", &invocation.cache_read_tokens},
        std::pair{"cache-write-input-token-count", &invocation.cache_write_tokens},
        std::pair{"invocation-latency", &invocation.latency_ms}}) {
    if (!is_name(rest, known)) continue;
    const auto number = parse_number<std::int64_t>(value);
    if (number && *number >= 0) *place = number;
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
