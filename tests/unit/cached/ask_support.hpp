// What the tests of ask() share.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/hooks.hpp>
#include <valkeycache/valkey_cache.hpp>

#include <atomic>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "support/valkey/expect.hpp"
#include "support/valkey/wait.hpp"
#include "unit/cached/fake_llm.hpp"

namespace valkeycache::test {

// A memory:// cache that no other test shares.
inline ValkeyCache fresh_cache(ValkeyCacheOptions options = {}) {
  static std::atomic<int> number{0};
  return ValkeyCache::open("memory://cached-test-" + std::to_string(++number), std::move(options))
      .value();
}

// A CachedLlm whose cache steps no busy machine can time out, unless the test says how long they
// may take.
template <class Model>
CachedLlm cached(ValkeyCache cache, Model&& model, CachedLlmOptions options = {}) {
  auto& advanced = options.advanced;
  if (advanced.command_timeout == CachedLlmAdvanced{}.command_timeout) {
    advanced.command_timeout = patience;
  }
  if (advanced.store_timeout == CachedLlmAdvanced{}.store_timeout) {
    advanced.store_timeout = patience;
  }
  return CachedLlm(std::move(cache), std::forward<Model>(model), std::move(options));
}

// Until the stores issued so far have ended.
inline bool settled(const ValkeyCache& cache) {
  return cache.flush(patience).get().has_value();
}

// Keeps what is logged.
class LogKeeper {
 public:
  [[nodiscard]] LogHook hook() {
    return [this](const LogRecord& record) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(std::string(record.component) + ": " + std::string(record.message));
    };
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  // How many lines hold the text.
  [[nodiscard]] int count(const std::string& text) const {
    int found = 0;
    for (const auto& line : lines()) found += line.find(text) != std::string::npos ? 1 : 0;
    return found;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// What CachedLlmStats promises of its sums, with nothing under way.
inline ::testing::AssertionResult adds_up(const CachedLlmStats& s) {
  const auto calls = s.refused + s.hits + s.stale + s.misses + s.shared + s.bypassed +
                     s.cache_errors + s.unfinished;
  const auto rejected = s.rejected_no_store + s.rejected_unpinned + s.rejected_not_deterministic +
                        s.rejected_cache_error + s.rejected_foreign_entry + s.rejected_stop_reason +
                        s.rejected_filtered + s.rejected_malformed + s.rejected_empty +
                        s.rejected_too_large + s.rejected_predicate + s.rejected_superseded;
  const auto model_calls = s.model_errors + s.stored + s.store_errors + s.store_dropped + rejected;
  if (calls == s.calls && model_calls == s.model_calls) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << "calls " << s.calls << " against " << calls << ", model calls " << s.model_calls
         << " against " << model_calls;
}

}  // namespace valkeycache::test
