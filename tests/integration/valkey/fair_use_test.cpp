// Several connections to one node: large values on one of them do not hold up small calls that go
// by another.
#include <algorithm>
#include <vector>

#include "contract.hpp"
#include "valkey/cluster_slot.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

using Found = std::optional<std::string>;

struct Kind {
  const char* name;
  bool tls;
  bool writes;
};

class FairUse : public ::testing::TestWithParam<Kind> {
 protected:
  static constexpr std::size_t large_bytes = std::size_t{32} << 20;
  static constexpr int large_calls = 4;

  void SetUp() override {
    ASSERT_TRUE(ok(cache_.set(large_key_, large_).get()));
    ASSERT_TRUE(ok(cache_.set(beside_, "v").get()));
    ASSERT_TRUE(ok(cache_.set(behind_, "v").get()));
  }
  [[nodiscard]] ValkeyCache open() const {
    auto options = patient_options();
    options.connections = 2;
    if (GetParam().tls) options.tls.ca_file = server_.ca_file();
    return ValkeyCache::open(GetParam().tls ? server_.tls_uri() : server_.uri(), options).value();
  }
  // One whose calls go by the connection with this number: of two, by the slot.
  [[nodiscard]] CacheKey key_by(int connection, const std::string& stem) const {
    for (int i = 0;; ++i) {
      auto key = key_of(stem + std::to_string(i));
      if (detail::key_slot(cache_.wire_key(key)) % 2 == connection) return key;
    }
  }
  // How many small ones, one after the other, it takes until all large ones that began before have
  // ended.
  int small_calls_meanwhile(const CacheKey& small) const {
    return GetParam().writes
               ? small_calls_meanwhile(small, [this] { return cache_.set(large_key_, large_); })
               : small_calls_meanwhile(small, [this] { return cache_.get(large_key_); });
  }
  template <class CallLarge>
  int small_calls_meanwhile(const CacheKey& small, CallLarge call_large) const {
    std::vector<decltype(call_large())> large;
    for (int i = 0; i < large_calls; ++i) large.push_back(call_large());
    int calls = 0;
    while (
        !std::all_of(large.begin(), large.end(), [](const auto& call) { return call.ready(); })) {
      EXPECT_EQ(cache_.get(small).get().value(), Found("v"));
      ++calls;
    }
    for (auto& call : large) EXPECT_TRUE(ok(call.get()));
    return calls;
  }

  const ValkeyServer server_{{.tls = true}};
  const ValkeyCache cache_ = open();
  const CacheKey large_key_ = key_by(0, "large");
  const CacheKey behind_ = key_by(0, "behind");
  const CacheKey beside_ = key_by(1, "beside");
  const std::string large_ = std::string(large_bytes, 'x');
};

TEST_P(FairUse, LargeValuesHoldUpNobodyWhoGoesByAnotherConnection) {
  EXPECT_LE(small_calls_meanwhile(behind_), 1) << "one connection keeps the order";
  // Behind them it would be one, always; a busy machine may let none begin in time, now and then.
  EXPECT_TRUE(wait_until([&] { return small_calls_meanwhile(beside_) >= large_calls; }));
}

INSTANTIATE_TEST_SUITE_P(Of, FairUse,
                         ::testing::Values(Kind{"Reads", false, false}, Kind{"Writes", false, true},
                                           Kind{"ReadsOverTls", true, false},
                                           Kind{"WritesOverTls", true, true}),
                         [](const auto& of) { return std::string(of.param.name); });

}  // namespace
