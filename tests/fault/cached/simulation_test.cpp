// Four processes ask as many users do, while Valkey and Bedrock have their troubles: everybody gets
// an answer to his own question, and the model is called no more than it has to be.
#include <gtest/gtest.h>

#include "simulation_run.hpp"
#include "support/sanitized.hpp"

using namespace valkeycache::test;

namespace {

TEST(Simulation, FourProcesses) {
  run_simulation({.asks = sanitized ? 8'000 : 24'000,
                  .asks_per_second = sanitized ? 150 : 900,
                  .questions = 300,
                  .storms = 3,
                  .ttl_ms = 7'000,
                  .calm_ms = 1'500});
}

}  // namespace
