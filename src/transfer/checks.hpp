// What export_entries() and import_entries() look at before they begin.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <optional>
#include <string>

#include "valkey/cache_core.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Why this thread cannot wait for this cache, or why the secret is none.
std::optional<Error> cannot_begin(const CacheCore& core, const std::optional<std::string>& secret);

}  // namespace detail
}  // namespace valkeycache::inline v0
