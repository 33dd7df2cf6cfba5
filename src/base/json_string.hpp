// Text as a JSON string, in the one escaping that this project writes: \" \\ \b \f \n \r \t, other
// control characters as \u00xx in lower-case hex, everything else as its own UTF-8.
#pragma once

#include <valkeycache/config.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// Appends `text`, which is valid UTF-8, with quotes around it.
VALKEYCACHE_API void append_json_string(std::string& out, std::string_view text);
VALKEYCACHE_API std::string json_string(std::string_view text);

// The offset of the first quote, backslash or control character at or after `at` <= text.size();
// text.size() when there is none.
VALKEYCACHE_API std::size_t find_json_special(std::string_view text, std::size_t at) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
