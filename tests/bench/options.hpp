// The command line of the benchmarks.
#pragma once

#include "bench/bench.hpp"

namespace valkeycache::bench {

// Says what is wrong, or what there is to say, and ends the program where it cannot go on.
Options parse_options(int argc, char** argv);

}  // namespace valkeycache::bench
