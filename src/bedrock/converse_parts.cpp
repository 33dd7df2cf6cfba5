#include "bedrock/converse_parts.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/number.hpp"
#include "bedrock/json_members.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// A count as the service gives it; what is no such number counts as 0.
std::int64_t to_count(std::string_view raw) noexcept {
  return std::max<std::int64_t>(parse_number<std::int64_t>(raw).value_or(0), 0);
}

}  // namespace

bool read_usage(std::string_view raw, Usage& usage) {
  return for_each_member(raw, [&usage](std::string_view name, std::string_view value) {
    if (name == "inputTokens") usage.input_tokens = to_count(value);
    if (name == "outputTokens") usage.output_tokens = to_count(value);
    if (name == "totalTokens") usage.total_tokens = to_count(value);
    if (name == "cacheReadInputTokens") usage.cache_read_tokens = to_count(value);
    if (name == "cacheWriteInputTokens") usage.cache_write_tokens = to_count(value);
    return true;
  });
}

bool read_metrics(std::string_view raw, Completion& completion) {
  return for_each_member(raw, [&completion](std::string_view name, std::string_view value) {
    if (name == "latencyMs") completion.model_latency = std::chrono::milliseconds(to_count(value));
    return true;
  });
}

bool is_media_type(std::string_view content_type, std::string_view type) noexcept {
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ')) content_type.remove_suffix(1);
  return std::equal(content_type.begin(), content_type.end(), type.begin(), type.end(),
                    [](char a, char b) { return a == b || (a >= 'A' && (a | 0x20) == b); });
}

bool is_null(std::string_view raw) noexcept {
  return raw == "null";
}

}  // namespace detail
}  // namespace valkeycache::inline v0
