// The lease on a key: which of several processes asks the model.
//
//   SET k:lease token NX PX   takes it; the token is 128 random bits
//   a heartbeat               extends it while the model is asked, but not for ever
//   its release               erases it or, where the answer was not stored, leaves a mark in its
//                             place for a while: who waits need not hope for an entry then
//
// Taking and erasing are conditional on the token, in one step on the server, so a holder that lost
// its lease without noticing touches nobody else's.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/result.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "cached/shared.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// In the place of a token: asked, answered, and not stored.
inline constexpr std::string_view lease_not_stored = "-";

CacheKey lease_key_of(const CacheKey& entry);

// A year is for ever, and can be added to any time.
inline std::chrono::milliseconds lease_life(const CachedLlmAdvanced& advanced) noexcept {
  return std::min<std::chrono::milliseconds>(advanced.lease_life, std::chrono::hours(24 * 365));
}

// Held from its making to release(). Owned by a shared pointer; thread-safe.
class Lease : public std::enable_shared_from_this<Lease> {
 public:
  // Of what was just taken, for `time`; the shared part's held_leases knows the token.
  Lease(std::shared_ptr<CallShared> shared_part, std::string token, std::chrono::milliseconds time);
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  // Releases it, as after a failure.
  ~Lease();

  // Begins the heartbeat.
  void start();

  enum class Outcome : std::uint8_t {
    stored,      // or found: the entry tells
    not_stored,  // nobody need wait for an entry, and nobody should refresh it for a while
    failed,      // somebody else may try
  };
  // Once; nobody waits for it.
  void release(Outcome outcome) noexcept;

 private:
  void beat();
  void schedule();

  const std::shared_ptr<CallShared> shared_;
  const std::string token_;
  const std::chrono::milliseconds time_;
  const std::chrono::steady_clock::time_point end_;
  std::atomic<bool> over_{false};
};

// What a call that wants the lease knows, and what it may have of it.
class LeaseWait {
 public:
  LeaseWait(std::shared_ptr<CallShared> shared_part, CacheKey lease_key);
  LeaseWait(const LeaseWait&) = delete;
  LeaseWait& operator=(const LeaseWait&) = delete;
  // Gives back what may have been taken without its knowing.
  ~LeaseWait();

  // What came of SET NX, for `time`.
  void tried(const Result<bool>& taken, std::chrono::milliseconds time);

  const CacheKey key;
  const std::string token;
  const std::chrono::steady_clock::time_point until;  // then it asks without
  std::chrono::milliseconds pause{5};
  std::shared_ptr<Lease> held;  // taken

 private:
  const std::shared_ptr<CallShared> shared_;
  bool perhaps_taken_ = false;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
