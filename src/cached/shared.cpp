#include "cached/shared.hpp"

#include <chrono>
#include <utility>

#include "base/fork.hpp"
#include "cached/call.hpp"

namespace valkeycache::inline v0 {
namespace detail {

namespace {

std::optional<Error> first_fault(const CachedLlmOptions& options) {
  const auto bad = [](std::string message) {
    return Error{.code = ErrorCode::invalid_argument, .message = std::move(message)};
  };
  const auto& advanced = options.advanced;
  if (!options.ttl.is_valid()) {
    return bad("CachedLlmOptions::ttl must be at least a millisecond and fit into 64 bits of them");
  }
  if (advanced.command_timeout <= std::chrono::milliseconds::zero()) {
    return bad("CachedLlmAdvanced::command_timeout must be positive");
  }
  if (advanced.connect_timeout < std::chrono::milliseconds::zero()) {
    return bad("CachedLlmAdvanced::connect_timeout must not be negative");
  }
  if (advanced.store_timeout <= std::chrono::milliseconds::zero()) {
    return bad("CachedLlmAdvanced::store_timeout must be positive");
  }
  if (advanced.breaker_open < std::chrono::milliseconds::zero()) {
    return bad("CachedLlmAdvanced::breaker_open must not be negative");
  }
  if (advanced.lease < std::chrono::milliseconds::zero()) {
    return bad("CachedLlmAdvanced::lease must not be negative");
  }
  if (advanced.lease_life < advanced.lease) {
    return bad("CachedLlmAdvanced::lease_life must not be shorter than lease");
  }
  if (advanced.stale_while_revalidate < std::chrono::milliseconds::zero()) {
    return bad("CachedLlmAdvanced::stale_while_revalidate must not be negative");
  }
  if (advanced.stale_if_error < std::chrono::milliseconds::zero()) {
    return bad("CachedLlmAdvanced::stale_if_error must not be negative");
  }
  if (advanced.stale_while_revalidate > std::chrono::milliseconds::zero()) {
    if (advanced.refresh_lease <= std::chrono::milliseconds::zero()) {
      return bad("CachedLlmAdvanced::refresh_lease must be positive");
    }
    if (advanced.lease_life < advanced.refresh_lease) {
      return bad("CachedLlmAdvanced::lease_life must not be shorter than refresh_lease");
    }
  }
  return std::nullopt;
}

std::string failed_message(const CachedLlmAdvanced& advanced, const Error& error) {
  return "the cache failed " + std::to_string(advanced.breaker_failures) + " times in a row (" +
         to_string(error.code) + (error.server_code.empty() ? "" : " " + error.server_code) +
         "): it is left alone for " + std::to_string(advanced.breaker_open.count()) + " ms";
}

}  // namespace

CallShared::CallShared(CachedLlmOptions chosen, CacheIdentity model_identity,
                       std::string wire_prefix, Ttl cache_ttl, bool has_near_cache)
    : options(std::move(chosen)),
      identity(std::move(model_identity)),
      prefix(std::move(wire_prefix)),
      ttl(options.ttl.value_or(cache_ttl)),
      near(has_near_cache),
      simple_parts(SimpleParts::of(options, identity)),
      codec({.format = options.advanced.format,
             .secret = options.advanced.key.secret,
             .max_bytes = options.advanced.max_entry_bytes}),
      context(std::make_shared<CallbackContext>(
          CallbackContext{.executor = options.advanced.executor, .log = options.advanced.log})),
      fork_generation_made(fork_generation()),
      unusable(first_fault(options)),
      breaker(options.advanced.breaker_failures, options.advanced.breaker_open),
      watchdog(&Call::end_watched) {}

bool CallShared::forked() const noexcept {
  return fork_generation() != fork_generation_made;
}

void CallShared::log(LogLevel level, std::string_view message) const noexcept {
  report(options.advanced.log, level, "cached", message);
}

void CallShared::log_once(std::atomic<bool>& told, LogLevel level,
                          std::string_view message) const noexcept {
  if (!told.exchange(true, std::memory_order_relaxed)) log(level, message);
}

void CallShared::cache_failed(const Error& error, Verdict verdict) {
  if (verdict != Verdict::failing) return;
  if (breaker.failed(error, Breaker::TimePoint::clock::now())) {
    log(LogLevel::warning, failed_message(advanced(), error));
  }
}

void CallShared::cache_probed(bool well) {
  if (breaker.probed(well, Breaker::TimePoint::clock::now())) {
    log(LogLevel::info, "the cache answers again and is used again");
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
