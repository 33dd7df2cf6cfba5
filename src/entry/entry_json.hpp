// An entry's JSON object: {"response":"…","v":1,"digest":"…",…}.
#pragma once

#include <valkeycache/config.hpp>
#include <valkeycache/entry.hpp>
#include <valkeycache/result.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// Response first; what is empty or zero is left out. Errors (invalid_argument): invalid UTF-8,
// content or events that are no JSON array of at most 127 levels, negative times.
VALKEYCACHE_API Result<std::string> write_entry(const Entry& entry, std::string_view digest);

struct ReadEntry {
  EntryFault fault = EntryFault::none;
  Entry entry = {};
  std::optional<std::string> digest = {};
};

// An entry of this library's own: every member that is known must be as write_entry() makes it,
// none may come twice, and response, v and digest must be there. Unknown members are ignored, a
// later version is unsupported.
VALKEYCACHE_API ReadEntry read_own_entry(std::string_view json);

// What a Python service stored as JSON: an object with the string "response"; anything else is
// unsupported. Other members count where they are of the right type.
VALKEYCACHE_API ReadEntry read_python_entry(std::string_view json);

}  // namespace detail
}  // namespace valkeycache::inline v0
