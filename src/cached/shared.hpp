// What the calls of one CachedLlm share and what may outlive it.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/detail/future_state.hpp>
#include <valkeycache/entry.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cached/breaker.hpp"
#include "cached/counters.hpp"
#include "cached/flights.hpp"
#include "cached/held_leases.hpp"
#include "cached/meter.hpp"
#include "cached/refreshes.hpp"
#include "cached/simple_parts.hpp"
#include "cached/timer.hpp"
#include "cached/watchdog.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Settings, counters, breaker and watchdog, and neither cache nor model: what waits inside those
// for a call's next step holds this, and must not keep them open. (A store on its way out of main
// would otherwise keep the very handle alive whose destruction waits for it.)
struct CallShared {
  CallShared(CachedLlmOptions chosen, CacheIdentity model_identity, std::string wire_prefix,
             Ttl cache_ttl, bool has_near_cache);

  const CachedLlmOptions options;
  const CacheIdentity identity;
  const std::string prefix;
  const Ttl ttl;    // of an entry whose call says none
  const bool near;  // the cache has a tier in this process
  const std::optional<SimpleParts> simple_parts;
  const EntryCodec codec;
  const std::shared_ptr<const CallbackContext> context;  // of the futures of ask()
  const std::uint64_t fork_generation_made;
  // Why no call can be made at all: an option out of range, no model.
  std::optional<Error> unusable;

  CallCounters counters;
  Meter meter{options.advanced.prices};
  Breaker breaker;
  Flights flights;
  Refreshes refreshes{options.advanced.max_refreshes};
  HeldLeases held_leases;
  Watchdog watchdog;
  Timer timer;
  std::atomic<std::size_t> pending_stores{0};
  std::atomic<bool> cache_was_connected{false};
  std::atomic<bool> told_foreign{false};
  std::atomic<bool> told_no_stop_reason{false};
  std::atomic<bool> told_predicate_threw{false};
  std::atomic<bool> told_policy_failed{false};
  std::atomic<bool> told_observer_threw{false};

  [[nodiscard]] const CachedLlmAdvanced& advanced() const noexcept { return options.advanced; }
  [[nodiscard]] bool forked() const noexcept;

  void log(LogLevel level, std::string_view message) const noexcept;
  // The first time only.
  void log_once(std::atomic<bool>& told, LogLevel level, std::string_view message) const noexcept;

  // Tells the breaker and, when that changes its mind, the log.
  void cache_failed(const Error& error, Verdict verdict);
  void cache_probed(bool well);
};

}  // namespace detail
}  // namespace valkeycache::inline v0
