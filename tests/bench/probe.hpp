// Numbers that want a process of their own: valkeycache_bench_probe is started with one operation
// and says one number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "support/valkey/valkey_server.hpp"

namespace valkeycache::bench {

// What the probe prints.
double probe(const test::ValkeyServer& server, const std::string& operation, std::size_t count);
// Likewise for operations on a cluster with a node at this port of 127.0.0.1.
double probe_cluster(std::uint16_t port, const std::string& operation, std::size_t count);

// The instructions of one operation, by callgrind: what twice as many cost more, so that starting
// and connecting do not count. Nullopt where there is no valgrind.
std::optional<double> probe_instructions(const test::ValkeyServer& server,
                                         const std::string& operation, std::size_t count);
std::optional<double> probe_cluster_instructions(std::uint16_t port, const std::string& operation,
                                                 std::size_t count);

}  // namespace valkeycache::bench
