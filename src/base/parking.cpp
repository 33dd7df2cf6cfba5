#include "base/parking.hpp"

#include <atomic>
#include <bit>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::uint32_t per_row = 32;  // the bits of a futex's set

struct alignas(64) Row {
  std::atomic<ParkingTicket> ticket{0};
};
std::array<Row, 32> rows;

std::uint32_t row_of(ParkingPlace place) noexcept {
  return place / per_row % rows.size();
}
std::uint32_t bit_of(ParkingPlace place) noexcept {
  return std::uint32_t{1} << (place % per_row);
}

void unpark_row(std::uint32_t row, std::uint32_t places) noexcept {
  rows[row].ticket.fetch_add(1, std::memory_order_acq_rel);
  futex_wake_set(rows[row].ticket, places);
}

thread_local UnparkTogether* together = nullptr;

}  // namespace

ParkingPlace my_parking_place() noexcept {
  static std::atomic<ParkingPlace> next{0};
  static thread_local const ParkingPlace mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine;
}

ParkingTicket take_parking_ticket(ParkingPlace place) noexcept {
  return rows[row_of(place)].ticket.load(std::memory_order_acquire);
}

bool park(ParkingPlace place, ParkingTicket ticket, const SteadyTime* deadline) noexcept {
  return futex_wait_in_set(rows[row_of(place)].ticket, ticket, bit_of(place), deadline);
}

void unpark(ParkingPlace place) noexcept {
  const auto row = row_of(place);
  if (!together) {
    unpark_row(row, bit_of(place));
    return;
  }
  const auto row_bit = std::uint32_t{1} << row;
  if ((together->rows_ & row_bit) == 0) together->places_[row] = 0;
  together->rows_ |= row_bit;
  together->places_[row] |= bit_of(place);
}

UnparkTogether::UnparkTogether() noexcept : outer_(together) {
  together = this;
}

UnparkTogether::~UnparkTogether() {
  together = outer_;
  wake();
}

void UnparkTogether::wake() noexcept {
  for (; rows_ != 0; rows_ &= rows_ - 1) {
    const auto row = static_cast<std::uint32_t>(std::countr_zero(rows_));
    unpark_row(row, places_[row]);
  }
}

void unpark_now() noexcept {
  if (together) together->wake();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
