// A cancellation may come before its command does, or after its end.
#include <valkeycache/valkey_cache.hpp>

#include <string>

#include <gtest/gtest.h>

#include "probe_command.hpp"
#include "valkey/counters.hpp"
#include "valkey/fleet.hpp"
#include "valkey/pipeline.hpp"
#include "valkey/poller.hpp"

namespace {

using namespace valkeycache;
using namespace valkeycache::detail;
using namespace valkeycache::testing;

ValkeyCacheOptions nowhere() {
  ValkeyCacheOptions options;
  options.deployment = Deployment::cluster;
  options.seeds = {"127.0.0.1:1"};
  return options;
}

class FleetCancel : public ::testing::Test {
 protected:
  const ValkeyCacheOptions options_ = nowhere();
  Poller poller_;
  Counters counters_;
  Fleet fleet_{options_, poller_, counters_, nullptr};
  Outcome outcome_;
};

TEST_F(FleetCancel, OneThatWaitsIsEnded) {
  const auto command = probe(outcome_, "k");
  fleet_.accept(command);
  fleet_.cancel(*command);
  fleet_.publish();
  ASSERT_TRUE(outcome_.error);
  EXPECT_EQ(outcome_.error->code, ErrorCode::cancelled);
  EXPECT_EQ(outcome_.published, 1);
}

// Commands are used again, by another cache, too: where such a one was before may be gone.
TEST_F(FleetCancel, OneThatHasNotComeYetIsLeftAlone) {
  const auto command = probe(outcome_, "k");
  {
    Pipeline before({}, counters_, SteadyTime{}, nullptr,
                    {.connection = reinterpret_cast<void*>(std::uintptr_t{64})});
    before.add(command);
    before.fail(*command, Error{.code = ErrorCode::timeout, .message = "late"});
    before.publish();
    // While it is still there, since reading what is gone might go well.
    fleet_.cancel(*command);
  }
  fleet_.cancel(*command);
  fleet_.publish();
  EXPECT_EQ(outcome_.error->code, ErrorCode::timeout);
  EXPECT_EQ(outcome_.published, 1);
}

}  // namespace
