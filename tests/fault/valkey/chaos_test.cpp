// Many threads call in every way that there is, over a network that does the worst. Each value
// names its key and its version, and not one may be wrong.
#include "chaos_run.hpp"
#include "fault.hpp"
#include "support/sanitized.hpp"

using namespace valkeycache::test;

namespace {

constexpr std::uint64_t calls = sanitized ? 6'000 : 60'000;

TEST(Chaos, Delays) {
  run_chaos({.delay = 50, .stall = 300, .stall_time = std::chrono::milliseconds(30)}, calls);
}

TEST(Chaos, RepliesAndRequestsInPieces) {
  run_chaos({.shred = 30}, calls);
}

TEST(Chaos, ConnectionsThatBreak) {
  run_chaos({.reset = 400, .half_close = 400, .bad_start = 4}, calls);
}

TEST(Chaos, ThingsThatAreNoReplies) {
  run_chaos({.garbage = 400, .wrong_type = 400, .bad_start = 4}, calls);
}

TEST(Chaos, EverythingAtOnce) {
  run_chaos({.delay = 100,
             .shred = 50,
             .stall = 2000,
             .reset = 800,
             .half_close = 800,
             .garbage = 800,
             .wrong_type = 800,
             .bad_start = 8},
            calls);
}

}  // namespace
