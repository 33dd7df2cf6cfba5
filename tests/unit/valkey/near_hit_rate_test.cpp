#include <gtest/gtest.h>

#include "support/near_trace.hpp"
#include "support/sanitized.hpp"

namespace valkeycache::test {
namespace {

TraceOptions small_trace() {
  TraceOptions options;
  options.requests = sanitized ? 20'000 : 60'000;
  options.keys = 10'000;
  return options;
}

TEST(NearHitRate, IsNoWorseThanLruOnAZipfTrace) {
  const auto trace = make_trace(small_trace());
  const auto room = room_for(1000);
  EXPECT_GE(near_hit_rate(trace, room), lru_hit_rate(trace, room));
}

TEST(NearHitRate, SurvivesScansBetterThanLru) {
  auto options = small_trace();
  options.scan_every = 2000;
  options.scan_length = 2000;
  const auto trace = make_trace(options);
  const auto room = room_for(1000);
  const auto near = near_hit_rate(trace, room);
  const auto lru = lru_hit_rate(trace, room);
  EXPECT_GT(lru, 0.05) << "the trace must leave something to hit";
  EXPECT_GE(near, lru * 1.1);
}

}  // namespace
}  // namespace valkeycache::test
