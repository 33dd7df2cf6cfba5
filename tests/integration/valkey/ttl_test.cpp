// Times to live: which one applies, what is refused, and that entries do expire.
#include <cmath>
#include <limits>
#include <ratio>

#include "contract.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class Ttls : public CacheContract {
 protected:
  // What is left to the entry: nullopt for no entry.
  std::optional<Ttl> left(const std::string& text) const {
    return cache.ttl(key_of(text)).get().value();
  }
  testing::AssertionResult about(const std::string& text, std::chrono::milliseconds whole) const {
    const auto ttl = left(text);
    if (!ttl) return testing::AssertionFailure() << "there is no entry";
    if (!ttl->is_finite()) return testing::AssertionFailure() << "it does not expire";
    if (ttl->duration() > whole || ttl->duration() < whole - patience) {
      return testing::AssertionFailure() << ttl->duration().count() << " ms are left";
    }
    return testing::AssertionSuccess();
  }
};
VALKEYCACHE_EVERY_TRANSPORT(Ttls);

TEST_P(Ttls, NoTtlMeansForEver) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  ASSERT_TRUE(left("k").has_value());
  EXPECT_TRUE(left("k")->is_none());
}

TEST_P(Ttls, NoEntryHasNoTtl) {
  EXPECT_EQ(left("nothing"), std::nullopt);
}

TEST_P(Ttls, TheEntrysOwn) {
  ASSERT_TRUE(ok(cache.set(key_of("seconds"), "v", 300s).get()));
  EXPECT_TRUE(about("seconds", 300s));
  ASSERT_TRUE(ok(cache.set(key_of("fraction"), "v", 300500ms).get()));
  EXPECT_TRUE(about("fraction", 300500ms));
  ASSERT_TRUE(ok(cache.set(key_of("hours"), "v", 24h).get()));
  EXPECT_TRUE(about("hours", 24h));
  ASSERT_TRUE(ok(cache.set(key_of("double"), "v", std::chrono::duration<double>(100.25)).get()));
  EXPECT_TRUE(about("double", 100250ms));
}

TEST_P(Ttls, TheDefaultUnlessTheEntryHasItsOwn) {
  auto options = patient_options();
  options.ttl = 1h;
  const auto hourly = open(options);
  ASSERT_TRUE(ok(hourly.set(key_of("default"), "v").get()));
  ASSERT_TRUE(ok(hourly.set(key_of("own"), "v", 5min).get()));
  ASSERT_TRUE(ok(hourly.set(key_of("none"), "v", Ttl::none()).get()));
  EXPECT_TRUE(about("default", 1h));
  EXPECT_TRUE(about("own", 5min));
  EXPECT_TRUE(left("none")->is_none());
  ASSERT_TRUE(hourly.set_if_absent(key_of("absent"), "v").get().value());
  EXPECT_TRUE(about("absent", 1h));
  const auto listed =
      hourly.set({{key_of("l1"), "v"}, {key_of("l2"), "v", 5min}, {key_of("l3"), "v", Ttl::none()}})
          .get();
  ASSERT_TRUE(ok(listed));
  EXPECT_TRUE(about("l1", 1h));
  EXPECT_TRUE(about("l2", 5min));
  EXPECT_TRUE(left("l3")->is_none());
}

TEST_P(Ttls, ADefaultOfNoneIsNone) {
  auto options = patient_options();
  options.ttl = Ttl::none();
  const auto forever = open(options);
  ASSERT_TRUE(ok(forever.set(key_of("k"), "v").get()));
  EXPECT_TRUE(left("k")->is_none());
}

TEST_P(Ttls, AnotherSetReplacesTheTtl) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 100s).get()));
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_TRUE(left("k")->is_none());
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 200s).get()));
  EXPECT_TRUE(about("k", 200s));
}

