#include "cached/refreshes.hpp"

#include <algorithm>

namespace valkeycache::inline v0 {
namespace detail {

Refreshes::Ticket Refreshes::begin(const Sha256Digest& key) {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (under_way_ >= most_) return {};
  if (keys_.size() >= sweep_at_) {
    std::erase_if(keys_, [now](const auto& one) { return one.second <= now; });
    sweep_at_ = std::max<std::size_t>(64, 2 * keys_.size());
  }
  const auto [at, is_new] = keys_.try_emplace(key, Clock::time_point::max());
  if (!is_new) {
    if (at->second > now) return {};
    at->second = Clock::time_point::max();
  }
  ++under_way_;
  return {*this, key};
}

void Refreshes::end(const Sha256Digest& key, std::chrono::milliseconds rest) noexcept {
  const std::lock_guard lock(mutex_);
  --under_way_;
  const auto at = keys_.find(key);
  if (rest > std::chrono::milliseconds::zero()) {
    at->second = Clock::now() + rest;
  } else {
    keys_.erase(at);
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
