// The MAC at the end of a JSON object, an entry or another: …,"mac":"<64 hex digits>"}.
#pragma once

#include <valkeycache/config.hpp>

#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// What a MAC is made of beside the object's own text. Of an entry: its wire key and digest.
struct MacContext {
  std::string_view secret;
  std::string_view wire_key;
  std::string_view digest;
  // Whatever else a secret signs has a purpose of its own.
  std::string_view purpose = "valkeycache/entry-mac/v1\n";
};

// Puts the MAC of everything before it into a JSON object that is not empty.
VALKEYCACHE_API void append_mac(std::string& json, const MacContext& context);

// Whether `json` ends in the MAC of everything before it. Compares in constant time.
VALKEYCACHE_API bool has_valid_mac(std::string_view json, const MacContext& context);

}  // namespace detail
}  // namespace valkeycache::inline v0
