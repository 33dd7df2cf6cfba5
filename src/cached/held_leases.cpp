#include "cached/held_leases.hpp"

namespace valkeycache::inline v0 {
namespace detail {

void HeldLeases::add(const std::string& token, const CacheKey& key) {
  const std::lock_guard lock(mutex_);
  keys_.emplace(token, key);
}

void HeldLeases::remove(const std::string& token) noexcept {
  const std::lock_guard lock(mutex_);
  keys_.erase(token);
}

void HeldLeases::give_back(const ValkeyCache& cache, const CallOptions& options) noexcept {
  std::map<std::string, CacheKey> keys;
  {
    const std::lock_guard lock(mutex_);
    keys.swap(keys_);
  }
  try {
    for (const auto& [token, key] : keys) cache.erase_if(key, token, options);
  } catch (...) {  // no memory: the others end by themselves
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