TEST_P(Ttls, TouchSetsTheTtlOfWhatIsThere) {
  EXPECT_FALSE(cache.touch(key_of("k"), 100s).get().value());
  EXPECT_EQ(left("k"), std::nullopt);
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_TRUE(cache.touch(key_of("k"), 100s).get().value());
  EXPECT_TRUE(about("k", 100s));
  EXPECT_TRUE(cache.touch(key_of("k"), 200500ms).get().value());
  EXPECT_TRUE(about("k", 200500ms));
  EXPECT_EQ(cache.get(key_of("k")).get().value(), std::optional<std::string>("v"));
}

TEST_P(Ttls, EntriesExpire) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 1ms).get()));
  EXPECT_TRUE(wait_until([&] { return !cache.get(key_of("k")).get().value(); }));
  EXPECT_EQ(left("k"), std::nullopt);
  EXPECT_FALSE(cache.erase(key_of("k")).get().value());
  EXPECT_TRUE(cache.set_if_absent(key_of("k"), "again").get().value());
}

TEST_P(Ttls, TouchedAndConditionallyExpiredEntriesExpire) {
  ASSERT_TRUE(ok(cache.set(key_of("touched"), "v").get()));
  ASSERT_TRUE(ok(cache.set(key_of("expired"), "v").get()));
  ASSERT_TRUE(cache.touch(key_of("touched"), 1ms).get().value());
  ASSERT_TRUE(cache.expire_if(key_of("expired"), "v", 1ms).get().value());
  ASSERT_TRUE(cache.set_if_absent(key_of("absent"), "v", 1ms).get().value());
  for (const char* text : {"touched", "expired", "absent"}) {
    EXPECT_TRUE(wait_until([&] { return !cache.get(key_of(text)).get().value(); })) << text;
  }
}

TEST_P(Ttls, TheLongestThatTheServerTakes) {
  // Valkey adds the present time to it, in 64 bits of milliseconds: 9e18 leave room for that.
  for (const auto ttl :
       {std::chrono::milliseconds(1), std::chrono::milliseconds(999),
        std::chrono::milliseconds(1000), std::chrono::milliseconds(24h * 365 * 100),
        std::chrono::milliseconds(8'999'999'999'999'999'000),
        std::chrono::milliseconds(9'000'000'000'000'000'000)}) {
    EXPECT_TRUE(ok(cache.set(key_of("k"), "v", ttl).get())) << ttl.count();
    EXPECT_TRUE(ok(cache.set_if_absent(key_of("k2"), "v", ttl).get())) << ttl.count();
    ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
    EXPECT_TRUE(ok(cache.touch(key_of("k"), ttl).get())) << ttl.count();
    ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
    EXPECT_TRUE(ok(cache.expire_if(key_of("k"), "v", ttl).get())) << ttl.count();
  }
}

