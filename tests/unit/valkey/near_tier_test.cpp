#include "valkey/near_tier.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;
using detail::NearTier;
using detail::Reply;
using detail::SteadyTime;

Reply text(const std::string& bytes) {
  return {.type = Reply::Type::string, .text = bytes};
}
Reply invalidate(const std::vector<std::string>& keys) {
  Reply list{.type = Reply::Type::array};
  for (const auto& key : keys) list.elements.push_back(text(key));
  return {.type = Reply::Type::push, .elements = {text("invalidate"), list}};
}

class NearTierTest : public ::testing::Test {
 protected:
  void put(const std::string& key, const std::string& value, std::int64_t pttl_ms = -1) {
    tier_.end_fill(tier_.begin_fill(key, now_), key, value, pttl_ms, now_);
  }
  bool has(const std::string& key) { return tier_.find(key, now_, true) != nullptr; }
  ValkeyCacheStats stats() {
    ValkeyCacheStats stats;
    tier_.add_to(stats, now_);
    return stats;
  }

  SteadyTime now_{1h};
  NearTier tier_{{.max_bytes = 1 << 20, .max_age = 1s, .heartbeat = 1s}, "p:"};
};

TEST_F(NearTierTest, NothingIsKeptWithoutAConnection) {
  put("a", "1");
  EXPECT_FALSE(has("a"));
  EXPECT_EQ(stats().near_coherence, NearCoherence::off);
  EXPECT_EQ(stats().near_misses, 1U);
}

TEST_F(NearTierTest, AFillFromBeforeTheConnectionStaysOut) {
  const auto fill = tier_.begin_fill("a", now_);
  tier_.connected(true, now_);
  tier_.end_fill(fill, "a", "1", -1, now_);
  EXPECT_FALSE(has("a"));
}

TEST_F(NearTierTest, TheEntrysOwnTtlRunsFromBeforeTheQuestion) {
  tier_.connected(true, now_);
  const auto fill = tier_.begin_fill("a", now_);
  now_ += 100ms;
  tier_.end_fill(fill, "a", "1", 500, now_);
  now_ += 400ms - 1ns;
  EXPECT_TRUE(has("a"));
  now_ += 1ns;
  EXPECT_FALSE(has("a"));
}

TEST_F(NearTierTest, OddTtls) {
  tier_.connected(true, now_);
  put("gone", "1", -2);
  EXPECT_FALSE(has("gone"));
  put("nonsense", "1", -3);
  EXPECT_FALSE(has("nonsense"));
  put("last moment", "1", 0);
  EXPECT_FALSE(has("last moment"));
  put("endless", "1", INT64_MAX);
  EXPECT_TRUE(has("endless"));
  put("none", "1", -1);
  EXPECT_TRUE(has("none"));
}

TEST_F(NearTierTest, WithoutTrackingTheAgeIsBounded) {
  tier_.connected(false, now_);
  EXPECT_EQ(stats().near_coherence, NearCoherence::max_age);
  put("a", "1", -1);
  put("b", "1", 300);
  now_ += 300ms;
  EXPECT_FALSE(has("b"));
  now_ += 700ms - 1ns;
  EXPECT_TRUE(has("a"));
  EXPECT_FALSE(tier_.heartbeat_due()) << "there is nothing to prove";
  now_ += 1ns;
  EXPECT_FALSE(has("a"));
}

