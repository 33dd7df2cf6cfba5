// clear(): SCAN a prefix page by page and DEL what it finds, each page while the next one is on its
// way. https://valkey.io/commands/scan/
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <string>

#include "valkey/cache_core.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Removes every key that begins with `prefix`.
Future<std::uint64_t> clear_prefix(CacheCore& core, std::string prefix, ClearOptions options);

}  // namespace detail
}  // namespace valkeycache::inline v0
