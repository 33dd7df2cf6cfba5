// Values: what is set is what is got, byte for byte.
#include <limits>

#include "contract.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class Values : public CacheContract {};
VALKEYCACHE_EVERY_TRANSPORT(Values);
// Where there are replies.
class ReplyLimits : public CacheContract {};
VALKEYCACHE_EVERY_SERVER(ReplyLimits);

using Found = std::optional<std::string>;

TEST_P(Values, WhatWasNeverSetIsAMiss) {
  EXPECT_EQ(cache.get(key_of("nothing")).get().value(), std::nullopt);
}

TEST_P(Values, WhatWasSetIsFound) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "value").get()));
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("value"));
}

TEST_P(Values, AnotherSetReplaces) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "a longer first value").get()));
  ASSERT_TRUE(ok(cache.set(key_of("k"), "second").get()));
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("second"));
}

TEST_P(Values, AnEmptyValueIsAHit) {
  ASSERT_TRUE(ok(cache.set(key_of("empty"), "").get()));
  EXPECT_EQ(cache.get(key_of("empty")).get().value(), Found(""));
}

TEST_P(Values, EveryByteComesBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  for (const std::string& value :
       {bytes, std::string("\r\n"), std::string("\0", 1), std::string("a\0b", 3),
        std::string("$5\r\nhello\r\n*1\r\n"), std::string("+OK\r\n"), std::string("$-1\r\n"),
        std::string("\xff\xfe\xf0\x28\x8c\x28"), std::string("_\r\n")}) {
    ASSERT_TRUE(ok(cache.set(key_of("bytes"), value).get()));
    EXPECT_EQ(cache.get(key_of("bytes")).get().value(), Found(value));
  }
}

TEST_P(Values, KeysAreBytesToo) {
  const std::vector<std::string> texts = {
      "plain", "with blank", "\r\nDEL x\r\n", std::string("nul\0here", 8), "\"quoted\"", "*",
      "?[a]",  "\\",         "ä–日本",        std::string(1, '\xff'),      ":",          "{tag}"};
  for (const auto& text : texts) {
    ASSERT_TRUE(ok(cache.set(key_of(text), "value of " + text).get()));
  }
  for (const auto& text : texts) {
    EXPECT_EQ(cache.get(key_of(text)).get().value(), Found("value of " + text)) << text;
  }
}

TEST_P(Values, NamespacesKeepKeysApart) {
  ASSERT_TRUE(ok(cache.set(key_of("k", {}), "none").get()));
  ASSERT_TRUE(ok(cache.set(key_of("k", {"a"}), "a").get()));
  ASSERT_TRUE(ok(cache.set(key_of("k", {"a", "b"}), "a/b").get()));
  EXPECT_EQ(cache.get(key_of("k", {})).get().value(), Found("none"));
  EXPECT_EQ(cache.get(key_of("k", {"a"})).get().value(), Found("a"));
  EXPECT_EQ(cache.get(key_of("k", {"a", "b"})).get().value(), Found("a/b"));
  EXPECT_EQ(cache.get(key_of("k", {"b"})).get().value(), std::nullopt);
}

TEST_P(Values, LargeValuesComeBack) {
  // Around the sizes at which buffers are cut, and well beyond.
  for (const std::size_t size :
       {std::size_t{1023}, std::size_t{1024}, std::size_t{4096}, std::size_t{16383},
        std::size_t{16384}, std::size_t{16385}, std::size_t{65535}, std::size_t{65536},
        std::size_t{65537}, std::size_t{1} << 20, (std::size_t{5} << 20) + 3}) {
    std::string value(size, '\0');
    for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<char>(i * 31 + i / 251);
    ASSERT_TRUE(ok(cache.set(key_of("large"), value).get())) << size;
    const auto found = cache.get(key_of("large")).get();
    ASSERT_TRUE(ok(found)) << size;
    ASSERT_TRUE(*found == value) << size;
  }
}

TEST_P(Values, AValueOverTheLimitIsRefusedAndNothingIsSent) {
  auto options = patient_options();
  options.max_value_bytes = 1000;
  const auto limited = open(options);
  const CacheKey key = key_of("k");
  ASSERT_TRUE(ok(limited.set(key, std::string(1000, 'a')).get()));
  const std::string too_long(1001, 'b');
  EXPECT_TRUE(fails_with(limited.set(key, too_long).get(), ErrorCode::too_large));
  EXPECT_TRUE(
      fails_with(limited.set_if_absent(key_of("other"), too_long).get(), ErrorCode::too_large));
  EXPECT_EQ(cache.get(key).get().value(), Found(std::string(1000, 'a')));
  EXPECT_EQ(cache.get(key_of("other")).get().value(), std::nullopt);
  const auto error = limited.set(key, too_long).get().error();
  EXPECT_FALSE(error.maybe_applied);
  EXPECT_NE(error.message.find("max_value_bytes"), std::string::npos) << error.message;
}

