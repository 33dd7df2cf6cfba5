#include "base/parking.hpp"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using detail::my_parking_place;
using detail::park;
using detail::take_parking_ticket;
using detail::unpark;
using detail::UnparkTogether;

// A thread that sleeps until its flag is set.
class Sleeper {
 public:
  Sleeper() {
    thread_ = std::thread([this] {
      place_.store(my_parking_place());
      known_.store(true);
      for (;;) {
        const auto ticket = take_parking_ticket(my_parking_place());
        if (flag_.load()) return;
        park(my_parking_place(), ticket, nullptr);
      }
    });
    while (!known_.load()) std::this_thread::yield();
  }
  ~Sleeper() { thread_.join(); }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  void wake() {
    flag_.store(true);
    unpark(place_.load());
  }

 private:
  std::atomic<bool> flag_{false};
  std::atomic<bool> known_{false};
  std::atomic<detail::ParkingPlace> place_{0};
  std::thread thread_;
};

TEST(Parking, EachThreadHasAPlaceOfItsOwn) {
  const auto mine = my_parking_place();
  EXPECT_EQ(my_parking_place(), mine);
  std::thread([mine] { EXPECT_NE(my_parking_place(), mine); }).join();
}

TEST(Parking, AWakeUpBeforeTheSleepIsNotLost) {
  const auto place = my_parking_place();
  const auto ticket = take_parking_ticket(place);
  unpark(place);
  EXPECT_TRUE(park(place, ticket, nullptr));
}

TEST(Parking, TheDeadlineEndsTheSleep) {
  const auto place = my_parking_place();
  const auto over = detail::SteadyTime::clock::now() - std::chrono::seconds(1);
  EXPECT_FALSE(park(place, take_parking_ticket(place), &over));
}

// The destructors of the sleepers would hang were one of them not woken.
TEST(Parking, ManyAreWokenTogether) {
  std::vector<std::unique_ptr<Sleeper>> sleepers;
  for (int i = 0; i < 70; ++i) sleepers.push_back(std::make_unique<Sleeper>());
  {
    const UnparkTogether together;
    for (const auto& sleeper : sleepers) sleeper->wake();
  }
  sleepers.clear();
}

TEST(Parking, WhoCannotWaitForTheEndIsWokenBefore) {
  const UnparkTogether together;
  {
    Sleeper sleeper;
    sleeper.wake();
    detail::unpark_now();
  }
  {
    Sleeper sleeper;
    const UnparkTogether inner;  // the innermost counts
    sleeper.wake();
    detail::unpark_now();
  }
}

}  // namespace
}  // namespace valkeycache::testing
