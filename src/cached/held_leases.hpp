// The leases that one CachedLlm has taken, or may have: its end gives them back, so that a process
// which is stopped in good order lets the others ask at once.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/detail/future_state.hpp>
#include <valkeycache/future.hpp>
#include <valkeycache/hooks.hpp>
#include <valkeycache/valkey_cache.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace valkeycache::inline v0 {
namespace detail {

// Thread-safe. Uses the cache without owning it: whoever would own it for a moment, on the cache's
// own thread, might find himself the last to do so.
class HeldLeases {
 public:
  // The cache is there until close().
  void open(const ValkeyCache& cache, const CallOptions& options);

  // Before the token is sent.
  void add(const std::string& token, const CacheKey& key);
  // For `time` from now on; none when the token is no longer known.
  std::optional<Future<bool>> extend(const std::string& token, std::chrono::milliseconds time);
  // Was never taken.
  void forget(const std::string& token) noexcept;
  void give_back(const std::string& token) noexcept;
  // Leaves a mark in its place for `time`.
  void give_back_marked(const std::string& token, std::chrono::milliseconds time) noexcept;

  // Gives all of them back.
  void close() noexcept;

 private:
  // Once for each token; nobody waits for what it sends.
  template <class Send>
  void take(const std::string& token, Send send) noexcept;

  // In the child of a fork() another thread may have held the lock for ever.
  [[nodiscard]] bool forked() const noexcept { return fork_generation() != generation_; }

  const std::uint64_t generation_ = fork_generation();
  std::mutex mutex_;
  const ValkeyCache* cache_ = nullptr;
  CallOptions options_;
  std::map<std::string, CacheKey> keys_;  // by token
};

}  // namespace detail
}  // namespace valkeycache::inline v0
