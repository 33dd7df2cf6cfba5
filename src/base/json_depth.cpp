#include "base/json_depth.hpp"

#include <cstddef>

namespace valkeycache::inline v0 {
namespace detail {

bool json_depth_within(std::string_view json, int max) noexcept {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
      continue;
    }
    switch (c) {
      case '"':
        in_string = true;
        break;
      case '[':
      case '{':
        if (++depth > max) return false;
        break;
      case ']':
      case '}':
        --depth;  // below zero a parser has stopped long before
        break;
      default:
        break;
    }
  }
  return true;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
