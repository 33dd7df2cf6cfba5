// What a benchmark is: a group of rows, measured against one server by one function.
//
// To add rows: write that function in a file of its own and name it in groups() of main.cpp.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace valkeycache::bench {

struct Options {
  bool quick = false;
  // Only to see that it works: the numbers mean nothing.
  bool smoke = false;
  int rounds = 5;
  // What each side does at a stretch before it is another's turn, and how often in a round.
  std::chrono::milliseconds slice{200};
  int slices = 5;
  std::vector<std::string> only = {};  // names of groups; empty: all
  bool awake = false;                  // keep processors from halting
  std::string out = {};                // a file for the JSON; empty: none
  std::string table = {};              // a file of such JSON, to be shown as Markdown; empty: none
};

// One line of the report. What a row holds is told by its name in docs/benchmarks.md.
struct Row {
  std::string name;
  double value = 0;
  std::string unit = {};
  // The same of what it is compared with, and value / baseline.
  std::optional<double> baseline = {};
  std::optional<double> ratio = {};
  // "ratio <= 1.08", "value <= 600"; empty: only for information.
  std::string must = {};
};

// Whether the row does what its `must` says; nullopt without one.
std::optional<bool> held(const Row& row);

class Stage;

struct Group {
  std::string_view name;
  std::vector<Row> (*run)(Stage& stage);
};

std::vector<Row> one_get(Stage& stage);
std::vector<Row> threads(Stage& stage);
std::vector<Row> in_flight(Stage& stage);
std::vector<Row> batches(Stage& stage);
std::vector<Row> tls(Stage& stage);
std::vector<Row> latency(Stage& stage);
std::vector<Row> sizes(Stage& stage);
std::vector<Row> allocations(Stage& stage);
std::vector<Row> instructions(Stage& stage);
std::vector<Row> memory(Stage& stage);
std::vector<Row> clear(Stage& stage);
std::vector<Row> near_hits(Stage& stage);
std::vector<Row> nodes(Stage& stage);
std::vector<Row> near_hit_rates(Stage& stage);
std::vector<Row> keys(Stage& stage);
std::vector<Row> asks(Stage& stage);
std::vector<Row> flights(Stage& stage);
std::vector<Row> warming(Stage& stage);
// Only where the Bedrock client is built:
std::vector<Row> sign(Stage& stage);
std::vector<Row> bedrock(Stage& stage);

}  // namespace valkeycache::bench
