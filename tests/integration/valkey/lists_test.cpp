// Many keys in one call.
#include <numeric>

#include "contract.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class Lists : public CacheContract {};
VALKEYCACHE_EVERY_TRANSPORT(Lists);
// Where there are replies.
class ListReplyLimits : public CacheContract {};
VALKEYCACHE_EVERY_SERVER(ListReplyLimits);

using Found = std::optional<std::string>;

TEST_P(Lists, AnEmptyListIsAnsweredWithOne) {
  EXPECT_TRUE(cache.get(std::vector<CacheKey>{}).get().value().empty());
  EXPECT_TRUE(cache.set(std::vector<KeyValue>{}).get().value().empty());
}

TEST_P(Lists, ResultsComeInTheOrderOfTheKeys) {
  ASSERT_TRUE(ok(cache.set(key_of("a"), "1").get()));
  ASSERT_TRUE(ok(cache.set(key_of("b"), "").get()));
  const auto results =
      cache.get({key_of("b"), key_of("missing"), key_of("a"), key_of("b"), key_of("a")})
          .get()
          .value();
  ASSERT_EQ(results.size(), 5U);
  EXPECT_EQ(results[0].value(), Found(""));
  EXPECT_EQ(results[1].value(), std::nullopt);
  EXPECT_EQ(results[2].value(), Found("1"));
  EXPECT_EQ(results[3].value(), Found(""));
  EXPECT_EQ(results[4].value(), Found("1"));
}

TEST_P(Lists, OneKeyIsAListToo) {
  ASSERT_TRUE(ok(cache.set(key_of("a"), "1").get()));
  const auto results = cache.get(std::vector{key_of("a")}).get().value();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].value(), Found("1"));
}

TEST_P(Lists, AnyNumberOfKeys) {
  // Around the 512 keys that one MGET holds.
  for (const std::size_t count : {511U, 512U, 513U, 1024U, 1025U, 3000U}) {
    const auto keys = many_keys(count, std::to_string(count) + "-");
    std::vector<KeyValue> entries;
    for (std::size_t i = 0; i < count; i += 2) {
      entries.push_back({keys[i], "value " + std::to_string(i)});
    }
    const auto stored = cache.set(entries).get().value();
    ASSERT_EQ(stored.size(), entries.size());
    for (const auto& each : stored) ASSERT_TRUE(ok(each));
    const auto found = cache.get(keys).get().value();
    ASSERT_EQ(found.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(found[i].value(), i % 2 == 0 ? Found("value " + std::to_string(i)) : std::nullopt);
    }
  }
}

TEST_P(Lists, OneBadEntryHarmsNoOther) {
  auto options = patient_options();
  options.max_value_bytes = 100;
  const auto limited = open(options);
  const auto results = limited
                           .set({{key_of("good1"), "1"},
                                 {key_of("long"), std::string(101, 'x')},
                                 {key_of("good2"), "2", 100s},
                                 {key_of("zero"), "z", 0s},
                                 {key_of("overflow"), "o", std::chrono::hours::max()},
                                 {key_of("good3"), "3", Ttl::none()}})
                           .get()
                           .value();
  ASSERT_EQ(results.size(), 6U);
  EXPECT_TRUE(ok(results[0]));
  EXPECT_TRUE(fails_with(results[1], ErrorCode::too_large));
  EXPECT_TRUE(ok(results[2]));
  EXPECT_TRUE(fails_with(results[3], ErrorCode::invalid_argument));
  EXPECT_TRUE(fails_with(results[4], ErrorCode::invalid_argument));
  EXPECT_TRUE(ok(results[5]));
  EXPECT_EQ(cache.get(key_of("good1")).get().value(), Found("1"));
  EXPECT_EQ(cache.get(key_of("good2")).get().value(), Found("2"));
  EXPECT_EQ(cache.get(key_of("good3")).get().value(), Found("3"));
  for (const char* text : {"long", "zero", "overflow"}) {
    EXPECT_EQ(cache.get(key_of(text)).get().value(), std::nullopt) << text;
  }
}

TEST_P(Lists, NothingButBadEntriesIsAnsweredToo) {
  const auto results = cache.set({{key_of("a"), "1", 0s}, {key_of("b"), "2", -1s}}).get().value();
  ASSERT_EQ(results.size(), 2U);
  EXPECT_TRUE(fails_with(results[0], ErrorCode::invalid_argument));
  EXPECT_TRUE(fails_with(results[1], ErrorCode::invalid_argument));
}

TEST_P(Lists, TheLastOfTwoEntriesUnderOneKeyStays) {
  const auto results = cache.set({{key_of("k"), "first"}, {key_of("k"), "second"}}).get().value();
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("second"));
}

TEST_P(Lists, LargeValuesInOneReply) {
  std::vector<KeyValue> entries;
  const auto keys = many_keys(20);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    entries.push_back({keys[i], std::string(300000 + i, static_cast<char>('a' + i))});
  }
  ASSERT_TRUE(ok(cache.set(entries).get()));
  const auto found = cache.get(keys).get().value();
  ASSERT_EQ(found.size(), entries.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSERT_TRUE(ok(found[i]));
    EXPECT_TRUE(*found[i] == entries[i].value) << i;
  }
}

// A reply that exceeds the limits is refused; what does not exceed them is not.
TEST_P(ListReplyLimits, AReplyOverTheLimitIsRefused) {
  auto options = patient_options();
  options.max_value_bytes = 50000;
  options.max_reply_bytes = 100000;
  const auto limited = open(options);
  std::vector<KeyValue> entries;
  const auto keys = many_keys(20);
  for (const auto& key : keys) entries.push_back({key, std::string(10000, 'x')});
  ASSERT_TRUE(ok(cache.set(entries).get()));

  const auto whole = limited.get(keys).get();
  std::size_t refused = 0;
  if (whole) {
    ASSERT_EQ(whole->size(), keys.size());
    for (const auto& each : *whole) {
      if (!each) {
        EXPECT_TRUE(fails_with(each, ErrorCode::too_large));
      }
      refused += each ? 0 : 1;
    }
  } else {
    EXPECT_TRUE(fails_with(whole, ErrorCode::too_large));
    refused = keys.size();
  }
  if (GetParam() == Transport::cluster) {
    EXPECT_EQ(refused, 0U) << "each value comes in a reply of its own";
  } else {
    EXPECT_GT(refused, 0U);
  }
  const auto some = limited.get(std::vector(keys.begin(), keys.begin() + 5)).get();
  ASSERT_TRUE(ok(some));
  for (const auto& each : *some) EXPECT_TRUE(ok(each));
}

TEST_P(ListReplyLimits, AValueOverTheLimitInAList) {
  auto options = patient_options();
  options.max_value_bytes = 1000;
  const auto limited = open(options);
  ASSERT_TRUE(ok(cache.set(key_of("short"), "s").get()));
  ASSERT_TRUE(ok(cache.set(key_of("long"), std::string(2000, 'x')).get()));
  const auto results = limited.get({key_of("short"), key_of("long")}).get();
  if (results) {
    ASSERT_EQ(results->size(), 2U);
    EXPECT_TRUE(fails_with((*results)[1], ErrorCode::too_large));
  } else {
    EXPECT_TRUE(fails_with(results, ErrorCode::too_large));
  }
  EXPECT_EQ(limited.get(key_of("short")).get().value(), Found("s"));
}

}  // namespace
