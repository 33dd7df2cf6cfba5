// A call's part in a lease: taking it, or waiting for what its holder stores.
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/crypto.hpp"
#include "cached/call.hpp"
#include "cached/call_errors.hpp"
#include "cached/freshness.hpp"
#include "cached/lease.hpp"

namespace valkeycache::inline v0 {
namespace detail {

namespace {

constexpr std::chrono::milliseconds longest_pause{250};

// Between half of it and all of it.
std::chrono::milliseconds jittered(std::chrono::milliseconds pause) {
  const auto half = static_cast<double>(pause.count()) / 2;
  const std::chrono::milliseconds drawn{std::llround(half + half * random_part())};
  return std::max(drawn, std::chrono::milliseconds(1));
}

}  // namespace

bool Call::leases() const noexcept {
  const auto& advanced = shared_->advanced();
  return advanced.lease > std::chrono::milliseconds::zero() && cache_status_ == CacheStatus::miss &&
         !foreign_entry_ && !stores_nothing();
}

// After a lookup that found nothing.
void Call::take_lease(std::shared_ptr<CachedLlmCore> core) {
  if (!core) return ask_model(nullptr);
  lease_ = std::make_unique<LeaseWait>(shared_, lease_key_of(request_->key));
  watch_once();
  try_lease(std::move(core));
}

// One step of a poll: takes the lease if nobody has it, and looks what there is by then.
void Call::try_lease(std::shared_ptr<CachedLlmCore> core) {
  if (!core) return give_up_lease(nullptr);
  if (claimed() || late() || options_.stop_token.stop_requested()) {
    // It waits no longer, others may.
    const auto follower = hand_over();
    if (follower) follower->take_over(*this, std::move(core));
    lease_.reset();
    core.reset();
    return finish(options_.stop_token.stop_requested() ? error_cancelled() : error_timeout());
  }
  const auto& advanced = shared_->advanced();
  const CallOptions options{.timeout = advanced.command_timeout};
  // One after the other on one connection: what is seen was there once the lease was taken or
  // found taken.
  auto taken = core->cache().set_if_absent(lease_->key, lease_->token, advanced.lease, options);
  auto seen = core->cache().get(std::vector<CacheKey>{request_->key, lease_->key}, options);
  core.reset();
  FutureAccess::on_ready(
      std::move(taken), [call = self(), seen = std::move(seen)](Result<bool> took) mutable {
        FutureAccess::on_ready(std::move(seen),
                               [call = std::move(call), took = std::move(took)](auto found) {
                                 call->guarded([&] { call->lease_tried(took, std::move(found)); });
                               });
      });
}

void Call::lease_tried(const Result<bool>& taken,
                       Result<std::vector<Result<std::optional<std::string>>>> found) {
  auto core = core_.lock();
  lease_->tried(taken, shared_->advanced().lease);
  const Error* error = nullptr;
  if (!taken) {
    error = &taken.error();
  } else if (!found) {
    error = &found.error();
  } else {
    for (const auto& one : *found) {
      if (!one) error = &one.error();
    }
  }
  if (!core || error) {
    // Without Valkey everybody asks.
    if (error) shared_->cache_failed(*error, judge_lookup(*error));
    return give_up_lease(std::move(core));
  }
  shared_->breaker.succeeded();

  auto& entry = *(*found)[0];
  if (entry && entry != seen_) {
    auto decoded = shared_->codec.decode(*entry, request_->key, wire_key());
    if (decoded.fault == EntryFault::none) {
      if (lease_->held) lease_->held->release(Lease::Outcome::stored);
      core.reset();
      return found_by_lease(std::move(decoded.entry));
    }
    unreadable(decoded.fault);
    seen_ = std::move(entry);
  }
  if (lease_->held) {
    lease_->held->start();
    return ask_model(std::move(core));
  }
  const auto& holder = *(*found)[1];
  if (holder && *holder == lease_not_stored) return give_up_lease(std::move(core));

  const auto pause = jittered(lease_->pause);
  lease_->pause = std::min(lease_->pause * 2, longest_pause);
  if (Clock::now() + pause >= lease_->until) return give_up_lease(std::move(core));
  core.reset();
  if (!pause_for(pause)) give_up_lease(core_.lock());
}

bool Call::pause_for(std::chrono::milliseconds pause) {
  const auto end = Clock::now() + pause;
  const auto until = end.time_since_epoch().count();
  pauses_until_.store(until);
  const bool waits = shared_->timer.after(pause, [call = self(), until] {
    if (!call->end_pause(until)) return;
    call->guarded([&] { call->try_lease(call->core_.lock()); });
  });
  // Who joins from now on sees the pause; who has joined is seen here.
  if (waits && end < shared_->flights.patience_of(*this)) return true;
  return !end_pause(until);
}

bool Call::end_pause(Clock::rep until) noexcept {
  return pauses_until_.compare_exchange_strong(until, 0);
}

void Call::hurry(Call& leading) {
  const auto until = leading.pauses_until_.load();
  if (until == 0 || patience.time_since_epoch().count() >= until) return;
  const auto rest = std::chrono::floor<std::chrono::milliseconds>(patience - Clock::now());
  shared_->timer.after(std::max(rest, std::chrono::milliseconds::zero()),
                       [call = self()] { call->hurried(); });
}

void Call::hurried() noexcept {
  const auto leader = shared_->flights.leader_of(*this);
  if (!leader) return;
  auto& leading = static_cast<Call&>(*leader);
  const auto until = leading.pauses_until_.load();
  if (until == 0 || !leading.end_pause(until)) return;
  leading.guarded([&] { leading.give_up_lease(leading.core_.lock()); });
}

void Call::give_up_lease(std::shared_ptr<CachedLlmCore> core) {
  lease_.reset();
  ask_model(std::move(core));
}

// Another process has asked and stored.
void Call::found_by_lease(Entry entry) {
  lease_.reset();
  events_ = std::move(entry.events);
  CachedAnswer answer = answer_of(std::move(entry));
  answer.source = AnswerSource::shared;
  answer.cache_status = CacheStatus::miss;
  land(answer, shared_->counters.shared);
  finish(std::move(answer));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
