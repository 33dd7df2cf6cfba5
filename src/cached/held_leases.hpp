// The leases that one CachedLlm holds: its end gives them back, so that a process which is stopped
// in good order lets the others ask at once.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/hooks.hpp>
#include <valkeycache/valkey_cache.hpp>

#include <map>
#include <mutex>
#include <string>

namespace valkeycache::inline v0 {
namespace detail {

// Thread-safe.
class HeldLeases {
 public:
  void add(const std::string& token, const CacheKey& key);
  void remove(const std::string& token) noexcept;
  // All; nobody waits for it.
  void give_back(const ValkeyCache& cache, const CallOptions& options) noexcept;

 private:
  std::mutex mutex_;
  std::map<std::string, CacheKey> keys_;  // by token
};

}  // namespace detail
}  // namespace valkeycache::inline v0
