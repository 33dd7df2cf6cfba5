// When something was wrong with Valkey, or with Bedrock, and for how long that is felt.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "simulation_plan.hpp"

namespace valkeycache::test {

class Outages {
 public:
  // From before the trouble began to after it was over.
  void add(std::int64_t from_us, std::int64_t to_us) { outages_.push_back({from_us, to_us}); }

  // Whether any of it is felt at any time between the two.
  [[nodiscard]] bool felt_between(std::int64_t from_us, std::int64_t to_us) const {
    return std::any_of(outages_.begin(), outages_.end(), [&](const Outage& outage) {
      return to_us >= outage.from_us - before_us && from_us <= outage.to_us + after_us;
    });
  }
  [[nodiscard]] std::size_t count() const { return outages_.size(); }

 private:
  struct Outage {
    std::int64_t from_us, to_us;
  };
  static constexpr std::int64_t before_us = simulation::felt_before.count() * 1000;
  static constexpr std::int64_t after_us = simulation::felt_after.count() * 1000;
  std::vector<Outage> outages_;
};

}  // namespace valkeycache::test
