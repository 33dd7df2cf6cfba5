// As chaos_test.cpp, for minutes.
#include "chaos_run.hpp"
#include "fault.hpp"
#include "support/sanitized.hpp"

using namespace valkeycache::test;

namespace {

TEST(ChaosLong, EverythingAtOnce) {
  run_chaos({.delay = 500,
             .shred = 200,
             .stall = 10'000,
             .reset = 3'000,
             .half_close = 3'000,
             .garbage = 3'000,
             .wrong_type = 3'000,
             .bad_start = 8},
            sanitized ? 500'000 : 5'000'000);
}

}  // namespace