// Whatever is no time to live is refused before anything is sent.
std::vector<std::pair<const char*, Ttl>> bad_ttls() {
  using std::chrono::duration;
  return {
      {"0 s", 0s},
      {"0 ms", 0ms},
      {"-1 s", -1s},
      {"-1 ms", -1ms},
      {"-1 h", -1h},
      {"half a millisecond", 500us},
      {"a nanosecond", 1ns},
      {"0.0 s", duration<double>(0.0)},
      {"-0.0 s", duration<double>(-0.0)},
      {"-0.5 s", duration<double>(-0.5)},
      {"1e-10 s", duration<double>(1e-10)},
      {"NaN s", duration<double>(std::nan(""))},
      {"inf s", duration<double>(std::numeric_limits<double>::infinity())},
      {"-inf s", duration<double>(-std::numeric_limits<double>::infinity())},
      {"1e300 s", duration<double>(1e300)},
      {"float NaN ms", duration<float, std::milli>(std::nanf(""))},
      {"1e19 ms", duration<double, std::milli>(1e19)},
      {"most hours", std::chrono::hours::max()},
      {"fewest hours", std::chrono::hours::min()},
      {"most seconds", std::chrono::seconds::max()},
      {"fewest seconds", std::chrono::seconds::min()},
      {"most milliseconds", std::chrono::milliseconds::max()},
      {"fewest milliseconds", std::chrono::milliseconds::min()},
      {"more than the server takes", 9'000'000'000'000'000'001ms},
      {"far more than the server takes", 9'300'000'000'000'000s},
  };
}

TEST_P(Ttls, WhatIsNoTimeToLiveIsRefused) {
  for (const auto& [name, ttl] : bad_ttls()) {
    EXPECT_FALSE(ttl.is_valid()) << name;
    const CacheKey key = key_of("k");
    EXPECT_TRUE(fails_with(cache.set(key, "v", ttl).get(), ErrorCode::invalid_argument)) << name;
    EXPECT_TRUE(fails_with(cache.set_if_absent(key, "v", ttl).get(), ErrorCode::invalid_argument))
        << name;
    EXPECT_EQ(cache.get(key).get().value(), std::nullopt) << name;
    ASSERT_TRUE(ok(cache.set(key_of("there"), "v", 1000s).get()));
    EXPECT_TRUE(fails_with(cache.touch(key_of("there"), ttl).get(), ErrorCode::invalid_argument))
        << name;
    EXPECT_TRUE(
        fails_with(cache.expire_if(key_of("there"), "v", ttl).get(), ErrorCode::invalid_argument))
        << name;
    EXPECT_TRUE(about("there", 1000s)) << name;
  }
}

TEST_P(Ttls, TheErrorNamesTheField) {
  const auto error = cache.set(key_of("k"), "v", 0s).get().error();
  EXPECT_NE(error.message.find("ttl"), std::string::npos) << error.message;
  EXPECT_FALSE(error.retryable);
  EXPECT_FALSE(error.maybe_applied);
}

TEST_P(Ttls, ABadDefaultFailsToOpen) {
  for (const auto& [name, ttl] : bad_ttls()) {
    auto options = patient_options();
    options.ttl = ttl;
    const auto opened = ValkeyCache::open("memory://never", options);
    ASSERT_TRUE(fails_with(opened, ErrorCode::invalid_argument)) << name;
    EXPECT_NE(opened.error().message.find("ttl"), std::string::npos) << opened.error().message;
  }
}

TEST_P(Ttls, TouchNeedsAFiniteTtl) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 1000s).get()));
  for (const Ttl ttl : {Ttl(), Ttl::none()}) {
    EXPECT_TRUE(fails_with(cache.touch(key_of("k"), ttl).get(), ErrorCode::invalid_argument));
    EXPECT_TRUE(
        fails_with(cache.expire_if(key_of("k"), "v", ttl).get(), ErrorCode::invalid_argument));
  }
  EXPECT_TRUE(about("k", 1000s));
}

TEST(Ttl, IsMadeOfAnyDurationWithoutOverflow) {
  // Each of these overflows in a straightforward duration_cast.
  using Thirds = std::chrono::duration<std::int64_t, std::ratio<1, 3>>;
  using Frames = std::chrono::duration<std::int64_t, std::ratio<1, 30>>;
  using Small = std::chrono::duration<std::int8_t>;
  using Bytes = std::chrono::duration<std::uint64_t, std::nano>;
  EXPECT_EQ(Ttl(Thirds(3)).duration(), 1000ms);
  EXPECT_EQ(Ttl(Thirds(1)).duration(), 333ms);
  EXPECT_EQ(Ttl(Thirds(27'000'000'000'000'000)).duration().count(), 9'000'000'000'000'000'000);
  EXPECT_EQ(Ttl(Frames(270'000'000'000'000'000)).duration().count(), 9'000'000'000'000'000'000);
  EXPECT_FALSE(Ttl(Frames(std::numeric_limits<std::int64_t>::max())).is_valid());
  EXPECT_EQ(Ttl(Small(100)).duration(), 100s);
  EXPECT_EQ(Ttl(Bytes(18'000'000'000'000'000'000U)).duration().count(), 18'000'000'000'000);
  EXPECT_FALSE(Ttl(std::chrono::years(300'000'000)).is_valid());
  EXPECT_EQ(Ttl(std::chrono::years(100)).duration(), std::chrono::years(100));
}

}  // namespace
