#include "valkey/timer_wheel.hpp"

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "probe_command.hpp"

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;
using detail::Command;
using detail::TimerWheel;

class TimerWheelTest : public ::testing::Test {
 protected:
  Command* add(std::chrono::nanoseconds in) {
    commands_.push_back(probe(outcome_, "k", Command::Effect::none, origin_ + in));
    wheel_.add(commands_.back().get());
    return commands_.back().get();
  }
  std::vector<Command*> expired_at(std::chrono::nanoseconds at) {
    std::vector<Command*> expired;
    wheel_.expire(origin_ + at, expired);
    return expired;
  }

  const detail::SteadyTime origin_ = detail::SteadyTime::clock::now();
  Outcome outcome_;
  std::deque<detail::Ref<Command>> commands_;
  TimerWheel wheel_{origin_};
};

TEST_F(TimerWheelTest, NeverEarlyAndAtMostATickLate) {
  auto* command = add(10ms);
  EXPECT_TRUE(expired_at(10ms - 1ns).empty());
  EXPECT_EQ(expired_at(10ms + TimerWheel::tick), std::vector{command});
  EXPECT_TRUE(expired_at(1s).empty());
}

TEST_F(TimerWheelTest, WhatIsRemovedDoesNotExpire) {
  auto* command = add(10ms);
  wheel_.remove(command);
  wheel_.remove(command);
  EXPECT_FALSE(wheel_.next());
  EXPECT_TRUE(expired_at(1s).empty());
}

TEST_F(TimerWheelTest, DeadlinesBeyondOneTurnWaitForTheirTurn) {
  const auto turn = TimerWheel::tick * TimerWheel::slots;
  auto* command = add(turn * 3 + 5ms);
  EXPECT_TRUE(expired_at(turn + 5ms).empty());
  EXPECT_TRUE(expired_at(turn * 3).empty());
  EXPECT_EQ(expired_at(turn * 3 + 10ms), std::vector{command});
}

TEST_F(TimerWheelTest, ALongPauseMissesNothing) {
  for (int i = 0; i < 2000; ++i) add(std::chrono::milliseconds(i * 7));
  EXPECT_EQ(expired_at(1h).size(), 2000U);
}

TEST_F(TimerWheelTest, ADeadlineInThePastIsDueAtOnce) {
  expired_at(500ms);
  auto* command = add(100ms);
  ASSERT_TRUE(wheel_.next());
  EXPECT_EQ(expired_at(500ms + TimerWheel::tick), std::vector{command});
}

TEST_F(TimerWheelTest, NextIsNeverAfterTheTickOfTheEarliestDeadline) {
  std::mt19937 random(7);
  auto now = 0ns;
  for (int round = 0; round < 3000; ++round) {
    if (random() % 3 != 0) add(now + std::chrono::microseconds(random() % 3'000'000));
    auto earliest = detail::SteadyTime::max();
    for (const auto& command : commands_) {
      if (command->timer_slot >= 0) earliest = std::min(earliest, command->deadline);
    }
    const auto next = wheel_.next();
    ASSERT_EQ(next.has_value(), earliest != detail::SteadyTime::max());
    if (next) {
      ASSERT_LE(*next, std::max(earliest, origin_ + now) + TimerWheel::tick);
    }
    now += std::chrono::microseconds(random() % 5'000);
    for (auto* command : expired_at(now)) ASSERT_LE(command->deadline, origin_ + now);
    for (const auto& command : commands_) {
      if (command->timer_slot >= 0) {
        ASSERT_GT(command->deadline + TimerWheel::tick, origin_ + now) << "late";
      }
    }
  }
}

}  // namespace
}  // namespace valkeycache::testing
