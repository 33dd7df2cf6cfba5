// NearChannels: one near cache fed by many connections.
//
// An entry is as good as the connection it came over. So the tier is trusted for as long as every
// connection is that something in it came over; when one is lost, or owes its sign of life for too
// long, what is kept goes, whoever brought it, and the others go on filling.
#pragma once

#include <memory>
#include <vector>

#include "valkey/near_feed.hpp"
#include "valkey/near_tier.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class NearChannels;

class NearChannel final : public NearFeed {
 public:
  explicit NearChannel(NearChannels& all);
  ~NearChannel();
  NearChannel(const NearChannel&) = delete;
  NearChannel& operator=(const NearChannel&) = delete;

  void connected(bool tracking, SteadyTime now) override;
  void disconnected() override;
  void take_push(const Reply& push) override;
  void prove(SteadyTime asked) noexcept override;
  [[nodiscard]] std::optional<SteadyTime> heartbeat_due() const noexcept override;
  [[nodiscard]] bool may_keep(SteadyTime now) noexcept override;
  [[nodiscard]] bool tells_of_changes() const noexcept override { return tracking_; }

 private:
  friend class NearChannels;
  NearChannels& all_;
  bool up_ = false;
  bool tracking_ = false;
  bool holds_ = false;  // something in the tier came over it
  SteadyTime trusted_until_ = SteadyTime::min();
};

// Of one thread. Outlives its channels.
class NearChannels {
 public:
  explicit NearChannels(NearTier& tier) : tier_(tier) {}

  // Now and then: looks whether all channels are still to be trusted.
  void review(SteadyTime now);
  // Slots have changed their owner.
  void forget_all();

 private:
  friend class NearChannel;
  void settle(SteadyTime now);
  void tell_coherence();

  NearTier& tier_;
  std::vector<NearChannel*> channels_;
  SteadyTime next_review_ = SteadyTime::min();
};

}  // namespace detail
}  // namespace valkeycache::inline v0
