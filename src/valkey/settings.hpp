// Options, checked and made ready for use.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

// Checks every field and normalises the prefix. The message names the field.
Result<ValkeyCacheOptions> checked(ValkeyCacheOptions options);

// A cache's place: an address with the options it was merged into, or a store in this process.
struct Location {
  bool in_memory = false;
  std::string memory_name = {};
  ValkeyCacheOptions options = {};
};
// Understands the URIs of ValkeyCache::open. Error messages never quote user info.
Result<Location> parse_uri(std::string_view uri, ValkeyCacheOptions options);

}  // namespace detail
}  // namespace valkeycache::inline v0
