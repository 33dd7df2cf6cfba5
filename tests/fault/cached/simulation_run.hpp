// A whole run of the simulation.
#pragma once

#include "simulation_plan.hpp"

namespace valkeycache::test {

// Fails the test that calls it when an answer was somebody else's, a call did not end in time, the
// model was called more often than it may be, or counters do not add up. Without a seed in the plan
// it is $VALKEYCACHE_SIMULATION_SEED, or another one each time.
void run_simulation(SimulationPlan plan);

}  // namespace valkeycache::test
