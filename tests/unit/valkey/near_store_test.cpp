#include "valkey/near_store.hpp"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;
using detail::NearEntry;
using detail::NearStore;
using detail::SteadyTime;

constexpr char tag = 0;
constexpr char other_tag = 0;

class NearStoreTest : public ::testing::Test {
 protected:
  NearStoreTest() { store_.open(); }

  bool put(const std::string& key, const std::string& value,
           SteadyTime deadline = SteadyTime::max()) {
    return store_.fill(store_.begin_fill(key), key, value, deadline, now_);
  }
  // "" for nothing.
  std::string value_of(const std::string& key) {
    const auto entry = store_.find(key, now_, true);
    return entry ? entry->value() : "";
  }

  SteadyTime now_{1h};
  NearStore store_{std::size_t{1} << 20};
};

TEST_F(NearStoreTest, FindsWhatWasPut) {
  EXPECT_EQ(value_of("a"), "");
  EXPECT_TRUE(put("a", "1"));
  EXPECT_TRUE(put("b", ""));
  EXPECT_EQ(value_of("a"), "1");
  EXPECT_TRUE(store_.find("b", now_, true)) << "an empty value is a hit";
  EXPECT_EQ(value_of("ab"), "");
  const auto stats = store_.stats();
  EXPECT_EQ(stats.hits, 2U);
  EXPECT_EQ(stats.misses, 2U);
  EXPECT_EQ(stats.entries, 2U);
}

TEST_F(NearStoreTest, AMissIsCountedOnlyWhenAskedTo) {
  EXPECT_FALSE(store_.find("a", now_, false));
  EXPECT_EQ(store_.stats().misses, 0U);
}

TEST_F(NearStoreTest, AFillReplacesWhatWasThere) {
  put("a", "1");
  EXPECT_TRUE(put("a", "two"));
  EXPECT_EQ(value_of("a"), "two");
  EXPECT_EQ(store_.stats().entries, 1U);
  EXPECT_EQ(store_.stats().bytes, NearStore::cost_of(1, 3));
}

TEST_F(NearStoreTest, AnEntryDiesAtItsDeadlineAndNotBefore) {
  put("a", "1", now_ + 10ms);
  now_ += 10ms - 1ns;
  EXPECT_EQ(value_of("a"), "1");
  now_ += 1ns;
  EXPECT_EQ(value_of("a"), "");
  EXPECT_EQ(store_.stats().entries, 0U);
  EXPECT_EQ(store_.stats().bytes, 0U);
  EXPECT_TRUE(store_.empty());
  EXPECT_FALSE(put("b", "1", now_)) << "no time left";
}

TEST_F(NearStoreTest, CountsEveryByteAndNeverExceedsTheBound) {
  NearStore store(64 << 10);
  store.open();
  ASSERT_EQ(store.shards(), 1U);
  std::size_t kept = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto key = "key" + std::to_string(i);
    const std::string value(static_cast<std::size_t>(i * 7 % 900), 'v');
    ASSERT_TRUE(store.fill(store.begin_fill(key), key, value, SteadyTime::max(), now_));
    const auto stats = store.stats();
    ASSERT_LE(stats.bytes, std::size_t{64} << 10);
    kept = std::max(kept, stats.bytes);
  }
  EXPECT_GT(kept, (std::size_t{64} << 10) - NearStore::cost_of(6, 900)) << "the room is used";

  std::size_t expected = 0;
  std::size_t entries = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto key = "key" + std::to_string(i);
    const auto entry = store.find(key, now_, true);
    if (!entry) continue;
    ++entries;
    expected += NearStore::cost_of(key.size(), entry->value().size());
  }
  EXPECT_EQ(store.stats().bytes, expected);
  EXPECT_EQ(store.stats().entries, entries);
  EXPECT_EQ(store.stats().evictions, 1000U - entries);
  store.invalidate_all();
  EXPECT_EQ(store.stats().bytes, 0U);
}

