#include "valkey/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace valkeycache::inline v0 {
namespace detail {

// The first tick that ends after `time`: rounding up, so that nothing is noticed early.
std::uint64_t TimerWheel::tick_of(SteadyTime time) const noexcept {
  if (time <= origin_) return 0;
  return static_cast<std::uint64_t>((time - origin_) / tick) + 1;
}

void TimerWheel::add(Command* command) noexcept {
  if (command->deadline == SteadyTime::max()) return;
  const auto due = std::max(tick_of(command->deadline), current_);
  const auto slot = due % slots;
  wheel_[slot].push_back(command);
  occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
  command->timer_slot = static_cast<std::int32_t>(slot);
  ++size_;
}

void TimerWheel::remove(Command* command) noexcept {
  if (command->timer_slot < 0) return;
  const auto slot = static_cast<std::size_t>(command->timer_slot);
  wheel_[slot].remove(command);
  if (wheel_[slot].empty()) occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
  command->timer_slot = -1;
  --size_;
}

// From there on; beyond `last`: none up to it. Who has slept for long does not pay for every tick.
std::uint64_t TimerWheel::next_occupied(std::uint64_t turn, std::uint64_t last) const noexcept {
  while (turn <= last) {
    const auto at = turn % 64;
    const auto bits = occupied_[turn % slots / 64] >> at;
    if (bits != 0) return turn + static_cast<std::uint64_t>(std::countr_zero(bits));
    turn += 64 - at;
  }
  return turn;
}

void TimerWheel::expire(SteadyTime now, std::vector<Command*>& expired) {
  if (now < origin_) return;
  const auto last = static_cast<std::uint64_t>((now - origin_) / tick);
  if (size_ == 0) {
    current_ = std::max(current_, last + 1);
    return;
  }
  // After a long pause one turn of the wheel sees every slot.
  auto turn = std::max(current_, last + 1 >= slots ? last + 1 - slots : 0);
  for (turn = next_occupied(turn, last); turn <= last; turn = next_occupied(turn + 1, last)) {
    auto& slot = wheel_[turn % slots];
    for (auto* command = slot.front(); command != nullptr;) {
      auto* following = Slot::next(command);
      if (command->deadline <= now) {
        remove(command);
        expired.push_back(command);
      }
      command = following;
    }
  }
  current_ = std::max(current_, last + 1);
}

std::optional<SteadyTime> TimerWheel::next() const noexcept {
  if (size_ == 0) return std::nullopt;
  const auto start = current_ % slots;
  for (std::size_t word = 0; word <= occupied_.size(); ++word) {
    const auto index = (start / 64 + word) % occupied_.size();
    auto bits = occupied_[index];
    if (word == 0) bits &= ~std::uint64_t{0} << (start % 64);
    if (word == occupied_.size()) bits &= ~(~std::uint64_t{0} << (start % 64));
    if (bits == 0) continue;
    const auto slot = index * 64 + static_cast<std::size_t>(std::countr_zero(bits));
    const auto ahead = (slot + slots - start) % slots;
    return origin_ + tick * static_cast<std::int64_t>(current_ + ahead);
  }
  return std::nullopt;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
