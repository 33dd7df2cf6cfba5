// Text as Python prints and strips it, for keys that a Python program must find too.
#pragma once

#include <valkeycache/config.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// repr(float): the shortest digits that read back as the same double; 1.0, 0.7, 1e-05, 1e+16, nan,
// inf, -0.0.
VALKEYCACHE_API void append_python_repr(std::string& out, double value);
VALKEYCACHE_API std::string python_repr(double value);

// What Python prints for the number that json.loads makes of this token: digits for an int, repr
// for a float. Nothing when the token is no JSON number, no finite double, or reads as something
// else than it says: "-0", which is the int 0, and what is too small for a double.
VALKEYCACHE_API std::optional<std::string> python_number(std::string_view json_token);

// str.strip(): without the white space (29 code points, as Python has it) at both ends. `text` is
// valid UTF-8.
VALKEYCACHE_API std::string_view python_strip(std::string_view text) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