TEST_F(NearStoreTest, TheBoundHoldsForAllShardsTogether) {
  constexpr std::size_t bound = std::size_t{16} << 20;
  NearStore store(bound);
  store.open();
  ASSERT_GT(store.shards(), 1U);
  const std::string value(100'000, 'v');
  for (int i = 0; i < 400; ++i) {
    const auto key = std::to_string(i);
    ASSERT_TRUE(store.fill(store.begin_fill(key), key, value, SteadyTime::max(), now_));
    ASSERT_LE(store.stats().bytes, bound);
  }
  EXPECT_GT(store.stats().bytes, bound / 2);
}

TEST_F(NearStoreTest, AnEntryTooLargeIsNotKept) {
  const auto most = store_.max_entry_bytes() - NearStore::cost_of(1, 0);
  EXPECT_TRUE(put("a", std::string(most, 'v')));
  EXPECT_FALSE(put("b", std::string(most + 1, 'v')));
}

// Room for four entries of one size.
class NearEviction : public NearStoreTest {
 protected:
  static constexpr std::size_t value_bytes = 1000;
  NearEviction() { few_.open(); }
  void put_few(const std::string& key, SteadyTime deadline = SteadyTime::max()) {
    ASSERT_TRUE(
        few_.fill(few_.begin_fill(key), key, std::string(value_bytes, 'v'), deadline, now_));
  }
  bool has(const std::string& key) {
    // By its bytes: a find() would mark it.
    const auto before = few_.stats();
    few_.invalidate(key);
    return few_.stats().entries < before.entries;
  }
  NearStore few_{4 * NearStore::cost_of(1, value_bytes)};
};

TEST_F(NearEviction, TheOldestUnhitEntryGoesFirst) {
  for (const auto* key : {"a", "b", "c", "d"}) put_few(key);
  (void)few_.find("a", now_, true);
  put_few("e");
  EXPECT_EQ(few_.stats().evictions, 1U);
  EXPECT_FALSE(has("b")) << "a was hit, b is the next oldest";
  for (const auto* key : {"a", "c", "d", "e"}) EXPECT_TRUE(has(key)) << key;
}

TEST_F(NearEviction, OneMarkSavesOnce) {
  for (const auto* key : {"a", "b", "c", "d"}) put_few(key);
  for (const auto* key : {"a", "b", "c", "d"}) (void)few_.find(key, now_, true);
  put_few("e");
  EXPECT_FALSE(has("a")) << "all had marks; the hand came round to the oldest";
  for (const auto* key : {"b", "c", "d", "e"}) EXPECT_TRUE(has(key)) << key;
}

TEST_F(NearEviction, TheExpiredGoAlthoughTheyWereHit) {
  put_few("a", now_ + 1s);
  for (const auto* key : {"b", "c", "d"}) put_few(key);
  (void)few_.find("a", now_, true);
  now_ += 2s;
  put_few("e");
  EXPECT_EQ(few_.stats().evictions, 0U) << "it was dead anyway";
  for (const auto* key : {"b", "c", "d", "e"}) EXPECT_TRUE(has(key)) << key;
}

TEST_F(NearEviction, WhatIsHeldStaysReadable) {
  put_few("a");
  const auto held = few_.find("a", now_, true);
  for (const auto* key : {"b", "c", "d", "e", "f", "g", "h"}) put_few(key);
  few_.shut();
  EXPECT_EQ(held->value(), std::string(value_bytes, 'v'));
}

TEST_F(NearStoreTest, KeepsAnObjectWithItsEntry) {
  put("a", "1");
  const auto entry = store_.find("a", now_, true);
  const auto before = store_.stats().bytes;
  EXPECT_EQ(entry->decoded(&tag), nullptr);
  const auto object = std::make_shared<const int>(42);
  EXPECT_TRUE(store_.attach(*entry, object, &tag, 100, now_));
  EXPECT_EQ(store_.find("a", now_, true)->decoded(&tag), object.get());
  EXPECT_EQ(entry->decoded(&other_tag), nullptr) << "of another type";
  EXPECT_EQ(store_.stats().bytes, before + 100);
  EXPECT_FALSE(store_.attach(*entry, object, &other_tag, 1, now_)) << "the first one stays";
  store_.invalidate("a");
  EXPECT_EQ(store_.stats().bytes, 0U) << "the object's bytes go with it";
  EXPECT_EQ(entry->decoded(&tag), object.get()) << "for those who hold it";
}

TEST_F(NearStoreTest, AnObjectIsKeptOnlyWithAnEntryThatIs) {
  put("a", "1");
  const auto entry = store_.find("a", now_, true);
  const auto object = std::make_shared<const int>(42);
  EXPECT_FALSE(store_.attach(*entry, object, &tag, store_.max_entry_bytes(), now_)) << "too large";
  EXPECT_FALSE(store_.attach(*entry, object, &tag, SIZE_MAX, now_)) << "nor may the sum overflow";
  put("a", "2");
  EXPECT_FALSE(store_.attach(*entry, object, &tag, 1, now_)) << "another has taken its place";
  store_.invalidate_all();
  EXPECT_FALSE(store_.attach(*entry, object, &tag, 1, now_));
  EXPECT_EQ(object.use_count(), 1);
}

TEST_F(NearEviction, AnObjectMakesRoomForItself) {
  // An object of its entry's size does not fit within a quarter of so small a store.
  NearStore store(8 * NearStore::cost_of(1, value_bytes));
  store.open();
  for (const auto* key : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    ASSERT_TRUE(store.fill(store.begin_fill(key), key, std::string(value_bytes, 'v'),
                           SteadyTime::max(), now_));
  }
  const auto entry = store.find("a", now_, true);
  EXPECT_TRUE(store.attach(*entry, std::make_shared<const int>(1), &tag, value_bytes, now_));
  EXPECT_EQ(store.stats().evictions, 1U);
  EXPECT_LE(store.stats().bytes, 8 * NearStore::cost_of(1, value_bytes));
  EXPECT_TRUE(store.find("a", now_, true)) << "never its own entry";
}

// A decoded object's destructor is foreign code: it may use the store.
TEST_F(NearStoreTest, WhatLeavesIsDestroyedWithNoLockHeld) {
  struct Caller {
    NearStore& store;
    ~Caller() { store.invalidate("a"); }
  };
  const auto put_caller = [&](SteadyTime deadline) {
    put("a", "1", deadline);
    ASSERT_TRUE(store_.attach(*store_.find("a", now_, true), std::make_shared<const Caller>(store_),
                              &tag, 1, now_));
  };
  put_caller(SteadyTime::max());
  store_.invalidate("a");
  put_caller(SteadyTime::max());
  store_.invalidate_prefix("");
  put_caller(SteadyTime::max());
  store_.invalidate_all();
  put_caller(SteadyTime::max());
  put("a", "2");
  put_caller(now_ + 1s);
  now_ += 1s;
  EXPECT_EQ(value_of("a"), "");
  put_caller(SteadyTime::max());
  store_.shut();
  EXPECT_TRUE(store_.empty());
}

// --- invalidation ---

TEST_F(NearStoreTest, AnInvalidationTakesTheEntryAndNoOther) {
  put("a", "1");
  put("b", "2");
  store_.invalidate("a");
  store_.invalidate("c");
  EXPECT_EQ(value_of("a"), "");
  EXPECT_EQ(value_of("b"), "2");
  EXPECT_EQ(store_.stats().invalidations, 1U);
}

TEST_F(NearStoreTest, APrefixTakesAllBelowIt) {
  put("a/1", "1");
  put("a/2", "2");
  put("ab/1", "3");
  store_.invalidate_prefix("a/");
  EXPECT_EQ(store_.stats().entries, 1U);
  EXPECT_EQ(value_of("ab/1"), "3");
}

// A fetched value stays out when anything that may concern it happened between the asking and the
// filling; every such event, at every point of two fetches that overlap.
TEST_F(NearStoreTest, NoFillOutlivesAnInvalidation) {
  using Event = void (*)(NearStore&);
  const std::vector<std::pair<const char*, Event>> events{
      {"invalidate",
       [](NearStore& store) {
         store.invalidate("k");
       }},
      {"invalidate_prefix",
       [](NearStore& store) {
         store.invalidate_prefix("k");
       }},
      {"invalidate_all",
       [](NearStore& store) {
         store.invalidate_all();
       }},
      {"shut",
       [](NearStore& store) {
         store.shut();
       }},
      {"shut, open",
       [](NearStore& store) {
         store.shut();
         store.open();
       }},
      {"open again",
       [](NearStore& store) {
         store.open();
       }},
  };
  enum Step { ask_first, ask_second, fill_first, fill_second };
  const std::vector<std::vector<Step>> orders{
      {ask_first, ask_second, fill_first, fill_second},
      {ask_first, ask_second, fill_second, fill_first},
      {ask_first, fill_first, ask_second, fill_second},
  };
  for (const auto& [name, event] : events) {
    for (std::size_t order = 0; order < orders.size(); ++order) {
      for (std::size_t at = 0; at <= orders[order].size(); ++at) {
        SCOPED_TRACE(std::string(name) + " before step " + std::to_string(at) + " of order " +
                     std::to_string(order));
        NearStore store(1 << 20);
        store.open();
        NearStore::Fill first;
        NearStore::Fill second;
        bool first_spoilt = true;
        bool second_spoilt = true;
        bool shut = false;
        std::string expected;
        for (std::size_t step = 0; step <= orders[order].size(); ++step) {
          if (step == at) {
            event(store);
            first_spoilt = second_spoilt = true;
            shut = std::string(name) == "shut";
            // Opening a store that is open takes nothing away.
            if (std::string(name) != "open again") expected.clear();
          }
          if (step == orders[order].size()) break;
          switch (orders[order][step]) {
            case ask_first:
              first = store.begin_fill("k");
              first_spoilt = shut;
              break;
            case ask_second:
              second = store.begin_fill("k");
              second_spoilt = shut;
              break;
            case fill_first:
              EXPECT_EQ(store.fill(first, "k", "first", SteadyTime::max(), now_), !first_spoilt);
              if (!first_spoilt) expected = "first";
              break;
            case fill_second:
              EXPECT_EQ(store.fill(second, "k", "second", SteadyTime::max(), now_), !second_spoilt);
              if (!second_spoilt) expected = "second";
              break;
          }
        }
        const auto found = store.find("k", now_, true);
        EXPECT_EQ(found ? found->value() : "", expected);
      }
    }
  }
}

TEST_F(NearStoreTest, AFillWithoutLeaveIsRefused) {
  EXPECT_FALSE(store_.fill({}, "k", "v", SteadyTime::max(), now_));
}

TEST_F(NearStoreTest, AnInvalidationOfOneKeySparesTheFillsOfMostOthers) {
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto key = "k" + std::to_string(i);
    const auto leave = store_.begin_fill(key);
    store_.invalidate("other" + std::to_string(i));
    if (!store_.fill(leave, key, "v", SteadyTime::max(), now_)) ++refused;
  }
  EXPECT_LT(refused, 50);
}

