// The MAC at the end of an entry: …,"mac":"<64 hex digits>"}.
#pragma once

#include <valkeycache/config.hpp>

#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// What a MAC is made of beside the entry's own text.
struct MacContext {
  std::string_view secret;
  std::string_view wire_key;
  std::string_view digest;
};

// Puts the MAC of everything before it into an entry's JSON object.
VALKEYCACHE_API void append_mac(std::string& json, const MacContext& context);

// Whether `json` ends in the MAC of everything before it. Compares in constant time.
VALKEYCACHE_API bool has_valid_mac(std::string_view json, const MacContext& context);

}  // namespace detail
}  // namespace valkeycache::inline v0
