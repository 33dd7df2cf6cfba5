// Looks at the end of each ask of a process, and counts.
#pragma once

#include <valkeycache/cached_llm.hpp>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "simulation_report.hpp"

namespace valkeycache::test {

// What an ask may expect.
struct Expectation {
  int question = 0;
  std::optional<std::chrono::milliseconds> timeout = {};
  bool cache_only = false;
  bool may_be_cancelled = false;
  std::int64_t begin_us = 0;
};

// Thread-safe.
class Witness {
 public:
  // One of several that were asked for together and got one after the other has to be over when the
  // longest of them has.
  void ended(const Expectation& expected, const Result<CachedAnswer>& result,
             std::optional<std::chrono::milliseconds> longest);
  void wrong(std::string what);

  [[nodiscard]] TokenTotals avoided() const;
  // Without what others know.
  [[nodiscard]] SimulationReport report() const;

 private:
  void answered(const Expectation& expected, const CachedAnswer& answer, std::int64_t now_us);
  void failed(const Expectation& expected, const Error& error, std::chrono::milliseconds took);

  mutable std::mutex mutex_;
  SimulationReport report_;
  TokenTotals avoided_;
};

}  // namespace valkeycache::test
