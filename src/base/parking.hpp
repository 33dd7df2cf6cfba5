// Where threads sleep that wait for futures. Many of them are woken by one system call: in a busy
// program each wake-up of its own would cost more than the answer it tells of.
#pragma once

#include <valkeycache/config.hpp>

#include <array>
#include <cstdint>

#include "base/futex.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// The place that a thread has for life. The first thousand have one of their own; later ones share,
// and are then woken for each other's sake now and then.
using ParkingPlace = std::uint32_t;
[[nodiscard]] ParkingPlace my_parking_place() noexcept;

// park() returns when the place was unparked after its ticket was taken, at the deadline (then
// false), or for no reason.
using ParkingTicket = std::uint32_t;
[[nodiscard]] ParkingTicket take_parking_ticket(ParkingPlace place) noexcept;
bool park(ParkingPlace place, ParkingTicket ticket, const SteadyTime* deadline) noexcept;

// Wakes at once, or with all others when the thread's UnparkTogether ends.
void unpark(ParkingPlace place) noexcept;
// Those who wait for that end are woken now: something that may take long comes before it.
void unpark_now() noexcept;

class UnparkTogether {
 public:
  UnparkTogether() noexcept;
  ~UnparkTogether();
  UnparkTogether(const UnparkTogether&) = delete;
  UnparkTogether& operator=(const UnparkTogether&) = delete;

 private:
  friend void unpark(ParkingPlace place) noexcept;
  friend void unpark_now() noexcept;
  void wake() noexcept;
  UnparkTogether* outer_;
  std::uint32_t rows_ = 0;  // a bit for each of the rows in which somebody is to be woken
  std::array<std::uint32_t, 32> places_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
