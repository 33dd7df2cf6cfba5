// JSON as Python's json.loads reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "entry/python_value.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What objects with a member "lc" are taken for.
enum class OnLc : std::uint8_t {
  keep,          // objects like any other
  constructors,  // only Python's, where its reader sees a constructor call: "lc" is 1 or 2, "type"
                 // one of three words, and there is an "id"
  any,           // only Python's
};

// Of equal members the last wins. Only Python can hold: NaN and infinity, integers beyond 64 bits,
// floats beyond a double, lone surrogates, and what `on_lc` says. Does not recurse.
VALKEYCACHE_API PythonValue read_json(std::string_view text, std::size_t max_depth, OnLc on_lc);

}  // namespace detail
}  // namespace valkeycache::inline v0
