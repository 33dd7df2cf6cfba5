// Parts that a Converse response and the events of ConverseStream have in common.
#pragma once

#include <valkeycache/llm.hpp>

#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// A JSON object that is made member by member.
class ObjectText {
 public:
  void add(std::string_view name, std::string_view raw);
  [[nodiscard]] bool empty() const noexcept { return json_.size() == 1; }
  [[nodiscard]] std::string json() const { return json_ + '}'; }

 private:
  std::string json_ = "{";
};

// From the JSON of the members `usage` and `metrics`. False where it is no object; a count in it
// that is no such number counts as 0. Members that are not known go to `rest`.
bool read_usage(std::string_view raw, Usage& usage, ObjectText& rest);
bool read_metrics(std::string_view raw, Completion& completion, ObjectText& rest);

// Whether a Content-Type is `type` (in lower case), whatever its parameters.
bool is_media_type(std::string_view content_type, std::string_view type) noexcept;

bool is_null(std::string_view raw) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
