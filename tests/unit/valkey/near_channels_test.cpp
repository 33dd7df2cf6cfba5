// One near cache behind several connections.
#include "valkey/near_channels.hpp"

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;
using detail::NearChannel;
using detail::NearChannels;
using detail::NearTier;
using detail::SteadyTime;

class NearChannelsTest : public ::testing::Test {
 protected:
  void fill(const std::string& key, NearChannel& by) {
    const auto leave = tier_.begin_fill(key, now_);
    by.prove(now_);
    tier_.end_fill(leave, key, "v", -1, now_, by);
  }
  bool has(const std::string& key) { return tier_.find(key, now_, false) != nullptr; }

  SteadyTime now_ = SteadyTime::clock::now();
  NearTier tier_{{.max_bytes = 1 << 20, .max_age = 1s, .heartbeat = 1s}, "p:"};
  NearChannels all_{tier_};
  NearChannel a_{all_};
  NearChannel b_{all_};
};

TEST_F(NearChannelsTest, EachBringsEntries) {
  a_.connected(true, now_);
  b_.connected(true, now_);
  fill("a", a_);
  fill("b", b_);
  EXPECT_TRUE(has("a"));
  EXPECT_TRUE(has("b"));
}

TEST_F(NearChannelsTest, ALostOneTakesAllAndTheOtherGoesOn) {
  a_.connected(true, now_);
  b_.connected(true, now_);
  fill("a", a_);
  fill("b", b_);
  a_.disconnected();
  EXPECT_FALSE(has("a"));
  EXPECT_FALSE(has("b")) << "nobody keeps count of who brought what";
  fill("b", b_);
  EXPECT_TRUE(has("b"));
}

TEST_F(NearChannelsTest, OneThatBroughtNothingTakesNothing) {
  a_.connected(true, now_);
  b_.connected(true, now_);
  fill("a", a_);
  b_.disconnected();
  EXPECT_TRUE(has("a"));
}

TEST_F(NearChannelsTest, NothingIsServedOnceOneIsOverdue) {
  a_.connected(true, now_);
  b_.connected(true, now_);
  fill("a", a_);
  fill("b", b_);
  now_ += 1500ms;
  b_.prove(now_);
  all_.review(now_);
  now_ += 600ms;  // a has said nothing for more than two heartbeats
  EXPECT_FALSE(has("a"));
  all_.review(now_);
  EXPECT_FALSE(has("b"));
  fill("b", b_);
  EXPECT_TRUE(has("b")) << "what the others bring from now on is served";
}

TEST_F(NearChannelsTest, OnlyThoseThatBroughtSomethingAreAskedForSigns) {
  a_.connected(true, now_);
  b_.connected(true, now_);
  fill("a", a_);
  EXPECT_TRUE(a_.heartbeat_due());
  EXPECT_FALSE(b_.heartbeat_due());
}

TEST_F(NearChannelsTest, WithoutTrackingTheAgeIsBounded) {
  a_.connected(true, now_);
  b_.connected(false, now_);
  fill("a", a_);
  fill("b", b_);
  now_ += 1100ms;
  a_.prove(now_);
  all_.review(now_);
  EXPECT_TRUE(has("a"));
  EXPECT_FALSE(has("b"));
}

TEST_F(NearChannelsTest, NothingIsKeptFromAConnectionThatIsGone) {
  a_.connected(true, now_);
  const auto leave = tier_.begin_fill("b", now_);
  tier_.end_fill(leave, "b", "v", -1, now_, b_);
  EXPECT_FALSE(has("b"));
}

}  // namespace
}  // namespace valkeycache::testing
