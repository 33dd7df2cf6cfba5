// The addresses given at the start are kept, though nobody has named them since: whoever loses all
// that they found comes back to them.
#include <valkeycache/valkey_cache.hpp>

#include <atomic>
#include <optional>

#include "contract.hpp"
#include "support/valkey/cluster_map.hpp"
#include "support/valkey/gate.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

// A seed that serves nothing itself, and two nodes, of which it names one.
class ClusterSeeds : public testing::Test {
 protected:
  ClusterSeeds() {
    // It serves, and the seed is no part of what it knows.
    EXPECT_EQ(cache_.get(key_of("k")).get().value(), "old");
    EXPECT_TRUE(wait_until([&] { return cache_.stats().connects == 2; }));
  }
  std::atomic<std::uint16_t> named_{0};
  // What the old node answers when it is asked who serves what.
  std::atomic<bool> old_knows_{true};
  std::atomic<bool> seed_is_mute_{false};
  Gate seed_speaks_;
  NamedNode seed_{"seed", [this] {
                    if (seed_is_mute_) (void)seed_speaks_.wait();
                    return map_to(named_);
                  }};
  std::optional<NamedNode> old_{std::in_place, "old", [this] {
                                  return old_knows_ ? map_to(named_)
                                                    : std::string("-ERR I know of nobody\r\n");
                                }};
  NamedNode new_{"new", [this] {
                   return map_to(named_);
                 }};
  ValkeyCache cache_ = [this] {
    named_ = old_->port();
    return ValkeyCache::open("valkey+cluster://127.0.0.1:" + std::to_string(seed_.port()),
                             patient_options())
        .value();
  }();
};

TEST_F(ClusterSeeds, AreAskedWhenAllThatWereFoundAreGone) {
  const auto before = seed_.asked_for("CLUSTER");
  named_ = new_.port();
  old_.reset();
  EXPECT_EQ(cache_.get(key_of("k")).get().value(), "new");
  EXPECT_GT(seed_.asked_for("CLUSTER"), before);
  EXPECT_EQ(seed_.asked_for("GET"), 0U);
}

// The seed itself is away when the others go, and comes back at another time than they do.
TEST_F(ClusterSeeds, AreAskedForAsLongAsIsNeeded) {
  named_ = 1;  // where nobody is
  old_.reset();
  auto got = cache_.get(key_of("k"));
  const auto before = seed_.asked_for("CLUSTER");
  ASSERT_TRUE(wait_until([&] { return seed_.asked_for("CLUSTER") >= before + 5; }));
  EXPECT_FALSE(got.ready());
  named_ = new_.port();
  EXPECT_EQ(got.get().value(), "new");
}

// It still answers, but no question about the others.
TEST_F(ClusterSeeds, AreAskedWhenThoseWhoAreLeftDoNotKnow) {
  const auto before = seed_.asked_for("CLUSTER");
  old_knows_ = false;
  named_ = new_.port();
  // clear() wants to know anew who they are, and waits for it.
  EXPECT_EQ(cache_.clear().get().value(), 0U);
  EXPECT_GT(seed_.asked_for("CLUSTER"), before);
  EXPECT_EQ(cache_.get(key_of("k")).get().value(), "new");
}

// Who says nothing may know better than those who refuse.
TEST_F(ClusterSeeds, AreAskedAgainWhenTheySayNothing) {
  const auto before = seed_.asked_for("CLUSTER");
  old_knows_ = false;
  seed_is_mute_ = true;
  named_ = new_.port();
  auto cleared = cache_.clear();
  ASSERT_TRUE(wait_until([&] { return seed_.asked_for("CLUSTER") > before; }));
  const auto rounds = old_->asked_for("CLUSTER");
  ASSERT_TRUE(wait_until([&] { return old_->asked_for("CLUSTER") > rounds; })) << "another round";
  seed_is_mute_ = false;
  seed_speaks_.open();
  EXPECT_EQ(cleared.get().value(), 0U);
  EXPECT_EQ(cache_.get(key_of("k")).get().value(), "new");
}

}  // namespace
