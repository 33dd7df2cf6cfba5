// As simulation_test.cpp, for minutes.
#include <gtest/gtest.h>

#include "simulation_run.hpp"
#include "support/sanitized.hpp"

using namespace valkeycache::test;

namespace {

TEST(SimulationLong, FourProcesses) {
  run_simulation({.asks = sanitized ? 30'000 : 200'000,
                  .asks_per_second = sanitized ? 200 : 2'000,
                  .questions = 2'000,
                  .storms = 5,
                  .ttl_ms = 10'000,
                  .calm_ms = 7'000});
}

}  // namespace