TEST_F(NearStoreTest, AShutStoreHoldsAndTakesNothing) {
  put("a", "1");
  store_.shut();
  EXPECT_EQ(value_of("a"), "");
  EXPECT_FALSE(put("a", "1"));
  EXPECT_TRUE(store_.empty());
  store_.open();
  EXPECT_EQ(value_of("a"), "");
  EXPECT_TRUE(put("a", "1"));
}

// --- threads ---

// One writer counts up and tells of each step as a server would; nobody may find a value that is
// older than what the writer had told by then.
TEST_F(NearStoreTest, ReadersNeverSeeWhatWasInvalidated) {
  constexpr int steps = 3000;
  constexpr int readers = 3;
  NearStore store(64 << 10);
  store.open();
  std::atomic<int> on_server{0};
  std::atomic<int> told{0};
  std::atomic<int> wrong{0};
  std::atomic<int> served{0};
  std::vector<std::thread> threads;
  for (int r = 0; r < readers; ++r) {
    threads.emplace_back([&] {
      while (told < steps) {
        const auto known = told.load();
        if (const auto found = store.find("k", now_, true)) {
          ++served;
          if (std::stoi(found->value()) < known) ++wrong;
          store.attach(*found, std::make_shared<const int>(1), &tag, 10, now_);
          continue;
        }
        const auto leave = store.begin_fill("k");
        const auto fetched = std::to_string(on_server.load());
        store.fill(leave, "k", fetched, SteadyTime::max(), now_);
        const auto noise = "n" + fetched;
        store.fill(store.begin_fill(noise), noise, std::string(2000, 'n'), SteadyTime::max(), now_);
      }
    });
  }
  for (int i = 1; i <= steps; ++i) {
    on_server = i;
    store.invalidate("k");
    told = i;
    // So that there is something to be wrong.
    for (const int before = served; i % 100 == 50 && served == before;) std::this_thread::yield();
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(store.stats().bytes, std::size_t{64} << 10);
}

}  // namespace
}  // namespace valkeycache::testing
