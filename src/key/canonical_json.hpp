// Canonical JSON: one text for each value, however it was written.
//
// No white space; object members sorted bytewise by their decoded names; strings in the escaping of
// base/json_string.hpp; number tokens verbatim, since any reading of them would make some different
// numbers equal. Faults: whatever JsonCursor refuses, and duplicate members.
#pragma once

#include <valkeycache/config.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_cursor.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct CanonicalJson {
  JsonFault fault = JsonFault::none;
  std::size_t offset = 0;  // of the fault, in the text given
  std::string text;        // empty after a fault
};
// Of one whole JSON value with at most `max_depth` levels. Recurses no deeper than that.
VALKEYCACHE_API CanonicalJson canonical_json(std::string_view json, int max_depth);

// The parts of canonical text. Only for what canonical_json() gave; the values are views into it.
struct CanonicalMember {
  std::string name;  // decoded
  std::string_view value;
};
VALKEYCACHE_API std::vector<CanonicalMember> canonical_members(std::string_view object);
VALKEYCACHE_API std::vector<std::string_view> canonical_elements(std::string_view array);
VALKEYCACHE_API std::string canonical_string(std::string_view string);

}  // namespace detail
}  // namespace valkeycache::inline v0
