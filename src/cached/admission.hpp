// Which answers are stored.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/llm.hpp>

#include <cstddef>
#include <cstdint>

namespace valkeycache::inline v0 {
namespace detail {

// Why an answer of the model is not stored. In the order in which the reasons are looked at: the
// first that applies is the one that is counted.
enum class Rejection : std::uint8_t {
  none,
  no_store,           // the caller said so
  unpinned,           // the request names something that can change
  not_deterministic,  // its temperature is not 0, and only such answers are wanted
  cache_error,        // the cache failed earlier in the call, or its breaker is open
  foreign_entry,      // a Python service's entry stands in its place
  stop_reason,        // cut short, asks for a tool, or ended in a way that is not known to be good
  filtered,           // a guardrail or a content filter changed it
  malformed,          // the model's output was malformed, or cannot be put into an entry
  empty,
  too_large,
  predicate,   // the user's own, or the user's TTL policy
  superseded,  // another's answer stands there already
};

struct AdmissionRules {
  bool max_tokens = false;  // answers cut by max_tokens too
  bool tool_use = false;    // answers that call tools too
  bool invoke = false;      // an answer of InvokeModel, in its model's own words
  std::size_t max_bytes = std::size_t{1} << 20;
};

// By the answer alone. Pure.
Rejection judge_answer(const Completion& completion, const AdmissionRules& rules) noexcept;

// The last word; no predicate is a yes, an exception a no (`threw` says so).
bool predicate_allows(const AdmissionPredicate& predicate, const ChatRequest& request,
                      const Completion& completion, bool& threw) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
