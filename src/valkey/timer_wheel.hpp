// Deadlines of many commands: a hashed wheel. Adding and removing are O(1) and take no memory; a
// deadline is noticed at most one tick late and never early.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "valkey/intrusive_list.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Sans-I/O; of one thread. Commands are referred to, not owned.
class TimerWheel {
 public:
  static constexpr std::chrono::milliseconds tick{2};
  static constexpr std::size_t slots = 512;

  explicit TimerWheel(SteadyTime now) noexcept : origin_(now) {}

  // A deadline of SteadyTime::max() is never noticed.
  void add(Command* command) noexcept;
  void remove(Command* command) noexcept;

  // Appends the commands whose deadlines have passed, and removes them from the wheel.
  void expire(SteadyTime now, std::vector<Command*>& expired);
  // When expire() should be called next; a deadline far away may ask for calls in between.
  [[nodiscard]] std::optional<SteadyTime> next() const noexcept;

 private:
  using Slot = CommandList<&Command::timer_links>;
  [[nodiscard]] std::uint64_t tick_of(SteadyTime time) const noexcept;
  [[nodiscard]] std::uint64_t next_occupied(std::uint64_t turn, std::uint64_t last) const noexcept;

  SteadyTime origin_;
  std::uint64_t current_ = 0;  // ticks before this one have been looked at
  std::array<Slot, slots> wheel_;
  std::array<std::uint64_t, slots / 64> occupied_{};
  std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
