#include "base/vigil.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;
using detail::SteadyTime;
using detail::Vigil;
using detail::VigilAccount;

// Of waits that follow each other, with a clock of its own.
class Waits {
 public:
  void wait(VigilAccount::Time time) {
    account_.note(now_, now_ + time);
    now_ += time;
  }
  void wait(VigilAccount::Time time, int times) {
    for (int i = 0; i < times; ++i) wait(time);
  }
  // Of that many at the same time.
  void wait_at_once(VigilAccount::Time time, int waiters) {
    for (int i = 0; i < waiters; ++i) account_.note(now_, now_ + time);
    now_ += time;
  }
  // How many of them it takes until it is given up.
  int last_for(VigilAccount::Time time) {
    int times = 0;
    for (; !rests() && times < 1'000'000; ++times) wait(time);
    return times;
  }
  VigilAccount::Time rest() {
    const auto begin = now_;
    while (rests()) now_ += 1ms;
    return now_ - begin;
  }
  // Over what is far away.
  void give_up(int times) {
    for (int i = 0; i < times; ++i) {
      last_for(200us);
      rest();
    }
  }
  [[nodiscard]] bool rests() const { return account_.rests(now_); }

 private:
  VigilAccount account_{100us};
  SteadyTime now_{1h};
};

TEST(VigilAccount, NeverRestsWhereAnswersAreNear) {
  Waits waits;
  EXPECT_EQ(waits.last_for(30us), 1'000'000);
  EXPECT_EQ(waits.last_for(100us), 1'000'000) << "gains nothing, loses nothing";
}

TEST(VigilAccount, RestsWhereAnswersAreFar) {
  Waits waits;
  EXPECT_EQ(waits.last_for(200us), 10) << "a millisecond to be lost at first";
  EXPECT_EQ(waits.rest(), 20ms);
  EXPECT_EQ(waits.last_for(200us), 10);
  EXPECT_EQ(waits.rest(), 40ms);
}

TEST(VigilAccount, RestsAtMostTenSeconds) {
  Waits waits;
  waits.give_up(20);
  waits.last_for(200us);
  EXPECT_EQ(waits.rest(), 10s);
}

TEST(VigilAccount, LosesATimeSliceAtOnce) {
  Waits waits;
  EXPECT_EQ(waits.last_for(4ms), 1);
  EXPECT_EQ(waits.rest(), 20ms);
}

TEST(VigilAccount, ForgivesSomeWhereItHasHelped) {
  Waits waits;
  waits.wait(20us, 10'000);
  EXPECT_EQ(waits.last_for(4ms), 6) << "20 ms to be lost";
  EXPECT_EQ(waits.rest(), 20ms);
}

TEST(VigilAccount, GainsLessTheLongerAWaitIs) {
  Waits near;
  Waits farther;
  near.wait(20us, 500);
  farther.wait(80us, 500);
  EXPECT_GT(near.last_for(1ms), farther.last_for(1ms));
}

TEST(VigilAccount, CountsOneMishapOnce) {
  // However many it hits: the rest is not doubled for each.
  Waits waits;
  waits.wait_at_once(4ms, 64);
  EXPECT_EQ(waits.rest(), 20ms);
}

TEST(VigilAccount, ForgetsLongRestsSlowly) {
  Waits waits;
  waits.give_up(5);
  waits.wait(50us, 5000);  // earns what is to be lost, once
  waits.last_for(4ms);
  const auto rest = waits.rest();
  EXPECT_LT(rest, 640ms);
  EXPECT_GT(rest, 20ms);
}

TEST(Vigil, LastsUntilItIsDone) {
  Vigil vigil(10s);
  int asked = 0;
  EXPECT_TRUE(vigil.keep([&] { return ++asked == 5; }));
  EXPECT_EQ(asked, 5);
}

TEST(Vigil, Ends) {
  Vigil vigil(2ms);
  const auto begin = SteadyTime::clock::now();
  EXPECT_FALSE(vigil.keep([] { return false; }));
  EXPECT_GE(SteadyTime::clock::now() - begin, 2ms);
}

TEST(Vigil, IsNotKeptAtAllWithoutTime) {
  Vigil vigil(0us);
  EXPECT_FALSE(vigil.keep([] {
    ADD_FAILURE();
    return true;
  }));
}

TEST(Vigil, IsKeptAlongByWhoWorks) {
  Vigil vigil(10min);
  const auto never = [] {
    return false;
  };
  vigil.keep_along(SteadyTime::max(), never);  // for nobody
  std::atomic<bool> done{false};
  std::thread caller([&] { EXPECT_TRUE(vigil.keep([&] { return done.load(); })); });
  while (!vigil.is_kept(SteadyTime::clock::now())) std::this_thread::yield();
  vigil.keep_along(SteadyTime::clock::now() + 1ms, never);  // not beyond its time
  vigil.keep_along(SteadyTime::max(), [] { return true; });
  EXPECT_TRUE(vigil.is_kept(SteadyTime::clock::now()));
  done = true;
  vigil.keep_along(SteadyTime::max(), never);
  EXPECT_FALSE(vigil.is_kept(SteadyTime::clock::now()));
  caller.join();
}

TEST(Vigil, IsNotKeptForThoseWhoNeverCome) {
  Vigil vigil(20ms);
  std::atomic<bool> begun{false};
  std::atomic<bool> over{false};
  std::thread caller([&] {
    vigil.keep([&] {
      begun = true;
      while (!over) std::this_thread::yield();  // kept from going on
      return true;
    });
  });
  while (!begun) std::this_thread::yield();
  const auto deadline = SteadyTime::clock::now() + 30s;
  vigil.keep_along(deadline, [] { return false; });
  EXPECT_LT(SteadyTime::clock::now(), deadline);
  over = true;
  caller.join();
}

}  // namespace
}  // namespace valkeycache::testing
