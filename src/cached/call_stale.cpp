// A call's part in what is stale: refreshing it behind a hit, and falling back on it.
#include <algorithm>
#include <utility>

#include "cached/call.hpp"
#include "cached/call_errors.hpp"
#include "cached/freshness.hpp"
#include "cached/lease.hpp"
#include "key/key_data.hpp"

namespace valkeycache::inline v0 {
namespace detail {

namespace {

// Between two looks at who refreshes a key; what another process does is seen that much later.
constexpr std::chrono::milliseconds longest_rest{1000};

}  // namespace

std::chrono::milliseconds Call::age_of(const StaleEntry& stale) {
  return stale.age +
         std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - stale.found);
}

// The model has failed: what was too old to be given at once is better than nothing.
void Call::answer_stale(Error error) {
  auto stale = std::exchange(stale_, nullptr);
  const bool heard = reader && reader->has_heard();
  recording_ = nullptr;  // it broke off
  events_ = std::move(stale->entry.events);
  auto answer = answer_of(std::move(stale->entry));
  answer.cached = true;
  answer.source = AnswerSource::stale;
  answer.cache_status = cache_status_;
  answer.age = age_of(*stale);
  answer.model_error = error;
  land(answer, shared_->counters.shared);
  release_lease(Lease::Outcome::failed);
  if (heard) return finish(std::move(error));
  finish(std::move(answer));
}

// Time goes on while the model is asked.
bool Call::stale_still_serves() const noexcept {
  if (!stale_ || (!flies_ && late())) return false;
  return !options_.max_age || age_of(*stale_) <= *options_.max_age;
}

// Before the hit is published: whoever has that may let go of the cache.
void Call::refresh_behind(const Entry& entry, std::string_view bytes) noexcept {
  if (options_.cache_only || stores_nothing() || shared_->breaker.is_open()) return;
  try {
    const auto core = core_.lock();
    if (!core) return;
    auto ticket = shared_->refreshes.begin(KeyAccess::digest_bytes(request_->key));
    if (!ticket) return;
    const auto call = Ref<Call>::adopt(new Call(core, AskOptions{.ttl = options_.ttl}));
    call->request_.emplace(*request_);
    call->seen_ = bytes;
    call->cache_status_ = CacheStatus::bypass;
    call->bypass_ = BypassReason::refresh;
    call->refresh_ = std::make_unique<Refresh>(Refresh{.ticket = std::move(ticket),
                                                       .stale = {.response = {},
                                                                 .hard_ttl_ms = entry.hard_ttl_ms,
                                                                 .soft_ttl_ms = entry.soft_ttl_ms},
                                                       .by_events = !entry.events.empty()});
    call->guarded([&] { call->take_refresh_lease(*core); });
  } catch (...) {  // no memory: another hit's matter
  }
}

void Call::take_refresh_lease(const CachedLlmCore& core) {
  lease_ = std::make_unique<LeaseWait>(shared_, lease_key_of(request_->key));
  watch_once();
  const auto& advanced = shared_->advanced();
  const CallOptions options{.timeout = advanced.store_timeout};
  auto taken =
      core.cache().set_if_absent(lease_->key, lease_->token, advanced.refresh_lease, options);
  (void)taken.ready();  // nobody waits for it
  FutureAccess::on_ready(std::move(taken), [call = self(), options](Result<bool> took) {
    call->guarded([&] { call->look_again(std::move(took), options); });
  });
}

// Who finds the lease free and the entry still stale is the one; in this order, for the two may be
// on different servers.
void Call::look_again(Result<bool> taken, const CallOptions& options) {
  lease_->tried(taken, shared_->advanced().refresh_lease);
  const auto core = core_.lock();
  if (!core) return finish(error_closed());
  auto left = core->cache().ttl(request_->key, options);
  (void)left.ready();
  FutureAccess::on_ready(std::move(left), [call = self(), taken = std::move(taken)](
                                              const Result<std::optional<Ttl>>& time) {
    call->guarded([&] { call->refresh_lease_tried(taken, time); });
  });
}

void Call::refresh_lease_tried(const Result<bool>& taken, const Result<std::optional<Ttl>>& left) {
  auto core = core_.lock();
  const auto& advanced = shared_->advanced();
  if (!core) return finish(error_closed());
  if (!taken || !left) {
    const auto& error = taken ? left.error() : taken.error();
    shared_->cache_failed(error, judge_store(error));
    rest_from_refreshing();
    release_lease(Lease::Outcome::failed);
    core.reset();
    return finish(error);
  }
  shared_->breaker.succeeded();
  const bool still_stale = *left && judge_age(refresh_->stale, age_by_ttl(refresh_->stale, **left),
                                              **left, advanced, std::nullopt) != Freshness::fresh;
  if (!*taken || !still_stale) {
    if (!*taken) rest_from_refreshing();
    release_lease(Lease::Outcome::stored);
    core.reset();
    return finish(error_of(ErrorCode::cancelled, "another refreshes, or has refreshed, the entry"));
  }
  lease_->held->start();
  ask_model(std::move(core));
}

void Call::refresh_failed(Error error) {
  not_stored();
  finish(std::move(error));
}

void Call::rest_from_refreshing() noexcept {
  refresh_->ticket.rest_after(std::min(shared_->advanced().refresh_lease, longest_rest));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