// However long the entry may be served from here.
TEST_F(NearTierTest, AnEntryKnowsItsEndInValkey) {
  const auto end = [&](bool tracking, std::int64_t pttl_ms) {
    tier_.connected(tracking, now_);
    put("a", "1", pttl_ms);
    const auto entry = tier_.find("a", now_, true);
    tier_.disconnected();
    return entry ? entry->expires() : SteadyTime();
  };
  EXPECT_EQ(end(true, 60'000), now_ + 60s);
  EXPECT_EQ(end(false, 60'000), now_ + 60s) << "past the tier's own maximum age";
  EXPECT_EQ(end(false, -1), SteadyTime::max());
}

TEST_F(NearTierTest, PushesTakeWhatTheyNameAndNoMore) {
  tier_.connected(true, now_);
  for (const auto* key : {"a", "b", "c", "p:a"}) put(key, "1");
  tier_.take_push(invalidate({"p:a", "c", "q:b"}));
  EXPECT_FALSE(has("a"));
  EXPECT_TRUE(has("b"));
  EXPECT_TRUE(has("c")) << "it is another program's";
  EXPECT_TRUE(has("p:a"));
  tier_.take_push({.type = Reply::Type::push, .elements = {text("message"), text("p:b")}});
  tier_.take_push({.type = Reply::Type::push});
  EXPECT_TRUE(has("b"));
  EXPECT_EQ(stats().near_invalidations, 1U);
}

TEST_F(NearTierTest, ANullPushTakesAll) {
  tier_.connected(true, now_);
  put("a", "1");
  const auto fill = tier_.begin_fill("b", now_);
  tier_.take_push({.type = Reply::Type::push, .elements = {text("invalidate"), Reply{}}});
  tier_.end_fill(fill, "b", "1", -1, now_);
  EXPECT_FALSE(has("a"));
  EXPECT_FALSE(has("b"));
}

// A push that is not understood may have named anything.
TEST_F(NearTierTest, AnOddInvalidationTakesAll) {
  tier_.connected(true, now_);
  put("a", "1");
  tier_.take_push({.type = Reply::Type::push, .elements = {text("invalidate")}});
  EXPECT_FALSE(has("a"));
}

TEST_F(NearTierTest, IsServedNoLongerThanTwoHeartbeatsWithoutAProof) {
  tier_.connected(true, now_);
  put("a", "1");
  EXPECT_EQ(tier_.heartbeat_due(), now_ + 1s);
  now_ += 2s - 1ns;
  EXPECT_TRUE(has("a"));
  now_ += 1ns;
  EXPECT_FALSE(has("a"));
  EXPECT_EQ(stats().near_coherence, NearCoherence::off);
  EXPECT_EQ(stats().near_entries, 1U) << "it may become good again";
  // Asked a moment ago, and everything that the server had to say by then has been read.
  tier_.prove(now_ - 500ms);
  EXPECT_TRUE(has("a"));
  EXPECT_EQ(stats().near_coherence, NearCoherence::tracking);
  EXPECT_EQ(tier_.heartbeat_due(), now_ + 500ms);
  now_ += 1500ms;
  EXPECT_FALSE(has("a"));
}

TEST_F(NearTierTest, AnOlderProofTakesNothingFromANewerOne) {
  tier_.connected(true, now_);
  put("a", "1");
  tier_.prove(now_ - 1s);
  now_ += 2s - 1ns;
  EXPECT_TRUE(has("a"));
}

TEST_F(NearTierTest, NoHeartbeatWithoutEntries) {
  tier_.connected(true, now_);
  EXPECT_FALSE(tier_.heartbeat_due());
  now_ += 1h;
  EXPECT_EQ(stats().near_coherence, NearCoherence::tracking) << "idle is not off";
  put("a", "1");
  EXPECT_LE(*tier_.heartbeat_due(), now_);
  tier_.invalidate("a");
  EXPECT_FALSE(tier_.heartbeat_due());
}

TEST_F(NearTierTest, ALostConnectionTakesAllAndANewOneBringsNothingBack) {
  tier_.connected(true, now_);
  put("a", "1");
  const auto fill = tier_.begin_fill("b", now_);
  tier_.disconnected();
  EXPECT_FALSE(has("a"));
  EXPECT_EQ(stats().near_coherence, NearCoherence::off);
  EXPECT_FALSE(tier_.heartbeat_due());
  tier_.connected(true, now_);
  tier_.end_fill(fill, "b", "1", -1, now_);
  EXPECT_FALSE(has("a"));
  EXPECT_FALSE(has("b"));
  put("a", "2");
  EXPECT_TRUE(has("a"));
}

TEST_F(NearTierTest, HitsAreHitsOfTheCache) {
  tier_.connected(true, now_);
  put("a", "1");
  (void)has("a");
  (void)has("b");
  const auto told = stats();
  EXPECT_EQ(told.gets, 1U);
  EXPECT_EQ(told.hits, 1U);
  EXPECT_EQ(told.near_hits, 1U);
  EXPECT_EQ(told.near_misses, 1U);
  EXPECT_EQ(told.near_entries, 1U);
  EXPECT_EQ(told.near_bytes, detail::NearStore::cost_of(1, 1));
}

}  // namespace
}  // namespace valkeycache::testing
