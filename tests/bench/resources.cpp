// What an operation and a client take of the machine: allocations, instructions, memory. Each
// number comes from a fresh process (probe_main.cpp).
#include <map>

#include "bench/probe.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {
namespace {

Row beside(std::string name, std::string unit, double value, double baseline) {
  return {.name = std::move(name), .value = value, .unit = std::move(unit), .baseline = baseline};
}

struct Way {
  const char* name;
  const char* operation;
  const char* raw;
};
constexpr Way ways[] = {{"alone", "get_alone", "raw_alone"},
                        {"ask", "ask_alone", "raw_alone"},
                        {"get", "get_many", "raw_many"},
                        {"then", "then_many", "raw_many"},
                        {"co_await", "co_await_many", "raw_many"}};

}  // namespace

std::vector<Row> allocations(Stage& stage) {
  const std::size_t count = stage.options().smoke ? 1024 : 20480;
  std::vector<Row> rows;
  for (const auto& way : ways) {
    rows.push_back(beside(std::string("allocations.") + way.name, "per get",
                          probe(stage.server(), way.operation, count),
                          probe(stage.server(), way.raw, count)));
  }
  return rows;
}

std::vector<Row> instructions(Stage& stage) {
  // Valgrind is slow, and its counts hardly vary.
  constexpr std::size_t count = 2048;
  std::vector<Row> rows;
  std::map<std::string, double> raw;
  for (const auto& way : ways) {
    const bool main_way = std::string_view(way.name) == "get";
    if (!main_way && (stage.options().quick || stage.options().smoke)) continue;
    if (raw.count(way.raw) == 0) {
      const auto found = probe_instructions(stage.server(), way.raw, count);
      if (!found) break;
      raw[way.raw] = *found;
    }
    const auto value = probe_instructions(stage.server(), way.operation, count).value();
    rows.push_back(beside(std::string("instructions.") + way.name, "per get", value, raw[way.raw]));
    rows.back().ratio = value / raw[way.raw];
  }
  return rows;
}

std::vector<Row> memory(Stage& stage) {
  const std::size_t clients = stage.options().smoke ? 8 : 200;
  const std::size_t operations = stage.options().smoke ? 1000 : 50000;
  return {beside("memory.idle_client", "bytes", probe(stage.server(), "cache_idle", clients),
                 probe(stage.server(), "raw_idle", clients)),
          beside("memory.in_flight", "bytes", probe(stage.server(), "cache_waiting", operations),
                 probe(stage.server(), "raw_waiting", operations))};
}

}  // namespace valkeycache::bench
