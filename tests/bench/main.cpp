// Runs the benchmarks and reports: a table, and JSON where a file is named for it.
#include <algorithm>
#include <exception>
#include <fstream>
#include <iostream>

#include "bench/options.hpp"
#include "bench/report.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {
namespace {

constexpr Group groups[] = {
    {"W1", one_get},
    {"W2", threads},
    {"W3", in_flight},
    {"W4", batches},
};

bool is_wanted(const Options& options, std::string_view name) {
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
