#include "cached/counters.hpp"

namespace valkeycache::inline v0 {
namespace detail {

CachedLlmStats CallCounters::read() const {
  const auto because = [this](Rejection reason) {
    return rejected[static_cast<std::size_t>(reason)].get();
  };
  const auto passed = [this](BypassReason reason) {
    return bypassed[static_cast<std::size_t>(reason)].get();
  };
  const auto with = [this](EntryFault fault) {
    return faults[static_cast<std::size_t>(fault)].get();
  };
  CachedLlmStats stats;
  stats.calls = calls.get();
  stats.refused = refused.get();
  stats.hits = hits.get();
  stats.stale = stale.get();
  stats.misses = misses.get();
  stats.shared = shared.get();
  stats.bypassed_refresh = passed(BypassReason::refresh);
  stats.bypassed_draft_guardrail = passed(BypassReason::draft_guardrail);
  stats.bypassed_s3_input = passed(BypassReason::s3_input);
  stats.bypassed_unversioned_prompt = passed(BypassReason::unversioned_prompt);
  stats.bypassed_not_deterministic = passed(BypassReason::not_deterministic);
  stats.bypassed = stats.bypassed_refresh + stats.bypassed_draft_guardrail +
                   stats.bypassed_s3_input + stats.bypassed_unversioned_prompt +
                   stats.bypassed_not_deterministic;
  stats.cache_errors = cache_errors.get();
  stats.unfinished = unfinished.get();
  stats.model_calls = model_calls.get();
  stats.model_errors = model_errors.get();
  stats.refreshes = refreshes.get();
  stats.refresh_errors = refresh_errors.get();
  stats.stale_if_error = stale_if_error.get();
  stats.stored = stored.get();
  stats.store_errors = store_errors.get();
  stats.store_dropped = store_dropped.get();
  stats.rejected_no_store = because(Rejection::no_store);
  stats.rejected_unpinned = because(Rejection::unpinned);
  stats.rejected_not_deterministic = because(Rejection::not_deterministic);
  stats.rejected_cache_error = because(Rejection::cache_error);
  stats.rejected_foreign_entry = because(Rejection::foreign_entry);
  stats.rejected_stop_reason = because(Rejection::stop_reason);
  stats.rejected_filtered = because(Rejection::filtered);
  stats.rejected_malformed = because(Rejection::malformed);
  stats.rejected_empty = because(Rejection::empty);
  stats.rejected_too_large = because(Rejection::too_large);
  stats.rejected_predicate = because(Rejection::predicate);
  stats.rejected_superseded = because(Rejection::superseded);
  stats.corrupt_entries = with(EntryFault::corrupt);
  stats.wrong_digest = with(EntryFault::wrong_digest);
  stats.bad_mac = with(EntryFault::bad_mac);
  stats.foreign_format = with(EntryFault::foreign_format);
  stats.unsupported_entries = with(EntryFault::unsupported);
  return stats;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
