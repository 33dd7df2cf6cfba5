#include "bedrock/converse_parts.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <utility>

#include "base/json_string.hpp"
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

void ObjectText::add(std::string_view name, std::string_view raw) {
  if (!empty()) json_ += ',';
  append_json_string(json_, name);
  json_.append(":").append(raw);
}

bool read_usage(std::string_view raw, Usage& usage, ObjectText& rest) {
  const std::array<std::pair<std::string_view, std::int64_t*>, 5> counts{
      {{"inputTokens", &usage.input_tokens},
       {"outputTokens", &usage.output_tokens},
       {"totalTokens", &usage.total_tokens},
       {"cacheReadInputTokens", &usage.cache_read_tokens},
       {"cacheWriteInputTokens", &usage.cache_write_tokens}}};
  return for_each_member(raw, [&](std::string_view name, std::string_view value) {
    const auto* known = std::find_if(counts.begin(), counts.end(),
                                     [&](const auto& count) { return count.first == name; });
    if (known == counts.end()) {
      rest.add(name, value);
    } else {
      *known->second = to_count(value);
    }
    return true;
  });
}

bool read_metrics(std::string_view raw, Completion& completion, ObjectText& rest) {
  return for_each_member(raw, [&](std::string_view name, std::string_view value) {
    if (name == "latencyMs") {
      completion.model_latency = std::chrono::milliseconds(to_count(value));
    } else {
      rest.add(name, value);
    }
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
