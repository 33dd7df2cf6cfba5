#include "support/bedrock/simulated_model.hpp"

#include <cstdint>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace valkeycache::test {
namespace {

using nlohmann::json;

// FNV-1a: enough to tell texts apart.
std::string short_hash(const std::string& text) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  char buffer[17];
  std::snprintf(buffer, sizeof buffer, "%08x", static_cast<unsigned>(hash >> 32));
  return buffer;
}

std::size_t characters(const std::string& text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

// The first characters of a text, on one line.
std::string beginning(const std::string& text, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool starts_character = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (starts_character && limit-- == 0) return out + "...";
    out += text[i] == '\n' ? ' ' : text[i];
  }
  return out;
}

// All text of the request's messages and system blocks.
std::string all_text(const json& request) {
  std::string out;
  const auto add_blocks = [&out](const json& blocks) {
    for (const auto& block : blocks) {
      if (block.is_object() && block.contains("text") && block["text"].is_string()) {
        out += (out.empty() ? "" : "\n") + block["text"].get<std::string>();
      }
    }
  };
  if (request.contains("system") && request["system"].is_array()) add_blocks(request["system"]);
  for (const auto& message : request["messages"]) {
    if (message.is_object() && message.contains("content") && message["content"].is_array()) {
      add_blocks(message["content"]);
    }
  }
  return out;
}

std::string validation_problem(const json& request, const std::string& text) {
  if (!request.is_object()) return "The request body is not valid JSON: " + text;
  if (!request.contains("messages") || !request["messages"].is_array() ||
      request["messages"].empty()) {
    return "Value at 'messages' failed to satisfy constraint: Member must not be null: " + text;
  }
  if (request.contains("inferenceConfig") && request["inferenceConfig"].contains("temperature")) {
    const auto& temperature = request["inferenceConfig"]["temperature"];
    if (!temperature.is_number() || temperature < 0 || temperature > 1) {
      return "Value '" + temperature.dump() +
             "' at 'inferenceConfig.temperature' failed to satisfy constraint in: " + text;
    }
  }
  return "";
}

}  // namespace

std::string simulated_text(const std::string& model, const std::string& temperature,
                           const std::string& prompt) {
  if (prompt == "What is Amazon ElastiCache for Valkey?") {
    return "Amazon ElastiCache for Valkey is a managed in-memory data store that speaks the "
           "open-source Valkey protocol: applications keep results there that are slow or costly "
           "to compute, such as the answers of a language model, and read them back in about a "
           "millisecond. (simulated by " +
           model + " at temperature " + temperature + ")";
  }
  return "Simulated answer of " + model + " at temperature " + temperature + " to a prompt of " +
         std::to_string(characters(prompt)) + " characters (" + short_hash(prompt) +
         "): " + beginning(prompt, 60);
}

SimulatedAnswer simulated_converse(const std::string& model, const std::string& request,
                                   const std::string& stop_reason,
                                   std::chrono::milliseconds latency) {
  const auto parsed = json::parse(request, nullptr, false);
  if (auto problem = validation_problem(parsed, request); !problem.empty()) {
    return {"", std::move(problem)};
  }
  std::string temperature = "default";
  if (parsed.contains("inferenceConfig") && parsed["inferenceConfig"].contains("temperature")) {
    temperature = parsed["inferenceConfig"]["temperature"].dump();
  }
  const auto prompt = all_text(parsed);
  const auto text = simulated_text(model, temperature, prompt);
  const auto input_tokens = characters(prompt) / 4 + 1;
  const auto output_tokens = characters(text) / 4 + 1;
  const json answer{
      {"output", {{"message", {{"role", "assistant"}, {"content", {{{"text", text}}}}}}}},
      {"stopReason", stop_reason},
      {"usage",
       {{"inputTokens", input_tokens},
        {"outputTokens", output_tokens},
        {"totalTokens", input_tokens + output_tokens}}},
      {"metrics", {{"latencyMs", latency.count()}}}};
  return {answer.dump(), ""};
}

}  // namespace valkeycache::test
