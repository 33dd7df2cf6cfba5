// The near cache while slots move: what others have written since is never hidden by what is near,
// whichever of the two nodes has the key.
#include <valkeycache/valkey_cache.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <thread>

#include "contract.hpp"
#include "support/valkey/valkey_cluster.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

using Found = std::optional<std::string>;

class ClusterReshardNear : public testing::Test {
 protected:
  [[nodiscard]] static ValkeyCacheOptions with_near_cache() {
    auto options = patient_options();
    options.near_cache.max_bytes = 1 << 20;
    // What is near is to go because of a push, and not because a busy machine was late.
    options.near_cache.heartbeat = patience;
    return options;
  }
  [[nodiscard]] ValkeyCache open_writer() const {
    auto options = patient_options();
    options.prefix = cache.prefix();
    return ValkeyCache::open(cluster.uri(), options).value();
  }
  // What the server has said before it answers this has been read when the answer is there. Goes
  // where the key is.
  void read_pushes(const CacheKey& key) const { ASSERT_TRUE(ok(cache.ttl(key).get())); }
  // False: nothing is kept while its key may be on the way.
  [[nodiscard]] bool bring_near(const CacheKey& key) const {
    EXPECT_TRUE(ok(cache.get(key).get()));
    return static_cast<bool>(cache.find_near(key));
  }

  const ValkeyCluster cluster{{.primaries = 2}};
  const ValkeyCache cache = ValkeyCache::open(cluster.uri(), with_near_cache()).value();
  const ValkeyCache writer = open_writer();
};

TEST_F(ClusterReshardNear, WritesOfOthersAreSeenAtEveryStep) {
  constexpr std::size_t count = 20;
  const auto keys = many_keys(count, "{slot}");
  const auto slot = cluster.slot_of(cache.wire_key(keys[0]));
  const auto from = cluster.owner_of(slot).value();
  const auto to = 1 - from;
  int written = 0;
  const auto write_all = [&] {
    ++written;
    for (const auto& key : keys) ASSERT_TRUE(ok(writer.set(key, std::to_string(written)).get()));
  };
  // How many were near before the step. What has been written after it is seen.
  const auto near_before = [&](const std::function<void()>& step) {
    std::size_t near = 0;
    for (const auto& key : keys) near += bring_near(key) ? 1U : 0U;
    step();
    write_all();
    for (const auto& key : keys) {
      read_pushes(key);
      EXPECT_FALSE(cache.find_near(key)) << "what was there before is still near";
      EXPECT_EQ(cache.get(key).get().value(), Found(std::to_string(written)));
    }
    return near;
  };
  const auto nothing = [] {
  };
  write_all();
  ASSERT_TRUE(wait_until([&] { return bring_near(keys[0]); }));
  EXPECT_EQ(near_before([&] { cluster.begin_move(slot, from, to); }), count);
  EXPECT_EQ(near_before(nothing), count) << "none has moved";
  EXPECT_EQ(near_before([&] { cluster.move_keys(slot, from, to, count / 2); }), count);
  EXPECT_EQ(near_before(nothing), count / 2) << "what is on its way is not kept";
  EXPECT_EQ(near_before([&] { cluster.move_keys(slot, from, to); }), count / 2);
  EXPECT_EQ(near_before(nothing), 0U);
  EXPECT_EQ(near_before([&] { cluster.end_move(slot, from, to); }), 0U);
  EXPECT_EQ(near_before(nothing), count) << "by the word of the new owner";
  EXPECT_EQ(cache.stats().near_coherence, NearCoherence::tracking);
}

TEST_F(ClusterReshardNear, NoValueIsOlderThanTheLastOneAcknowledged) {
  constexpr std::size_t count = 12;
  const auto keys = many_keys(count);
  for (const auto& key : keys) ASSERT_TRUE(ok(writer.set(key, "0").get()));
  ASSERT_TRUE(wait_until([&] { return bring_near(keys[0]); }));
  std::array<std::atomic<int>, count> acknowledged{};
  std::jthread writing([&](const std::stop_token& enough) {
    for (int value = 1; !enough.stop_requested(); ++value) {
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_TRUE(ok(writer.set(keys[i], std::to_string(value)).get()));
        acknowledged[i] = value;
      }
    }
  });
  std::jthread reading([&](const std::stop_token& enough) {
    while (!enough.stop_requested()) {
      for (std::size_t i = 0; i < count; ++i) {
        const int least = acknowledged[i];
        read_pushes(keys[i]);
        // The first one may bring it near for the second one.
        for (int time = 0; time < 2; ++time) {
          const auto found = cache.get(keys[i]).get();
          EXPECT_TRUE(ok(found));
          EXPECT_GE(std::stoi(found.value_or(Found()).value_or("-1")), least);
        }
      }
    }
  });
  for (int round = 0; round < 2; ++round) {
    for (const auto& key : keys) {
      const auto slot = cluster.slot_of(cache.wire_key(key));
      const auto from = cluster.owner_of(slot).value();
      cluster.move(slot, from, 1 - from);
    }
  }
  reading.request_stop();
  reading.join();
  writing.request_stop();
  writing.join();
  EXPECT_GT(cache.stats().near_hits, 0U);
  EXPECT_EQ(cache.stats().errors, 0U);
}

}  // namespace