TEST_P(ReplyLimits, AFoundValueOverTheLimitEndsItsOwnGetOnly) {
  auto options = patient_options();
  options.max_value_bytes = 1000;
  const auto limited = open(options);
  ASSERT_TRUE(ok(cache.set(key_of("long"), std::string(100000, 'x')).get()));
  ASSERT_TRUE(ok(cache.set(key_of("short"), "fine").get()));
  std::vector<Future<Found>> futures;
  for (int i = 0; i < 20; ++i) {
    futures.push_back(limited.get(key_of(i == 10 ? "long" : "short")));
  }
  for (int i = 0; i < 20; ++i) {
    const auto result = futures[static_cast<std::size_t>(i)].get();
    if (i == 10) {
      EXPECT_TRUE(fails_with(result, ErrorCode::too_large));
    } else {
      ASSERT_TRUE(ok(result)) << i;
      EXPECT_EQ(*result, Found("fine")) << i;
    }
  }
}

// --- erase -------------------------------------------------------------------------------------

TEST_P(Values, EraseTellsWhetherThereWasOne) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_TRUE(cache.erase(key_of("k")).get().value());
  EXPECT_FALSE(cache.erase(key_of("k")).get().value());
  EXPECT_EQ(cache.get(key_of("k")).get().value(), std::nullopt);
}

// --- conditional calls -------------------------------------------------------------------------

TEST_P(Values, SetIfAbsentStoresOnce) {
  EXPECT_TRUE(cache.set_if_absent(key_of("k"), "first").get().value());
  EXPECT_FALSE(cache.set_if_absent(key_of("k"), "second").get().value());
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("first"));
}

TEST_P(Values, SetIfAbsentTakesAnEmptyValueForOne) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "").get()));
  EXPECT_FALSE(cache.set_if_absent(key_of("k"), "second").get().value());
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found(""));
}

TEST_P(Values, SetIfAbsentLeavesTheTtlOfWhatIsThere) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "first", 1000s).get()));
  EXPECT_FALSE(cache.set_if_absent(key_of("k"), "second", 5s).get().value());
  EXPECT_GT(cache.ttl(key_of("k")).get().value()->duration(), 900s);
}

TEST_P(Values, OneOfManySetIfAbsentWins) {
  std::vector<Future<bool>> futures;
  for (int i = 0; i < 50; ++i) {
    futures.push_back(cache.set_if_absent(key_of("k"), std::to_string(i)));
  }
  int won = 0;
  std::string winner;
  for (int i = 0; i < 50; ++i) {
    if (!futures[static_cast<std::size_t>(i)].get().value()) continue;
    ++won;
    winner = std::to_string(i);
  }
  EXPECT_EQ(won, 1);
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found(winner));
}

TEST_P(Values, EraseIfErasesOnlyThatValue) {
  EXPECT_FALSE(cache.erase_if(key_of("k"), "mine").get().value());
  ASSERT_TRUE(ok(cache.set(key_of("k"), "mine").get()));
  EXPECT_FALSE(cache.erase_if(key_of("k"), "theirs").get().value());
  EXPECT_FALSE(cache.erase_if(key_of("k"), "").get().value());
  EXPECT_FALSE(cache.erase_if(key_of("k"), "mine ").get().value());
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("mine"));
  EXPECT_TRUE(cache.erase_if(key_of("k"), "mine").get().value());
  EXPECT_EQ(cache.get(key_of("k")).get().value(), std::nullopt);
  EXPECT_FALSE(cache.erase_if(key_of("k"), "mine").get().value());
}

TEST_P(Values, EraseIfComparesBytes) {
  const std::string value("a\0\r\n\xff", 5);
  ASSERT_TRUE(ok(cache.set(key_of("k"), value).get()));
  EXPECT_FALSE(cache.erase_if(key_of("k"), "a").get().value());
  EXPECT_TRUE(cache.erase_if(key_of("k"), value).get().value());
  ASSERT_TRUE(ok(cache.set(key_of("k"), "").get()));
  EXPECT_TRUE(cache.erase_if(key_of("k"), "").get().value());
}

TEST_P(Values, AnEmptyValueIsNotTheValueOfNoEntry) {
  EXPECT_FALSE(cache.erase_if(key_of("k"), "").get().value());
  EXPECT_FALSE(cache.expire_if(key_of("k"), "", 10s).get().value());
}

