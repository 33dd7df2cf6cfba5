// What a get takes in clusters of 3, 100 and 1,000 nodes: the number must not matter. The 3 are
// real; of the others the client's side is.
#include <algorithm>

#include "bench/probe.hpp"
#include "bench/stage.hpp"
#include "support/valkey/simulated_cluster.hpp"
#include "support/valkey/valkey_cluster.hpp"

namespace valkeycache::bench {
namespace {

constexpr std::size_t numbers[] = {3, 100, 1000};

struct Cost {
  std::optional<double> alone;
  std::optional<double> many;
};

using Count = std::optional<double> (*)(std::uint16_t port, const std::string& operation,
                                        std::size_t count);

// In turn for each number; the first is what the others are compared with.
void measure(std::vector<Row>& rows, const test::ValkeyCluster& real, const std::string& what,
             const char* operation, Count count_it, std::size_t count, std::string must) {
  std::optional<double> baseline;
  for (const auto nodes : numbers) {
    std::optional<test::SimulatedCluster> simulated;
    if (nodes > 3) simulated.emplace(nodes);
    const auto port = simulated ? simulated->port() : real.server(0).port();
    const auto value = count_it(port, operation, count);
    if (!value) return;
    if (!baseline) baseline = value;
    rows.push_back({.name = "nodes." + std::to_string(nodes) + "." + what,
                    .value = *value,
                    .unit = "per get",
                    .baseline = baseline,
                    // Of no allocations there is no ratio.
                    .ratio = *baseline > 0.5 ? std::optional(*value / *baseline) : std::nullopt,
                    .must = *baseline > 0.5 ? must : "value <= 0.5"});
  }
}

}  // namespace

std::vector<Row> nodes(Stage& stage) {
  const test::ValkeyCluster real;
  std::vector<Row> rows;
  const Count allocated = [](std::uint16_t port, const std::string& operation, std::size_t count) {
    return std::optional(probe_cluster(port, operation, count));
  };
  const std::size_t count = stage.options().smoke ? 2048 : 8192;
  measure(rows, real, "allocations.alone", "cluster_alone", allocated, count, "ratio <= 1.05");
  measure(rows, real, "allocations.many", "cluster_many", allocated, count, "ratio <= 1.05");
  if (stage.options().smoke) return rows;
  // Under valgrind 15 seconds go by every few thousand gets, and with them a look at the map, which
  // is no part of a get: the lower of two counts had fewer of them.
  const Count fewest = [](std::uint16_t port, const std::string& operation, std::size_t gets) {
    const auto once = probe_cluster_instructions(port, operation, gets);
    return std::min(once, probe_cluster_instructions(port, operation, gets));
  };
  measure(rows, real, "instructions.alone", "cluster_alone", fewest, 4096, "ratio <= 1.05");
  return rows;
}

}  // namespace valkeycache::bench
