// The "model" behind the simulated Bedrock: text derived from the prompt.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace valkeycache::test {

// The text that the simulation answers with: readable, the same each time, and depending on model,
// temperature (as it stands in the request) and prompt.
std::string simulated_text(const std::string& model, const std::string& temperature,
                           const std::string& prompt);

struct SimulatedAnswer {
  std::string body;              // of the response
  std::string validation_error;  // or why there is none, in the service's way: quoting the request
  std::vector<std::pair<std::string, std::string>> headers = {};
};
// What Converse would answer to the request body. Images and documents are told of by their format
// and size. With tools in the request it asks for one ("tool_use"), until the last message holds a
// tool's result, which it repeats.
SimulatedAnswer simulated_converse(const std::string& model, const std::string& request,
                                   const std::string& stop_reason,
                                   std::chrono::milliseconds latency);
// What InvokeModel would answer: to a body in Anthropic's form (cut by "max_tokens" below 10), or
// in that of Titan's embeddings.
SimulatedAnswer simulated_invoke(const std::string& model, const std::string& request);

}  // namespace valkeycache::test
