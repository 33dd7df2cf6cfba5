// A whole run: a real Valkey, the proxy that misbehaves, clients, and many threads that call them.
#pragma once

#include <cstdint>

#include "support/valkey/chaos_proxy.hpp"

namespace valkeycache::test {

// Fails the test that calls it when a value was wrong, a call did not end in time, or something is
// left behind.
void run_chaos(const ChaosFaults& faults, std::uint64_t calls);

}  // namespace valkeycache::test
