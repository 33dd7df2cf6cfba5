// What one process of the simulation saw.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace valkeycache::test {

// A call of the model, retries included, as CachedLlm made it.
struct ModelCall {
  int question = 0;
  std::int64_t begin_us = 0;
  std::int64_t end_us = 0;
  std::string error = {};       // its code's name; empty: answered
  std::string request_id = {};  // of the answer
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;

  [[nodiscard]] bool answered() const { return error.empty(); }
  // Stopped, since nobody waited for it any more.
  [[nodiscard]] bool stopped() const { return error == "cancelled"; }
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ModelCall, question, begin_us, end_us, error, request_id,
                                   input_tokens, output_tokens)

// A call of ask() that could not use the cache.
struct CacheTrouble {
  std::int64_t begin_us = 0;
  std::int64_t end_us = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CacheTrouble, begin_us, end_us)

struct SimulationReport {
  std::uint64_t asks = 0;
  std::map<std::string, std::uint64_t> answers = {};  // by source
  std::map<std::string, std::uint64_t> errors = {};   // by code
  std::map<std::string, std::uint64_t> counters = {};
  std::vector<ModelCall> model_calls = {};
  std::uint64_t attempts = 0;  // requests for Bedrock, retries included
  std::vector<CacheTrouble> cache_troubles = {};
  std::map<int, std::uint64_t> left = {};  // by question: asks that were cancelled or out of time
  std::uint64_t had_little_time = 0;
  std::uint64_t came_late = 0;           // of those
  std::vector<std::string> wrongs = {};  // the first of them
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SimulationReport, asks, answers, errors, counters, model_calls,
                                   attempts, cache_troubles, left, had_little_time, came_late,
                                   wrongs)

}  // namespace valkeycache::test
