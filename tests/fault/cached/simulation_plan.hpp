// The simulation's size and times: what its processes, the world around them and the judge agree
// on.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "support/bedrock/simulated_model.hpp"
#include "support/sanitized.hpp"

namespace valkeycache::test {

struct SimulationPlan {
  int processes = 4;
  int callers = 8;  // threads of each process
  int asks = 0;     // of all processes together, like the next
  int asks_per_second = 0;
  int questions = 0;
  int storms = 0;  // at least
  std::int64_t ttl_ms = 0;
  std::int64_t calm_ms = 0;  // before and between the storms, as long as nothing of them is felt
  std::uint64_t seed = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SimulationPlan, processes, callers, asks, asks_per_second,
                                   questions, storms, ttl_ms, calm_ms, seed)

// The settings of each process.
namespace simulation {

using std::chrono::milliseconds;

inline constexpr const char* model = "us.anthropic.claude-sonnet-4-20250514-v1:0";
// Longer than by default: what a busy machine delays is no outage.
inline constexpr milliseconds command_timeout{sanitized ? 3000 : 1000};
inline constexpr milliseconds connect_timeout{sanitized ? 1000 : 250};
inline constexpr milliseconds store_timeout = command_timeout;
inline constexpr milliseconds breaker_open{300};
// Long enough to be extended in time by a process that waits for a processor.
inline constexpr milliseconds lease{sanitized ? 4000 : 2000};
inline constexpr milliseconds lease_life{30'000};
inline constexpr milliseconds model_delay{10};
// No outage: the lease is extended while its holder waits for the model.
inline constexpr milliseconds slow_model_delay = lease * 3 / 2;
// Longer than all attempts and the pauses between them.
inline constexpr milliseconds model_timeout{15'000};
// How much later than its deadline a call may end on a machine that has other things to do.
inline constexpr milliseconds margin{sanitized ? 20'000 : 5'000};
// ... which is not the rule: of those with less than `little_time` one in a hundred may be more
// than `late` beyond it, with no sanitizer in the way.
inline constexpr milliseconds little_time{2'100};
inline constexpr milliseconds late{250};

// An outage is felt a little before, by stores that it cuts off, ...
inline constexpr milliseconds felt_before = store_timeout;
// ... and afterwards: by a probe that began in it, the breaker that stays open once more, a lookup
// that waits for the connection, a lease whose holder could not give it back, and throttled calls
// that pause before their last attempt.
inline constexpr milliseconds felt_after =
    connect_timeout + command_timeout + breaker_open + command_timeout + lease;

// By a clock that all processes share.
inline std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline const std::string before_number = "What is the answer to question ";
inline std::string prompt_of(int question) {
  return before_number + std::to_string(question) + "?";
}
inline int question_of(const std::string& prompt) {
  return std::stoi(prompt.substr(before_number.size()));
}
// The only right one: it repeats the prompt.
inline std::string answer_to(int question) {
  return simulated_text(model, "0.7", prompt_of(question));
}

}  // namespace simulation
}  // namespace valkeycache::test
