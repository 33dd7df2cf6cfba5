// Runs the benchmarks and reports: a table, and JSON where a file is named for it.
#include <algorithm>
#include <exception>
#include <fstream>
#include <iostream>
#include <thread>

#include "bench/awake.hpp"
#include "bench/options.hpp"
#include "bench/report.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {
namespace {

constexpr Group groups[] = {
    {"W1", one_get},    // one thread, one get at a time
    {"W2", threads},    // eight threads
    {"W3", in_flight},  // 1,024 in flight
    {"W4", batches},    // a hundred keys at once
#ifdef VALKEYCACHE_BENCH_TLS
    {"tls", tls},  // W3 by TLS
#endif
    {"latency", latency},            // under a given load
    {"size", sizes},                 // from 100 B to 1 MiB
    {"clear", clear},                // of a whole prefix
    {"memory", memory},              // of a client, of an operation
    {"allocations", allocations},    // of an operation
    {"instructions", instructions},  // of an operation
    {"key", keys},                   // from a prompt
    {"near", near_hits},             // hits of the near cache
    {"near_hit_rate", near_hit_rates},
    {"nodes", nodes},     // of a cluster: how many there are
    {"ask", asks},        // a hit of the cache-aside call
    {"flight", flights},  // a thousand who wait for one call
    {"warm", warming},    // under a rate limit
#ifdef VALKEYCACHE_BENCH_SIGN
    {"sign", sign},        // a request for Bedrock
    {"bedrock", bedrock},  // calls
#endif
};

bool is_wanted(const Options& options, std::string_view name) {
  // Valgrind takes seconds, which a test does not have.
  if (options.only.empty() && options.smoke) return name != "instructions";
  return options.only.empty() || std::count(options.only.begin(), options.only.end(), name) > 0;
}

int run(const Options& options) {
  for (const auto& name : options.only) {
    if (std::none_of(std::begin(groups), std::end(groups),
                     [&](const Group& group) { return group.name == name; })) {
      std::cerr << "no such group: " << name << '\n';
      return 2;
    }
  }
  if (!options.table.empty()) {
    std::cout << to_markdown(test::read_text(options.table));
    return 0;
  }
  const AwakeProcessors awake(options.awake ? std::thread::hardware_concurrency() : 0);
  Stage stage(options);
  std::vector<Row> rows;
  print_header(std::cout);
  for (const auto& group : groups) {
    if (!is_wanted(options, group.name)) continue;
    for (auto& row : group.run(stage)) {
      print_row(std::cout, row);
      rows.push_back(std::move(row));
    }
  }
  const auto not_held =
      std::count_if(rows.begin(), rows.end(), [](const Row& row) { return held(row) == false; });
  if (!options.smoke) {
    std::cout << (not_held ? std::to_string(not_held) + " not held" : "all held") << std::endl;
  }
  if (!options.out.empty()) {
    std::ofstream out(options.out, std::ios::trunc);
    out << to_json(rows);
    if (!out.flush()) throw std::runtime_error("cannot write " + options.out);
  }
  return 0;
}

}  // namespace
}  // namespace valkeycache::bench

int main(int argc, char** argv) {
  try {
    return valkeycache::bench::run(valkeycache::bench::parse_options(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << "valkeycache_bench: " << error.what() << '\n';
    return 1;
  }
}
