// Leases in a cluster whose slots move while the model is asked: the answer is given, stands where
// its key belongs now, and nobody holds a lease any more.
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "support/valkey/gate.hpp"
#include "support/valkey/valkey_cluster.hpp"
#include "support/valkey/wait.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class ClusterLease : public testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<ValkeyCluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }
  static ValkeyCluster& cluster() { return *cluster_; }

  static ValkeyCache open() {
    ValkeyCacheOptions options;
    options.connect_timeout = options.command_timeout = patience;
    return ValkeyCache::open(cluster().uri(), options).value();
  }
  CachedLlm over(const ValkeyCache& cache, std::chrono::milliseconds lease) {
    CachedLlmOptions options;
    options.ttl = 1h;
    options.advanced.connect_timeout = options.advanced.command_timeout = patience;
    options.advanced.store_timeout = patience;
    options.advanced.lease = lease;
    return {cache,
            make_text_llm({.model = "m", .scope = "local"},
                          [this](const ChatRequest&) {
                            asked_.open();
                            EXPECT_TRUE(may_answer_.wait());
                            return "answer " + std::to_string(++answers_);
                          }),
            options};
  }
  // A key's slot, with the node that has it and the one that is to get it.
  struct Move {
    explicit Move(const std::string& key)
        : wire_key(key),
          slot(cluster().slot_of(wire_key)),
          from(cluster().owner_of(slot).value()),
          to((from + 1) % 3) {}
    std::string wire_key;
    std::uint16_t slot;
    std::size_t from;
    std::size_t to;
    void begin() const {
      cluster().begin_move(slot, from, to);
      while (!cluster().move_keys(slot, from, to)) {
      }
    }
    void end() const {
      // What has been stored meanwhile, too.
      while (!cluster().move_keys(slot, from, to)) {
      }
      cluster().end_move(slot, from, to);
    }
    void all() const {
      begin();
      end();
    }
    // Of the key's time, in milliseconds.
    [[nodiscard]] long long left_at_new_owner() const {
      return cluster().server(to).command({"PTTL", wire_key}).integer;
    }
  };
  // While the model is asked `meanwhile` happens to the slots of the entry and of its lease; after
  // the answer, `later`.
  template <class Meanwhile, class Later>
  void ask_while(const Meanwhile& meanwhile, const Later& later,
                 std::chrono::milliseconds lease_time = patience) {
    const std::string prompt = testing::UnitTest::GetInstance()->current_test_info()->name();
    const auto cache = open();
    const auto other_cache = open();
    const auto llm = over(cache, lease_time);
    const auto other = over(other_cache, lease_time);
    const auto key = llm.key_of(prompt).value();
    const auto wire_key = cache.wire_key(key);
    const auto lease_key = wire_key + ":lease";
    const Move entry(wire_key);
    const Move lease(lease_key);
    ASSERT_NE(entry.slot, lease.slot);

    auto answer = llm.ask(prompt);
    ASSERT_TRUE(asked_.wait());
    EXPECT_EQ(cluster().holders_of(lease_key), std::vector<std::size_t>{lease.from});
    auto waiting = other.ask(prompt);  // for whoever holds the lease
    meanwhile(entry, lease);
    may_answer_.open();
    const auto given = answer.get(patience).value();
    EXPECT_EQ(given.response, "answer 1");
    EXPECT_FALSE(given.cached);
    EXPECT_EQ(waiting.get(patience).value().response, "answer 1");
    ASSERT_TRUE(ok(cache.flush(patience).get()));
    ASSERT_TRUE(ok(other_cache.flush(patience).get()));
    later(entry, lease);
    EXPECT_EQ(cluster().holders_of(wire_key), std::vector<std::size_t>{entry.to});
    // By its own time it would last longer.
    EXPECT_TRUE(wait_until([&] { return cluster().holders_of(lease_key).empty(); }, lease_time / 2))
        << "it was let go";
    EXPECT_EQ(answers_, 1);
    EXPECT_TRUE(llm.ask(prompt).get().value().cached);
    EXPECT_EQ(cache.stats().errors, 0U);
    EXPECT_EQ(other_cache.stats().errors, 0U);
  }

  static void nothing(const Move& /*entry*/, const Move& /*lease*/) {}

  Gate asked_;
  Gate may_answer_;
  std::atomic<int> answers_{0};

 private:
  static inline std::unique_ptr<ValkeyCluster> cluster_;
};

TEST_F(ClusterLease, TheEntrysSlotMoves) {
  ask_while([](const Move& entry, const Move&) { entry.all(); }, &nothing);
}

TEST_F(ClusterLease, TheLeasesSlotMovesToo) {
  ask_while(
      [](const Move& entry, const Move& lease) {
        lease.all();
        entry.all();
      },
      &nothing);
}

// Nothing has been said of their new owners yet: each is asked for by ASK, or given by it.
TEST_F(ClusterLease, BothSlotsAreOnTheWay) {
  ask_while(
      [](const Move& entry, const Move& lease) {
        entry.begin();
        lease.begin();
      },
      [](const Move& entry, const Move& lease) {
        entry.end();
        lease.end();
      });
}

// Held for longer than it was taken for.
TEST_F(ClusterLease, ALeaseIsExtendedWhereItHasGone) {
  constexpr auto lease_time = 6s;
  ask_while(
      [](const Move& entry, const Move& lease) {
        entry.all();
        lease.all();
        const auto left = [&] {
          return lease.left_at_new_owner();
        };
        auto last = left();
        EXPECT_GT(last, 0);
        EXPECT_TRUE(wait_until([&] {
          const auto now = left();
          return std::exchange(last, now) < now;
        }));
      },
      &nothing, lease_time);
}

}  // namespace
