// Clearing: everything under the prefix, and nothing else.
#include <atomic>
#include <mutex>

#include "contract.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class Clear : public CacheContract {
 protected:
  void fill(const ValkeyCache& target, std::size_t count, const std::string& stem = "key",
            std::vector<std::string> namespaces = {"test"}) const {
    std::vector<KeyValue> entries;
    for (std::size_t i = 0; i < count; ++i) {
      entries.push_back({key_of(stem + std::to_string(i), namespaces), "v"});
    }
    const auto results = target.set(std::move(entries)).get();
    ASSERT_TRUE(ok(results));
    for (const auto& each : *results) ASSERT_TRUE(ok(each));
  }
  [[nodiscard]] ValkeyCache open_with_prefix(const std::string& prefix) const {
    auto options = patient_options();
    options.prefix = prefix;
    return open(options);
  }
};
VALKEYCACHE_EVERY_TRANSPORT(Clear);

TEST_P(Clear, NothingIsThere) {
  EXPECT_EQ(cache.clear().get().value(), 0U);
}

TEST_P(Clear, RemovesAllAndTellsHowMany) {
  fill(cache, 7);
  ASSERT_TRUE(ok(cache.set(key_of("k", {}), "v").get()));
  ASSERT_TRUE(ok(cache.set(key_of("k", {"a", "b", "c"}), "v", 100s).get()));
  EXPECT_EQ(cache.clear().get().value(), 9U);
  EXPECT_EQ(cache.get(key_of("k", {})).get().value(), std::nullopt);
  EXPECT_EQ(cache.clear().get().value(), 0U);
}

TEST_P(Clear, LeasesGoTooButAreNoEntries) {
  fill(cache, 3);
  ASSERT_TRUE(ok(cache.set(key_of("key0:lease"), "a token").get()));
  EXPECT_EQ(cache.clear().get().value(), 3U);
  EXPECT_EQ(cache.get(key_of("key0:lease")).get().value(), std::nullopt);
  ASSERT_TRUE(ok(cache.set(key_of("key0:lease"), "a token").get()));
  EXPECT_EQ(cache.clear().get().value(), 0U);
  EXPECT_EQ(cache.get(key_of("key0:lease")).get().value(), std::nullopt);
}

TEST_P(Clear, APrefixDoesNotTouchALongerName) {
  const auto llm = open_with_prefix("llm");
  const auto llm2 = open_with_prefix("llm2:");
  const auto within = open_with_prefix("llm:more:");
  ASSERT_TRUE(ok(llm.set(key_of("k"), "v").get()));
  ASSERT_TRUE(ok(llm2.set(key_of("k"), "v").get()));
  ASSERT_TRUE(ok(within.set(key_of("k"), "v").get()));
  EXPECT_EQ(llm.clear().get().value(), 2U);  // "llm:" does own "llm:more:…"
  EXPECT_TRUE(llm2.get(key_of("k")).get().value().has_value());
  EXPECT_EQ(llm2.clear().get().value(), 1U);
}

TEST_P(Clear, TenThousandEntriesAndANeighbour) {
  const auto mine = open_with_prefix("llm_cache:");
  const auto neighbour = open_with_prefix("llm_cache2:");
  fill(mine, 10000);
  ASSERT_TRUE(ok(neighbour.set(key_of("x", {}), "v").get()));
  std::mutex mutex;
  std::vector<std::uint64_t> reports;
  ClearOptions options;
  options.progress = [&](std::uint64_t removed) {
    const std::lock_guard lock(mutex);
    reports.push_back(removed);
  };
  EXPECT_EQ(mine.clear(options).get().value(), 10000U);
  EXPECT_TRUE(neighbour.get(key_of("x", {})).get().value().has_value());
  const std::lock_guard lock(mutex);
  ASSERT_FALSE(reports.empty());
  EXPECT_GT(reports.size(), 3U) << "progress is what is told on the way";
  EXPECT_TRUE(std::is_sorted(reports.begin(), reports.end()));
  EXPECT_EQ(reports.back(), 10000U);
  EXPECT_EQ(neighbour.clear().get().value(), 1U);
}

TEST_P(Clear, ANamespaceAndWhatIsBelowIt) {
  for (const auto& namespaces :
       std::vector<std::vector<std::string>>{{"a"}, {"a", "b"}, {"ab"}, {"b"}, {"b", "a"}, {}}) {
    ASSERT_TRUE(ok(cache.set(key_of("k", namespaces), "v").get()));
  }
  ASSERT_TRUE(ok(cache.set(key_of("a", {}), "a key by the name of the namespace").get()));
  EXPECT_EQ(cache.clear({"a"}).get().value(), 2U);
  EXPECT_EQ(cache.get(key_of("k", {"a"})).get().value(), std::nullopt);
  EXPECT_EQ(cache.get(key_of("k", {"a", "b"})).get().value(), std::nullopt);
  for (const auto& namespaces :
       std::vector<std::vector<std::string>>{{"ab"}, {"b"}, {"b", "a"}, {}}) {
    EXPECT_TRUE(cache.get(key_of("k", namespaces)).get().value().has_value());
  }
  EXPECT_TRUE(cache.get(key_of("a", {})).get().value().has_value());
  EXPECT_EQ(cache.clear({"b", "a"}).get().value(), 1U);
  EXPECT_TRUE(cache.get(key_of("k", {"b"})).get().value().has_value());
}

