// The counters behind CachedLlmStats.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/entry.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/counter.hpp"
#include "cached/admission.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct CallCounters {
  Counter calls, refused, hits, stale, misses, shared, cache_errors, unfinished;
  Counter model_calls, model_errors, refreshes, refresh_errors, stale_if_error;
  Counter stored, store_errors, store_dropped;
  std::array<Counter, static_cast<std::size_t>(BypassReason::not_deterministic) + 1> bypassed;
  std::array<Counter, static_cast<std::size_t>(Rejection::superseded) + 1> rejected;
  std::array<Counter, static_cast<std::size_t>(EntryFault::unsupported) + 1> faults;

  Counter& of(BypassReason reason) noexcept { return bypassed[static_cast<std::size_t>(reason)]; }
  Counter& of(Rejection reason) noexcept { return rejected[static_cast<std::size_t>(reason)]; }
  Counter& of(EntryFault fault) noexcept { return faults[static_cast<std::size_t>(fault)]; }

  // All but the breaker's.
  [[nodiscard]] CachedLlmStats read() const;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
