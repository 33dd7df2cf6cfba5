#include "cached/lease.hpp"

#include <algorithm>
#include <utility>

#include "base/crypto.hpp"
#include "key/lease_name.hpp"

namespace valkeycache::inline v0 {
namespace detail {

CacheKey lease_key_of(const CacheKey& entry) {
  // A key's own parts make a key.
  return CacheKey::raw(entry.namespaces(), entry.text() + std::string(lease_suffix)).value();
}

Lease::Lease(std::shared_ptr<CallShared> shared_part, std::string token,
             std::chrono::milliseconds time)
    : shared_(std::move(shared_part)),
      token_(std::move(token)),
      time_(time),
      end_(std::chrono::steady_clock::now() + lease_life(shared_->advanced())) {}

Lease::~Lease() {
  release(Outcome::failed);
}

void Lease::start() {
  schedule();
}

void Lease::schedule() {
  const auto pause = std::max(time_ / 3, std::chrono::milliseconds(1));
  shared_->timer.after(pause, [weak = weak_from_this()] {
    if (const auto lease = weak.lock()) lease->beat();
  });
}

void Lease::beat() {
  if (over_.load() || std::chrono::steady_clock::now() >= end_) return;
  try {
    auto extended = shared_->held_leases.extend(token_, time_);
    if (!extended) return;
    FutureAccess::on_ready(*std::move(extended),
                           [weak = weak_from_this()](const Result<bool>& still_ours) {
                             // A lease that is lost stays so: the store finds that out.
                             if (still_ours && !*still_ours) return;
                             const auto lease = weak.lock();
                             if (!lease) return;
                             try {
                               lease->schedule();
                             } catch (...) {  // no memory: the lease ends by itself
                             }
                           });
  } catch (...) {
  }
}

void Lease::release(Outcome outcome) noexcept {
  if (over_.exchange(true)) return;
  if (outcome == Outcome::not_stored) {
    shared_->held_leases.give_back_marked(token_, time_);
  } else {
    shared_->held_leases.give_back(token_);
  }
}

LeaseWait::LeaseWait(std::shared_ptr<CallShared> shared_part, CacheKey lease_key)
    : key(std::move(lease_key)),
      token(random_hex()),
      until(std::chrono::steady_clock::now() + lease_life(shared_part->advanced())),
      shared_(std::move(shared_part)) {
  shared_->held_leases.add(token, key);
}

LeaseWait::~LeaseWait() {
  if (held) return;
  if (perhaps_taken_) {
    shared_->held_leases.give_back(token);
  } else {
    shared_->held_leases.forget(token);
  }
}

void LeaseWait::tried(const Result<bool>& taken, std::chrono::milliseconds time) {
  perhaps_taken_ = perhaps_taken_ || (taken ? *taken : taken.error().maybe_applied);
  if (taken && *taken) held = std::make_shared<Lease>(shared_, token, time);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
