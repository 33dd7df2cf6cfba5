#include "cached/held_leases.hpp"

#include "base/lone_caller.hpp"
#include "cached/lease.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Commands are sent under the lock, so that the cache is there; they go to its I/O thread, for at
// the cache's helm a log hook might be called.

void HeldLeases::open(const ValkeyCache& cache, const CallOptions& options) {
  const std::lock_guard lock(mutex_);
  cache_ = &cache;
  options_ = options;
}

void HeldLeases::add(const std::string& token, const CacheKey& key) {
  if (forked()) return;
  const std::lock_guard lock(mutex_);
  if (cache_) keys_.emplace(token, key);
}

std::optional<Future<bool>> HeldLeases::extend(const std::string& token,
                                               std::chrono::milliseconds time) {
  if (forked()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(token);
  if (found == keys_.end()) return std::nullopt;
  const Steering left_to_its_thread(this);
  return cache_->expire_if(found->second, token, time, {.timeout = time});
}

template <class Send>
void HeldLeases::take(const std::string& token, Send send) noexcept {
  if (forked()) return;
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(token);
  if (found == keys_.end()) return;
  const Steering left_to_its_thread(this);
  try {
    send(found->second);
  } catch (...) {  // no memory: it ends by itself
  }
  keys_.erase(found);
}

void HeldLeases::forget(const std::string& token) noexcept {
  take(token, [](const CacheKey&) {});
}

void HeldLeases::give_back(const std::string& token) noexcept {
  take(token, [&](const CacheKey& key) { cache_->erase_if(key, token, options_); });
}

void HeldLeases::give_back_marked(const std::string& token,
                                  std::chrono::milliseconds time) noexcept {
  take(token, [&](const CacheKey& key) {
    cache_->replace_if(key, token, std::string(lease_not_stored), time, options_);
  });
}

void HeldLeases::close() noexcept {
  const std::lock_guard lock(mutex_);
  const Steering left_to_its_thread(this);
  try {
    for (const auto& [token, key] : keys_) cache_->erase_if(key, token, options_);
  } catch (...) {  // no memory: the others end by themselves
  }
  keys_.clear();
  cache_ = nullptr;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
