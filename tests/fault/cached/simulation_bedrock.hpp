// The simulated Bedrock of the simulation: notes whom it is asked by and for what, and throttles.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "support/bedrock/simulated_bedrock.hpp"

namespace valkeycache::test {

// A request as it arrived: an attempt of a call.
struct Arrival {
  std::string attempt;  // the number that it bore
  std::size_t process = 0;
  int question = 0;
  std::int64_t at_us = 0;
  std::string request_id;
  bool throttled = false;
};

class SimulationBedrock {
 public:
  SimulationBedrock();

  [[nodiscard]] std::string url() const { return bedrock_.url(); }
  [[nodiscard]] SimulatedBedrockStats stats() const { return bedrock_.stats(); }
  // So many of a hundred requests are refused from now on.
  void throttle(int percent) { throttled_percent_ = percent; }
  // How long it takes over an answer.
  void set_delay(std::chrono::milliseconds delay) { bedrock_.set_delay(delay); }

  [[nodiscard]] std::vector<Arrival> arrivals() const;
  [[nodiscard]] std::size_t processes_heard_of() const;

 private:
  std::optional<Fault> arrived(const RecordedRequest& request);

  std::atomic<int> throttled_percent_{0};
  mutable std::mutex mutex_;
  std::vector<Arrival> arrivals_;
  // Last: its thread uses the members above.
  SimulatedBedrock bedrock_;
};

}  // namespace valkeycache::test
