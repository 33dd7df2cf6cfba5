// JSON text as MessagePack, byte for byte as Python's ormsgpack packs what json.loads makes of it.
#pragma once

#include <valkeycache/config.hpp>
#include <valkeycache/result.hpp>

#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// Everything in its shortest form, but numbers with a fraction or an exponent always as float64;
// members in their order, of equal ones the last value in the first place. Errors
// (invalid_argument): malformed JSON, integers beyond 64 bits, floats beyond a double, nesting over
// max_python_write_depth.
VALKEYCACHE_API Result<std::string> write_msgpack(std::string_view json);

}  // namespace detail
}  // namespace valkeycache::inline v0
