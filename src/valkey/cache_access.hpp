// For code of the library that sends commands of its own.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include "valkey/cache_core.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct CacheAccess {
  // Lives as long as the handle, or another copy of it.
  static CacheCore& core(const ValkeyCache& cache);
};

}  // namespace detail
}  // namespace valkeycache::inline v0
