// The stored form of the Python original: a tag, a colon, and a body in the tag's encoding.
#pragma once

#include <valkeycache/result.hpp>

#include <string>
#include <string_view>

#include "entry/python_value.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Whether the bytes begin with a tag of the original's, "pickle" among them.
VALKEYCACHE_API bool has_python_tag(std::string_view bytes) noexcept;

// Reads msgpack, json, null, bytes and bytearray. "pickle" is only Python's; any other tag, and
// bytes without a colon, are malformed.
VALKEYCACHE_API PythonValue python_decode(std::string_view bytes);

// What Python's own set() stores for the value that this JSON text says: "msgpack:…", or "null:"
// for null. Errors (invalid_argument): as write_msgpack().
VALKEYCACHE_API Result<std::string> python_encode(std::string_view json);

// "json:" and the text, which people can read and Python's get() does too. Errors
// (invalid_argument): what python_decode() would not read back, nesting over max_json_depth, and a
// member "lc" at any depth, which Python's reader may take for a constructor call.
VALKEYCACHE_API Result<std::string> python_encode_json(std::string_view json);

}  // namespace detail
}  // namespace valkeycache::inline v0
