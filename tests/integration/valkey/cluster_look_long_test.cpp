// The map of slots is looked at again every 15 seconds: that another node serves a key now is
// noticed though nothing fails and nobody says so.
#include <valkeycache/valkey_cache.hpp>

#include <atomic>

#include "contract.hpp"
#include "support/valkey/cluster_map.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

TEST(ClusterLook, IsTakenWithoutACause) {
  std::atomic<std::uint16_t> owner{0};
  const auto map = [&] {
    return map_to(owner);
  };
  const NamedNode first("first", map);
  const NamedNode second("second", map);
  owner = first.port();
  const auto cache = ValkeyCache::open("valkey+cluster://127.0.0.1:" + std::to_string(first.port()),
                                       patient_options())
                         .value();
  EXPECT_EQ(cache.get(key_of("k")).get().value(), "first");
  owner = second.port();
  // Nobody calls meanwhile.
  ASSERT_TRUE(wait_until([&] { return cache.stats().connects == 2; }, 2 * patience));
  EXPECT_EQ(cache.get(key_of("k")).get().value(), "second");
  EXPECT_EQ(cache.stats().errors, 0U);
}

}  // namespace
