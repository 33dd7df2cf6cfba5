// What a stored value of the Python original turned out to be.
#pragma once

#include <valkeycache/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace valkeycache::inline v0 {
namespace detail {

struct PythonValue {
  enum class Kind : std::uint8_t {
    json,         // data is its JSON text: members in Python's order, no white space
    bytes,        // data is the bytes: Python's bytes or bytearray
    python_only,  // well-formed, but nothing that JSON could say: a miss
    malformed,    // a miss
  };
  Kind kind = Kind::malformed;
  std::string data = {};

  [[nodiscard]] bool is_miss() const noexcept {
    return kind == Kind::python_only || kind == Kind::malformed;
  }
};

// Python's reader gives up on msgpack that is nested deeper, its writer earlier.
inline constexpr std::size_t max_python_read_depth = 1022;
inline constexpr std::size_t max_python_write_depth = 255;

}  // namespace detail
}  // namespace valkeycache::inline v0
