// A key as logs and hooks may show it.
#pragma once

#include <valkeycache/cache_key.hpp>

#include <string>

namespace valkeycache::inline v0 {
namespace detail {

// 16 hex digits that tell keys apart within this process and reveal nothing about guessable
// prompts: the key's own digest where a secret made it, else that digest under a key which each
// process draws for itself.
VALKEYCACHE_API std::string log_id(const CacheKey& key);

}  // namespace detail
}  // namespace valkeycache::inline v0
