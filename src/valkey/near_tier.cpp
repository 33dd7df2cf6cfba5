#include "valkey/near_tier.hpp"

#include <algorithm>
#include <utility>

namespace valkeycache::inline v0 {
namespace detail {

NearTier::NearTier(const NearCacheOptions& options, std::string prefix)
    : prefix_(std::move(prefix)),
      max_age_(options.max_age),
      heartbeat_(options.heartbeat),
      store_(options.max_bytes) {}

std::shared_ptr<NearEntry> NearTier::find(std::string_view key, SteadyTime now, bool count_miss) {
  if (now < trusted_until()) return store_.find(key, now, count_miss);
  if (count_miss) distrusted_.fetch_add(1, std::memory_order_relaxed);
  return nullptr;
}

bool NearTier::attach(NearEntry& entry, std::shared_ptr<const void> object, const void* tag,
                      std::size_t bytes, SteadyTime now) {
  return store_.attach(entry, std::move(object), tag, bytes, now);
}

NearTier::Fill NearTier::begin_fill(std::string_view key, SteadyTime now) {
  return {.leave = store_.begin_fill(key), .asked = now};
}

void NearTier::end_fill(const Fill& fill, std::string_view key, std::string_view value,
                        std::int64_t pttl_ms, SteadyTime now, NearFeed& feed) {
  if (pttl_ms < -1 || !feed.may_keep(now)) return;
  auto expires = SteadyTime::max();
  // A century is for ever, and can be added to any time without overflow.
  constexpr std::int64_t longest_ms =
      std::chrono::milliseconds(std::chrono::hours(100 * 24 * 365)).count();
  if (pttl_ms >= 0) {
    expires = fill.asked + std::chrono::milliseconds(std::min(pttl_ms, longest_ms));
  }
  auto deadline = expires;
  if (!feed.tells_of_changes()) deadline = std::min(deadline, fill.asked + max_age_);
  store_.fill(fill.leave, key, value, deadline, now, expires);
}

void NearTier::add_to(ValkeyCacheStats& stats, SteadyTime now) const {
  const auto near = store_.stats();
  stats.gets += near.hits;
  stats.hits += near.hits;
  stats.near_hits = near.hits;
  stats.near_misses = near.misses + distrusted_.load(std::memory_order_relaxed);
  stats.near_entries = near.entries;
  stats.near_bytes = near.bytes;
  stats.near_evictions = near.evictions;
  stats.near_invalidations = near.invalidations;
  // Without entries nobody asks for proofs, and none is needed.
  const bool trusted = near.entries == 0 || now < trusted_until();
  stats.near_coherence = trusted ? coherence_.load(std::memory_order_relaxed) : NearCoherence::off;
}

// --- the connection ---

void NearTier::connected(bool tracking, SteadyTime now) {
  coherence_.store(tracking ? NearCoherence::tracking : NearCoherence::max_age,
                   std::memory_order_relaxed);
  // Nothing has been read on it yet, so nothing can have become invalid. Without tracking the age
  // of each entry is all there is to trust.
  trust_until(tracking ? now + 2 * heartbeat_ : SteadyTime::max());
  store_.open();
}

void NearTier::disconnected() {
  trust_until(SteadyTime::min());
  coherence_.store(NearCoherence::off, std::memory_order_relaxed);
  store_.shut();
}

void NearTier::take_push(const Reply& push) {
  const auto& parts = push.elements;
  if (parts.empty() || parts[0].text != "invalidate") return;
  if (parts.size() != 2 || parts[1].type != Reply::Type::array) {
    store_.invalidate_all();  // nil: the database was flushed
    return;
  }
  for (const auto& key : parts[1].elements) {
    const std::string_view wire_key = key.text;
    if (wire_key.starts_with(prefix_)) store_.invalidate(wire_key.substr(prefix_.size()));
  }
}

void NearTier::prove(SteadyTime asked) noexcept {
  const auto until = asked + 2 * heartbeat_;
  if (until > trusted_until()) trust_until(until);
}

std::optional<SteadyTime> NearTier::heartbeat_due() const noexcept {
  if (coherence_.load(std::memory_order_relaxed) != NearCoherence::tracking || store_.empty()) {
    return std::nullopt;
  }
  return trusted_until() - heartbeat_;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
