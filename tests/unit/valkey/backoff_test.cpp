#include "valkey/backoff.hpp"

#include <set>

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, GrowsToItsCapWithFullJitter) {
  detail::Backoff backoff(20ms, 500ms, 42);
  std::chrono::milliseconds ceiling = 20ms;
  for (int i = 0; i < 100; ++i) {
    const auto pause = backoff.next();
    EXPECT_GE(pause, 0ms);
    EXPECT_LE(pause, ceiling);
    ceiling = std::min<std::chrono::milliseconds>(ceiling * 2, 500ms);
  }
}

TEST(Backoff, JitterIsDrawnAfterTheCap) {
  std::set<std::int64_t> pauses;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    detail::Backoff backoff(20ms, 500ms, seed);
    std::chrono::microseconds last{};
    for (int i = 0; i < 30; ++i) last = backoff.next();
    pauses.insert(last.count());
  }
  EXPECT_GT(pauses.size(), 45U) << "capped clients must not come back together";
}

TEST(Backoff, StartsOverAfterSuccess) {
  detail::Backoff backoff(20ms, 10s, 1);
  for (int i = 0; i < 30; ++i) backoff.next();
  backoff.reset();
  EXPECT_LE(backoff.next(), 20ms);
}

TEST(Backoff, ABaseOfZeroNeverWaits) {
  detail::Backoff backoff(0ms, 0ms, 1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(backoff.next(), 0us);
}

}  // namespace
}  // namespace valkeycache::testing
