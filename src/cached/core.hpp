// What the handles of one CachedLlm share: the cache, the model, and what the calls need.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/llm.hpp>
#include <valkeycache/valkey_cache.hpp>

#include <memory>
#include <optional>
#include <string_view>

#include "cached/shared.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// A request as it is sent, and the key made of just that.
struct PreparedRequest {
  ChatRequest request;
  CacheKey key;
  std::optional<BypassReason> bypass = {};  // why it is never cached
};

// Only handles own it; a call holds it weakly between its steps, so that destroying the last handle
// closes cache and model as if there were no CachedLlm.
class CachedLlmCore {
 public:
  CachedLlmCore(ValkeyCache cache, std::shared_ptr<Llm> model, CachedLlmOptions options);
  CachedLlmCore(const CachedLlmCore&) = delete;
  CachedLlmCore& operator=(const CachedLlmCore&) = delete;
  // Ends the calls that wait for the model with ErrorCode::closed. Calls that wait for the cache
  // end by their time-out, or when the cache closes. Leases are given back.
  ~CachedLlmCore();

  // A bare prompt is sent, and hashed, stripped. A request is sent as it is, unless its key is the
  // simple one, which hashes the stripped prompt.
  [[nodiscard]] Result<PreparedRequest> prepare(std::string_view prompt) const;
  [[nodiscard]] Result<PreparedRequest> prepare(const ChatRequest& request) const;

  [[nodiscard]] const ValkeyCache& cache() const noexcept { return cache_; }
  [[nodiscard]] Llm& model() const noexcept { return *model_; }
  [[nodiscard]] const std::shared_ptr<CallShared>& shared() const noexcept { return shared_; }

  // How long a lookup may take from now on.
  [[nodiscard]] std::chrono::milliseconds lookup_budget() const;
  // Asks the cache, off every call's path, whether it is well, and tells the breaker.
  void probe() const;

  [[nodiscard]] CachedLlmStats stats() const;

 private:
  [[nodiscard]] Result<PreparedRequest> keyed(ChatRequest request) const;

  const ValkeyCache cache_;
  const std::shared_ptr<Llm> model_;
  std::shared_ptr<CallShared> shared_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