TEST_P(Clear, NoNamespaceMeansAll) {
  fill(cache, 3);
  EXPECT_EQ(cache.clear(std::vector<std::string>{}).get().value(), 3U);
}

TEST_P(Clear, GlobCharactersMeanThemselves) {
  const std::vector<std::string> awkward = {"*",     "?", "[x]", "[^a]", "\\", "\\*",  "a*b",
                                            "{a,b}", "[", "]",   "-",    "^",  "[a-z]"};
  for (const auto& name : awkward) ASSERT_TRUE(ok(cache.set(key_of("k", {name}), "v").get()));
  for (const char* name : {"x", "a", "axb", "ab", "\\x", "b", "aXXb"}) {
    ASSERT_TRUE(ok(cache.set(key_of("k", {name}), "v").get()));
  }
  for (const auto& name : awkward) {
    EXPECT_EQ(cache.clear({name}).get().value(), 1U) << name;
    EXPECT_EQ(cache.get(key_of("k", {name})).get().value(), std::nullopt) << name;
  }
  EXPECT_EQ(cache.clear().get().value(), 7U);
}

TEST_P(Clear, GlobCharactersInThePrefixMeanThemselves) {
  const std::string base = unique_prefix();
  const auto innocent1 = open_with_prefix(base + "p1:");
  const auto innocent2 = open_with_prefix(base + "pp:");
  ASSERT_TRUE(ok(innocent1.set(key_of("k"), "v").get()));
  ASSERT_TRUE(ok(innocent2.set(key_of("k"), "v").get()));
  for (const char* name : {"p?:", "p*:", "p[1p]:", "p[^x]:", "p\\?:", "*:", "p?/"}) {
    const auto awkward = open_with_prefix(base + name);
    ASSERT_TRUE(ok(awkward.set(key_of("k"), "v").get())) << name;
    EXPECT_EQ(awkward.clear().get().value(), 1U) << name;
  }
  EXPECT_TRUE(innocent1.get(key_of("k")).get().value().has_value());
  EXPECT_TRUE(innocent2.get(key_of("k")).get().value().has_value());
}

TEST_P(Clear, ABadNamespaceIsRefused) {
  fill(cache, 1);
  for (const auto& namespaces :
       std::vector<std::vector<std::string>>{{""}, {"a", ""}, {"a/b"}, {"/"}, {"a", "b/"}}) {
    EXPECT_TRUE(fails_with(cache.clear(namespaces).get(), ErrorCode::invalid_argument));
  }
  EXPECT_EQ(cache.clear().get().value(), 1U);
}

TEST_P(Clear, CanBeCancelled) {
  fill(cache, 5000);
  std::stop_source stop;
  ClearOptions options;
  options.stop_token = stop.get_token();
  options.progress = [&](std::uint64_t) {
    stop.request_stop();
  };
  EXPECT_TRUE(fails_with(cache.clear(options).get(), ErrorCode::cancelled));
  const auto rest = cache.clear().get().value();
  EXPECT_GT(rest, 0U);
  EXPECT_LT(rest, 5000U);
}

TEST_P(Clear, CancelledBeforehandRemovesNothing) {
  fill(cache, 10);
  std::stop_source stop;
  stop.request_stop();
  ClearOptions options;
  options.stop_token = stop.get_token();
  EXPECT_TRUE(fails_with(cache.clear(options).get(), ErrorCode::cancelled));
  EXPECT_EQ(cache.clear().get().value(), 10U);
}

TEST_P(Clear, AProgressThatThrowsBreaksNothing) {
  fill(cache, 1000);
  ClearOptions options;
  options.progress = [](std::uint64_t) {
    throw 1;
  };
  const auto cleared = cache.clear(options).get();
  if (cleared) {
    EXPECT_EQ(*cleared, 1000U);
  } else {
    EXPECT_TRUE(fails_with(cleared, ErrorCode::callback_failed));
  }
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_TRUE(cache.get(key_of("k")).get().value().has_value());
}

TEST_P(Clear, OtherCallsGoOnMeanwhile) {
  fill(cache, 5000);
  auto other_options = patient_options();
  other_options.prefix = "other-" + other_options.prefix;
  const auto other = open(other_options);
  auto cleared = cache.clear();
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(ok(other.set(key_of("k"), std::to_string(i)).get()));
    ASSERT_EQ(other.get(key_of("k")).get().value(), std::optional(std::to_string(i)));
  }
  EXPECT_EQ(cleared.get().value(), 5000U);
  EXPECT_EQ(other.clear().get().value(), 1U);
}

TEST_P(Clear, TwoAtOnceRemoveEachEntryOnce) {
  fill(cache, 3000);
  auto first = cache.clear();
  auto second = cache.clear();
  EXPECT_EQ(first.get().value() + second.get().value(), 3000U);
}

}  // namespace
