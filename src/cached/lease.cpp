#include "cached/lease.hpp"

#include <algorithm>
#include <utility>

#include "key/lease_name.hpp"

namespace valkeycache::inline v0 {
namespace detail {

CacheKey lease_key_of(const CacheKey& entry) {
  // A key's own parts make a key.
  return CacheKey::raw(entry.namespaces(), entry.text() + std::string(lease_suffix)).value();
}

std::shared_ptr<Lease> Lease::hold(const std::shared_ptr<CachedLlmCore>& core, CacheKey key,
                                   std::string token, std::chrono::milliseconds time) {
  auto lease = std::make_shared<Lease>(core, std::move(key), std::move(token), time);
  lease->shared_->held_leases.add(lease->token_, lease->key_);
  return lease;
}

Lease::Lease(const std::shared_ptr<CachedLlmCore>& core, CacheKey key, std::string token,
             std::chrono::milliseconds time)
    : core_(core),
      shared_(core->shared()),
      key_(std::move(key)),
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
  const auto core = core_.lock();
  if (!core) return;
  try {
    FutureAccess::on_ready(core->cache().expire_if(key_, token_, time_, {.timeout = time_}),
                           [weak = weak_from_this()](const Result<bool>& extended) {
                             // A lease that is lost stays so: the store finds that out.
                             if (extended && !*extended) return;
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
  const auto core = core_.lock();
  if (!core) return;  // it is given back with all the others
  shared_->held_leases.remove(token_);
  try {
    const auto& cache = core->cache();
    const CallOptions options{.timeout = shared_->advanced().store_timeout};
    if (outcome == Outcome::not_stored) {
      cache.replace_if(key_, token_, std::string(lease_not_stored), time_, options);
    } else {
      cache.erase_if(key_, token_, options);
    }
  } catch (...) {  // no memory: it ends by itself
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