TEST_P(Values, ReplaceIfReplacesOnlyThatValue) {
  EXPECT_FALSE(cache.replace_if(key_of("k"), "", "new").get().value());
  ASSERT_TRUE(ok(cache.set(key_of("k"), "old", 1000s).get()));
  EXPECT_FALSE(cache.replace_if(key_of("k"), "other", "new").get().value());
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("old"));
  EXPECT_TRUE(cache.replace_if(key_of("k"), "old", "new", 100'500ms).get().value());
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("new"));
  EXPECT_LE(cache.ttl(key_of("k")).get().value()->duration(), 100'500ms);
  EXPECT_TRUE(cache.replace_if(key_of("k"), "new", "", Ttl::none()).get().value());
  EXPECT_TRUE(cache.ttl(key_of("k")).get().value()->is_none());
  EXPECT_TRUE(
      fails_with(cache.replace_if(key_of("k"), "", "x", -1s).get(), ErrorCode::invalid_argument));
}

TEST_P(Values, ExpireIfTouchesOnlyThatValue) {
  EXPECT_FALSE(cache.expire_if(key_of("k"), "mine", 100s).get().value());
  ASSERT_TRUE(ok(cache.set(key_of("k"), "mine", 1000s).get()));
  EXPECT_FALSE(cache.expire_if(key_of("k"), "theirs", 100s).get().value());
  EXPECT_GT(cache.ttl(key_of("k")).get().value()->duration(), 900s);
  EXPECT_TRUE(cache.expire_if(key_of("k"), "mine", 100s).get().value());
  EXPECT_LE(cache.ttl(key_of("k")).get().value()->duration(), 100s);
  EXPECT_GT(cache.ttl(key_of("k")).get().value()->duration(), 50s);
}

TEST_P(Values, ExpireIfTakesAFractionOfASecond) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "mine").get()));
  EXPECT_TRUE(cache.expire_if(key_of("k"), "mine", 100500ms).get().value());
  const auto left = cache.ttl(key_of("k")).get().value()->duration();
  EXPECT_GT(left, 50s);
  EXPECT_LE(left, 100500ms);
}

// --- the handle --------------------------------------------------------------------------------

TEST_P(Values, CopiesAndOtherHandlesSeeTheSameEntries) {
  const ValkeyCache copy = cache;
  const ValkeyCache other = open();
  ASSERT_TRUE(ok(copy.set(key_of("k"), "v").get()));
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("v"));
  EXPECT_EQ(other.get(key_of("k")).get().value(), Found("v"));
}

TEST_P(Values, AnotherPrefixSeesOtherEntries) {
  auto options = patient_options();
  options.prefix = "other-" + options.prefix;
  const auto other = open(options);
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_EQ(other.get(key_of("k")).get().value(), std::nullopt);
}

TEST_P(Values, PrefixAndWireKey) {
  const auto prefix_of = [this](const std::string& prefix) {
    auto options = patient_options();
    options.prefix = prefix;
    return open(options).prefix();
  };
  EXPECT_EQ(prefix_of("llm"), "llm:");
  EXPECT_EQ(prefix_of("llm:"), "llm:");
  EXPECT_EQ(prefix_of("llm/"), "llm/");
  EXPECT_EQ(prefix_of("p:q"), "p:q:");
  EXPECT_EQ(prefix_of(":"), ":");
  auto options = patient_options();
  options.prefix = "llm";
  const auto named = open(options);
  EXPECT_EQ(named.wire_key(key_of("k", {})), "llm:k");
  EXPECT_EQ(named.wire_key(key_of("k", {"a", "b"})), "llm:a/b/k");
}

TEST_P(Values, PingGivesATime) {
  const auto time = cache.ping().get();
  ASSERT_TRUE(ok(time));
  EXPECT_GE(time->count(), 0);
  EXPECT_LT(*time, patience);
}

TEST_P(Values, ManyCallsInFlightKeepTheirAnswers) {
  constexpr int count = 5000;
  std::vector<Future<void>> sets;
  for (int i = 0; i < count; ++i) {
    sets.push_back(cache.set(key_of(std::to_string(i)), "value " + std::to_string(i)));
  }
  std::vector<Future<Found>> gets;
  for (int i = 0; i < count; ++i) gets.push_back(cache.get(key_of(std::to_string(i))));
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(ok(sets[static_cast<std::size_t>(i)].get()));
    ASSERT_EQ(gets[static_cast<std::size_t>(i)].get().value(), Found("value " + std::to_string(i)));
  }
}

}  // namespace
