// The "model" behind the simulated Bedrock: text derived from the prompt.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace valkeycache::test {

// The text that the simulation answers with: readable, the same each time, and depending on model,
// temperature (as it stands in the request) and prompt.
std::string simulated_text(const std::string& model, const std::string& temperature,
                           const std::string& prompt);

struct SimulatedAnswer {
  std::string body;              // of a Converse response
  std::string validation_error;  // or why there is none, in the service's way: quoting the request
};
// What Converse would answer to the request body.
SimulatedAnswer simulated_converse(const std::string& model, const std::string& request,
                                   const std::string& stop_reason,
                                   std::chrono::milliseconds latency);

}  // namespace valkeycache::test
