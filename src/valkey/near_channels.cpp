#include "valkey/near_channels.hpp"

#include <algorithm>

namespace valkeycache::inline v0 {
namespace detail {

NearChannel::NearChannel(NearChannels& all) : all_(all) {
  all_.channels_.push_back(this);
}

NearChannel::~NearChannel() {
  disconnected();
  std::erase(all_.channels_, this);
}

void NearChannel::connected(bool tracking, SteadyTime now) {
  up_ = true;
  tracking_ = tracking;
  holds_ = false;
  trusted_until_ = tracking ? now + 2 * all_.tier_.heartbeat() : SteadyTime::max();
  all_.tell_coherence();
  all_.tier_.store().open();
  all_.settle(now);
}

void NearChannel::disconnected() {
  if (!up_) return;
  up_ = false;
  if (holds_) all_.forget_all();
  all_.tell_coherence();
  const bool last = std::none_of(all_.channels_.begin(), all_.channels_.end(),
                                 [](const auto* channel) { return channel->up_; });
  if (!last) return;
  all_.tier_.trust_until(SteadyTime::min());
  all_.tier_.store().shut();
}

void NearChannel::take_push(const Reply& push) {
  all_.tier_.take_push(push);
}

void NearChannel::prove(SteadyTime asked) noexcept {
  trusted_until_ = std::max(trusted_until_, asked + 2 * all_.tier_.heartbeat());
}

std::optional<SteadyTime> NearChannel::heartbeat_due() const noexcept {
  if (!up_ || !tracking_ || !holds_) return std::nullopt;
  return trusted_until_ - all_.tier_.heartbeat();
}

bool NearChannel::may_keep(SteadyTime now) noexcept {
  if (!up_ || now >= trusted_until_) return false;
  if (!holds_ || now >= all_.tier_.trusted_until()) {
    holds_ = true;
    all_.settle(now);
  }
  return true;
}

void NearChannels::review(SteadyTime now) {
  if (now < next_review_) return;
  settle(now);
}

void NearChannels::settle(SteadyTime now) {
  next_review_ = now + tier_.heartbeat() / 8;
  auto until = SteadyTime::max();
  bool up = false;
  bool overdue = false;
  for (const auto* channel : channels_) {
    up = up || channel->up_;
    if (!channel->up_ || !channel->holds_) continue;
    if (now >= channel->trusted_until_) {
      overdue = true;
    } else {
      until = std::min(until, channel->trusted_until_);
    }
  }
  if (overdue) {
    forget_all();
    until = SteadyTime::max();
  }
  tier_.trust_until(up ? until : SteadyTime::min());
}

void NearChannels::forget_all() {
  tier_.store().invalidate_all();
  for (auto* channel : channels_) channel->holds_ = false;
}

void NearChannels::tell_coherence() {
  auto coherence = NearCoherence::off;
  for (const auto* channel : channels_) {
    if (!channel->up_) continue;
    if (!channel->tracking_) {
      coherence = NearCoherence::max_age;
      break;
    }
    coherence = NearCoherence::tracking;
  }
  tier_.set_coherence(coherence);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
