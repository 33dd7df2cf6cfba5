// The end of a call, measured and told to the observer.
#pragma once

#include <valkeycache/cached_llm.hpp>

#include <chrono>
#include <string_view>

#include "cached/shared.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct CallFacts {
  std::chrono::steady_clock::time_point started;
  const CacheKey* key = nullptr;  // of a call that failed, as far as there is one
  std::string_view model = {};
  TraceParent trace_parent = {};
  bool refresh = false;  // nobody's call: only the observer is told
};

// By whoever has claimed the call, before the result is published. Throws nothing.
void call_ended(CallShared& shared, const CallFacts& facts,
                const Result<CachedAnswer>& result) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
