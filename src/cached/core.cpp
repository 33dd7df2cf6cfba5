#include "cached/core.hpp"

#include <valkeycache/future.hpp>

#include <atomic>
#include <chrono>
#include <string>
#include <utility>

#include "base/utf8.hpp"
#include "cached/pinned.hpp"
#include "key/key_data.hpp"
#include "key/python_text.hpp"

namespace valkeycache::inline v0 {
namespace detail {

namespace {

// An implementation of the user's: it may throw.
CacheIdentity identity_of(const std::shared_ptr<Llm>& model, std::optional<Error>& fault) {
  if (!model) {
    fault = Error{.code = ErrorCode::invalid_argument,
                  .message = "the CachedLlm was made without a model (a null pointer)"};
    return {};
  }
  try {
    return model->cache_identity();
  } catch (...) {
    fault = Error{.code = ErrorCode::callback_failed, .message = "Llm::cache_identity() threw"};
    return {};
  }
}

std::shared_ptr<CallShared> make_shared_part(const ValkeyCache& cache,
                                             const std::shared_ptr<Llm>& model,
                                             CachedLlmOptions options) {
  std::optional<Error> fault;
  auto identity = identity_of(model, fault);
  auto shared =
      std::make_shared<CallShared>(std::move(options), std::move(identity), cache.prefix(),
                                   cache.default_ttl(), cache.has_near_cache());
  if (fault) shared->unusable = std::move(fault);
  return shared;
}

bool blank(const ChatRequest& request) {
  const auto triple = request.as_triple();
  return triple && triple->prompt.empty();
}
Error blank_prompt() {
  return {.code = ErrorCode::invalid_argument,
          .message = "the prompt is blank: there is nothing to ask"};
}

}  // namespace

CachedLlmCore::CachedLlmCore(ValkeyCache cache, std::shared_ptr<Llm> model,
                             CachedLlmOptions options)
    : cache_(std::move(cache)),
      model_(std::move(model)),
      shared_(make_shared_part(cache_, model_, std::move(options))) {
  const auto& advanced = shared_->advanced();
  shared_->held_leases.open(cache_, {.timeout = advanced.store_timeout});
  const auto& alias = advanced.key.key_model;
  if (!alias.empty() && alias != shared_->identity.model &&
      advanced.format == EntryFormat::standard) {
    shared_->log(LogLevel::warning,
                 "KeyOptions::key_model is set while CachedLlmAdvanced::format is standard: a "
                 "Python service with this key model and prefix would use the same keys and not "
                 "understand the entries; EntryFormat::langgraph is for sharing them");
  }
}

CachedLlmCore::~CachedLlmCore() {
  if (shared_->forked()) {
    shared_->timer.leak();
    shared_->watchdog.leak();
  } else {
    shared_->timer.close();
    shared_->watchdog.close();
    shared_->held_leases.close();
  }
}

Result<PreparedRequest> CachedLlmCore::prepare(std::string_view prompt) const {
  if (const auto& parts = shared_->simple_parts; parts && is_valid_utf8(prompt)) {
    // The key by its parts, and a request that is its own normal form: nothing is read back.
    const auto stripped = python_strip(prompt);
    if (stripped.empty()) return blank_prompt();
    auto key = simple_key(parts->model, parts->temperature, stripped);
    if (!key) return std::move(key).error();
    auto request = ChatRequest(stripped);
    request.temperature(shared_->advanced().temperature);
    return PreparedRequest{std::move(request), *std::move(key), std::nullopt};
  }
  const auto request = ChatRequest(prompt).temperature(shared_->advanced().temperature);
  if (const auto* error = request.error()) return *error;
  if (blank(request)) return blank_prompt();
  return keyed(request.normalized());
}

Result<PreparedRequest> CachedLlmCore::prepare(const ChatRequest& request) const {
  auto prepared = keyed(request);
  if (!prepared || !prepared->key.is_simple()) return prepared;
  if (blank(request)) return blank_prompt();
  prepared->request = request.normalized();
  return prepared;
}

Result<PreparedRequest> CachedLlmCore::keyed(ChatRequest request) const {
  auto key = CacheKey::of(request, shared_->identity, shared_->advanced().key);
  if (!key) return std::move(key).error();
  auto bypass =
      why_unpinned(*key, request.model().empty() ? shared_->identity.model : request.model());
  if (!bypass && shared_->advanced().deterministic_only && !is_deterministic(request)) {
    bypass = BypassReason::not_deterministic;
  }
  return PreparedRequest{std::move(request), *std::move(key), bypass};
}

std::chrono::milliseconds CachedLlmCore::lookup_budget() const {
  const auto& advanced = shared_->advanced();
  if (shared_->cache_was_connected.load(std::memory_order_relaxed)) return advanced.command_timeout;
  if (cache_.connected() || cache_.stats().connects > 0) {
    shared_->cache_was_connected.store(true, std::memory_order_relaxed);
    return advanced.command_timeout;
  }
  return advanced.connect_timeout + advanced.command_timeout;
}

void CachedLlmCore::probe() const {
  const auto& advanced = shared_->advanced();
  // Longer than a lookup may take, since nobody waits and the cache may be about to reconnect.
  FutureAccess::on_ready(
      cache_.ping({.timeout = advanced.connect_timeout + advanced.command_timeout}),
      [shared = shared_](const Result<std::chrono::microseconds>& pong) {
        shared->cache_probed(pong.has_value());
      });
}

CachedLlmStats CachedLlmCore::stats() const {
  auto stats = shared_->counters.read();
  shared_->meter.read(stats);
  stats.breaker_open = shared_->breaker.is_open();
  stats.breaker_trips = shared_->breaker.trips();
  return stats;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
