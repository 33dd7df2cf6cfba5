// NearTier: the near cache of one connection. It decides what of the store may be served, and feeds
// the store with what the server says.
//
// A value may be served when every invalidation that the server sent until some moment has been
// read, and that moment is recent: the proof. What a fetch or a PING is answered with stands behind
// all earlier invalidations in the stream, so its answer proves everything up to the time it was
// asked at. A proof lasts two heartbeats; a connection that died silently, or a thread that is kept
// from reading it, stops the serving by doing nothing.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "valkey/near_feed.hpp"
#include "valkey/near_store.hpp"
#include "valkey/reply.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class NearTier final : public NearFeed {
 public:
  // Of checked options.
  NearTier(const NearCacheOptions& options, std::string prefix);

  // --- from any thread; keys are without the cache's prefix ---
  [[nodiscard]] std::shared_ptr<NearEntry> find(std::string_view key, SteadyTime now,
                                                bool count_miss);
  bool attach(NearEntry& entry, std::shared_ptr<const void> object, const void* tag,
              std::size_t bytes, SteadyTime now);

  struct Fill {
    NearStore::Fill leave;
    SteadyTime asked{};
  };
  // Before the command is submitted.
  [[nodiscard]] Fill begin_fill(std::string_view key, SteadyTime now);
  // With what GET and PTTL answered: milliseconds, -1 for no TTL, -2 for no entry. The local TTL
  // runs from before the question, so it is over no later than the entry's own.
  void end_fill(const Fill& fill, std::string_view key, std::string_view value,
                std::int64_t pttl_ms, SteadyTime now) {
    end_fill(fill, key, value, pttl_ms, now, *this);
  }
  // It came over the connection of that feed.
  void end_fill(const Fill& fill, std::string_view key, std::string_view value,
                std::int64_t pttl_ms, SteadyTime now, NearFeed& feed);

  // A write of our own, after it has its place in the order of commands: a fetch in front of it may
  // still bring the old value, and must not put it in; one behind it brings the new value.
  void invalidate(std::string_view key) { store_.invalidate(key); }
  void invalidate_prefix(std::string_view prefix) { store_.invalidate_prefix(prefix); }

  void add_to(ValkeyCacheStats& stats, SteadyTime now) const;

  // --- from whoever drives the connection; where there are many, each has a NearChannel ---
  void connected(bool tracking, SteadyTime now) override;
  void disconnected() override;
  void take_push(const Reply& push) override;
  void prove(SteadyTime asked) noexcept override;
  [[nodiscard]] std::optional<SteadyTime> heartbeat_due() const noexcept override;
  [[nodiscard]] bool may_keep(SteadyTime /*now*/) noexcept override { return true; }
  [[nodiscard]] bool tells_of_changes() const noexcept override {
    return coherence_.load(std::memory_order_relaxed) != NearCoherence::max_age;
  }

  // --- from NearChannels ---
  [[nodiscard]] std::chrono::milliseconds heartbeat() const noexcept { return heartbeat_; }
  [[nodiscard]] NearStore& store() noexcept { return store_; }
  void set_coherence(NearCoherence coherence) noexcept {
    coherence_.store(coherence, std::memory_order_relaxed);
  }
  [[nodiscard]] SteadyTime trusted_until() const noexcept {
    return SteadyTime(SteadyTime::duration(trusted_until_.load(std::memory_order_acquire)));
  }
  void trust_until(SteadyTime until) noexcept {
    trusted_until_.store(until.time_since_epoch().count(), std::memory_order_release);
  }

 private:
  using Ticks = SteadyTime::rep;

  const std::string prefix_;
  const std::chrono::milliseconds max_age_;
  const std::chrono::milliseconds heartbeat_;
  NearStore store_;
  std::atomic<NearCoherence> coherence_{NearCoherence::off};
  std::atomic<Ticks> trusted_until_{SteadyTime::min().time_since_epoch().count()};
  std::atomic<std::uint64_t> distrusted_{0};  // misses for want of a proof
};

}  // namespace detail
}  // namespace valkeycache::inline v0
