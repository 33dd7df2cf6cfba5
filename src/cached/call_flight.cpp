// A call's part in a flight: joining, leading, landing.
#include <utility>

#include "cached/call.hpp"
#include "cached/call_errors.hpp"
#include "key/key_data.hpp"

namespace valkeycache::inline v0 {
namespace detail {

bool Call::flies() const noexcept {
  return shared_->advanced().single_flight && !request_->bypass && !options_.cache_only;
}

// True: another call asks, and this one waits for it.
bool Call::join_flight() {
  flight_key = KeyAccess::digest_bytes(request_->key);
  flight_kind = static_cast<std::uint8_t>((looks_up() ? 0 : 1) | (stores_nothing() ? 2 : 0));
  if (options_.max_age && looks_up()) {
    // What one may be given is too old for another.
    const auto mark = static_cast<std::uint64_t>(options_.max_age->count()) + 1;
    for (std::size_t i = 0; i < sizeof mark; ++i) {
      flight_key[16 + i] ^= static_cast<std::uint8_t>(mark >> (8 * i));
    }
  }
  step_started_ = Clock::now();
  flies_ = true;
  const auto leading = shared_->flights.join(*this);
  if (!leading) return false;
  static_cast<Call&>(*leading).somebody_follows();
  hurry(static_cast<Call&>(*leading));
  watch();
  if (reader) reader->wake();
  // Its answer may have come before it was watched.
  if (claimed()) shared_->watchdog.disarm(this);
  return true;
}

// The leader's lookup may be waiting for its caller to carry it, who may be long in coming.
void Call::somebody_follows() noexcept {
  followed_.store(true);
  if (auto* const helper = lookup_helper_.load()) helper->go_on_alone();
}

void Call::watch_once() {
  if (!joined && !watched_) watch();
}

void Call::watch() {
  watched_ = true;
  const auto& stop = options_.stop_token;
  shared_->watchdog.arm(self(), deadline_, stop.stop_possible());
  if (stop.stop_possible()) on_stop_.emplace(stop, OnStop{this});
}

void Call::depart() noexcept {
  if (!flies_) {
    if (reader || refresh_) shared_->flights.stop_of(*this).request_stop();
    return;
  }
  auto departure = shared_->flights.depart(*this);
  if (departure.followed) shared_->counters.unfinished.add();
  departure.stop.request_stop();
}

bool Call::can_lead(const FlightNode& node) noexcept {
  const auto& call = static_cast<const Call&>(node);
  return !call.claimed() && !call.options_.stop_token.stop_requested() && !call.late();
}

bool Call::late() const noexcept {
  return deadline_ && Clock::now() >= *deadline_;
}

Ref<Call> Call::hand_over() noexcept {
  if (!flies_) return {};
  auto handed = shared_->flights.hand_over(*this, &Call::can_lead);
  for_each(handed.left, [](Call& follower) {
    follower.shared_->counters.unfinished.add();
    follower.finish(follower.options_.stop_token.stop_requested() ? error_cancelled()
                                                                  : error_timeout());
  });
  return Ref<Call>::adopt(static_cast<Call*>(handed.next.detach()));
}

// The flight's lookup has ended without an answer, as the one who led knows.
void Call::take_over(Call& leading, std::shared_ptr<CachedLlmCore> core) noexcept {
  guarded([&] {
    cache_status_ = leading.cache_status_;
    cache_error_ = leading.cache_error_;
    bypass_ = leading.bypass_;
    foreign_entry_ = leading.foreign_entry_;
    seen_ = std::move(leading.seen_);
    stale_ = std::move(leading.stale_);
    lease_ = std::move(leading.lease_);
    auto& counters = shared_->counters;
    switch (cache_status_) {
      case CacheStatus::bypass:
        count_bypass();
        break;
      case CacheStatus::error:
        counters.cache_errors.add();
        break;
      default:
        counters.misses.add();
    }
    if (core && lease_ && !lease_->held) return try_lease(std::move(core));
    ask_model(std::move(core));
  });
}

void Call::land(const Error& error, Counter& counter) noexcept {
  if (!flies_) return;
  for_each(shared_->flights.land(*this), [&](Call& follower) {
    follower.claim_for(counter, [&] { return Result<CachedAnswer>(error); });
  });
}

void Call::land(const CachedAnswer& answer, Counter& counter) noexcept {
  if (!flies_) return;
  for_each(shared_->flights.land(*this), [&](Call& follower) {
    std::shared_ptr<Recording> events;
    if (follower.reader) events = replay(answer);
    const auto copied = [&] {
      CachedAnswer copy = answer;
      copy.latency_ms = ms_since(follower.step_started_);
      copy.total_ms = ms_since(follower.started_);
      if (!answer.cached && answer.source != AnswerSource::shared) {
        copy.source = AnswerSource::shared;
        copy.avoided_usage = std::exchange(copy.usage, {});
      }
      return Result<CachedAnswer>(std::move(copy));
    };
    follower.claim_for(counter, copied, events);
  });
}

// Counted once: here, also where it has ended early and its departure found it gone from the
// flight.
template <class Make>
void Call::claim_for(Counter& counter, Make make,
                     const std::shared_ptr<Recording>& replay) noexcept {
  if (!claim()) {
    shared_->counters.unfinished.add();
    return;
  }
  counter.add();
  Result<CachedAnswer> result = error_closed();
  try {
    result = make();
  } catch (...) {
    result = error_of(ErrorCode::callback_failed, "no memory for a copy of the answer");
  }
  conclude(std::move(result), replay);
}

template <class Visit>
void Call::for_each(Flights::Chain chain, Visit visit) noexcept {
  while (chain) {
    const auto follower = Ref<Call>::adopt(static_cast<Call*>(chain));
    chain = std::exchange(follower->after, nullptr);
    visit(*follower);
  }
}

// Before the others try again.
void Call::fail_who_have_heard(const Error& error) noexcept {
  if (!flies_ || !recording_) return;
  const auto heard = [](const FlightNode& node) noexcept {
    return node.reader && node.reader->has_heard();
  };
  for_each(shared_->flights.take_if(*this, heard), [&](Call& follower) {
    follower.claim_for(shared_->counters.shared, [&] { return Result<CachedAnswer>(error); });
  });
}

}  // namespace detail
}  // namespace valkeycache::inline v0
