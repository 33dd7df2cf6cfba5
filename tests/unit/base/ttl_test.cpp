#include <valkeycache/ttl.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>

#include <gtest/gtest.h>

namespace {

using valkeycache::Ttl;
using namespace std::chrono_literals;
using std::chrono::duration;

constexpr auto most = std::numeric_limits<std::int64_t>::max();

static_assert(Ttl(5min).duration() == 300000ms);
static_assert(Ttl(1h) == Ttl(3600s));

TEST(Ttl, KeepsMilliseconds) {
  EXPECT_EQ(Ttl(1s).duration(), 1000ms);
  EXPECT_EQ(Ttl(1500ms).duration(), 1500ms);
  EXPECT_EQ(Ttl(1999us).duration(), 1ms);
  EXPECT_EQ(Ttl(1'000'000ns).duration(), 1ms);
  EXPECT_EQ(Ttl(duration<double>(1.9)).duration(), 1900ms);
  EXPECT_EQ(Ttl(duration<float>(0.5F)).duration(), 500ms);
  EXPECT_EQ((Ttl(duration<std::uint8_t, std::ratio<60>>(std::uint8_t{200})).duration()), 12'000s);
  EXPECT_EQ((Ttl(duration<std::int64_t, std::ratio<7, 3>>(3)).duration()), 7s);
  EXPECT_TRUE(Ttl(1s).is_finite());
  EXPECT_TRUE(Ttl(1s).is_valid());
  EXPECT_FALSE(Ttl(1s).is_unset());
  EXPECT_FALSE(Ttl(1s).is_none());
}

TEST(Ttl, WhatIsNoTimeIsInvalid) {
  for (const Ttl ttl :
       {Ttl(0s), Ttl(-1s), Ttl(999us), Ttl(999'999ns), Ttl(duration<double>(0.0009)),
        Ttl(duration<double>(std::numeric_limits<double>::quiet_NaN())),
        Ttl(duration<double>(std::numeric_limits<double>::infinity())),
        Ttl(duration<double>(-std::numeric_limits<double>::infinity())),
        Ttl(duration<double>(1e300)), Ttl(std::chrono::hours::max()),
        Ttl(std::chrono::hours::min()), Ttl(duration<std::int64_t, std::ratio<86400>>(most)),
        Ttl(std::chrono::milliseconds::max()),
        Ttl(duration<std::int64_t, std::ratio<7, 3>>(most))}) {
    EXPECT_FALSE(ttl.is_valid());
    EXPECT_FALSE(ttl.is_finite());
    EXPECT_FALSE(ttl.is_unset());
  }
}

TEST(Ttl, LongTimesDoNotOverflow) {
  EXPECT_TRUE(Ttl(std::chrono::nanoseconds::max()).is_finite());
  EXPECT_TRUE(Ttl(std::chrono::hours(24) * 365 * 1000).is_finite());
  EXPECT_TRUE(Ttl(duration<std::int64_t, std::ratio<7, 3>>(most / 3000)).is_finite());
}

TEST(Ttl, UnsetAndNone) {
  EXPECT_TRUE(Ttl().is_unset());
  EXPECT_TRUE(Ttl().is_valid());
  EXPECT_FALSE(Ttl().is_finite());
  EXPECT_TRUE(Ttl::none().is_none());
  EXPECT_FALSE(Ttl::none().is_finite());
  EXPECT_EQ(Ttl().value_or(1s), Ttl(1s));
  EXPECT_EQ(Ttl(2s).value_or(1s), Ttl(2s));
  EXPECT_TRUE(Ttl::none().value_or(1s).is_none());
  EXPECT_FALSE(Ttl(0s).value_or(1s).is_valid());
}

}  // namespace
