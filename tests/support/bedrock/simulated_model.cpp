#include "support/bedrock/simulated_model.hpp"

#include <cstdint>
#include <cstdio>
#include <optional>

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

// How many bytes base64 text stands for; nothing when it is no such text.
std::optional<std::size_t> base64_bytes(const std::string& text) {
  static const std::string alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto end = text.find_last_not_of('=') + 1;
  const auto padding = text.size() - end;
  if (text.empty() || text.size() % 4 != 0 || padding > 2) return std::nullopt;
  if (text.find_first_not_of(alphabet) < end) return std::nullopt;
  return text.size() / 4 * 3 - padding;
}

// "an image (png, 4 bytes)" for each image and document of the messages; a problem when the bytes
// cannot be read.
struct Seen {
  std::string text;
  std::string problem;
};
Seen all_media(const json& request) {
  Seen seen;
  for (const auto& message : request["messages"]) {
    if (!message.is_object()) continue;
    for (const auto& block : message.value("content", json::array())) {
      for (const auto* kind : {"image", "document"}) {
        if (!block.is_object() || !block.contains(kind)) continue;
        const auto& media = block[kind];
        const auto bytes =
            base64_bytes(media.value("source", json::object()).value("bytes", std::string()));
        if (!bytes) {
          seen.problem = std::string("The bytes of an ") + kind + " are not valid: " + block.dump();
          continue;
        }
        seen.text += seen.text.empty() ? "I see " : " and ";
        seen.text += kind == std::string("image")
                         ? "an image"
                         : "the document \"" + media.value("name", std::string()) + "\"";
        seen.text +=
            " (" + media.value("format", std::string()) + ", " + std::to_string(*bytes) + " bytes)";
      }
    }
  }
  return seen;
}

// The results of tools in the last message, as one text; nothing when there are none.
std::optional<std::string> tool_results(const json& request) {
  std::optional<std::string> out;
  const auto& last = request["messages"].back();
  if (!last.is_object()) return std::nullopt;
  for (const auto& block : last.value("content", json::array())) {
    if (!block.is_object() || !block.contains("toolResult")) continue;
    const auto& result = block["toolResult"];
    for (const auto& part : result.value("content", json::array())) {
      out = out ? *out + "; " : "";
      if (result.value("status", std::string()) == "error") *out += "an error: ";
      *out += part.contains("text") ? part["text"].get<std::string>()
                                    : part.value("json", json()).dump();
    }
  }
  return out;
}

// The last word of a text, without punctuation.
std::string last_word(const std::string& text) {
  static const std::string between = " \n\t?!.,;:\"'";
  const auto end = text.find_last_not_of(between);
  if (end == std::string::npos) return "";
  const auto begin = text.find_last_of(between, end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

// What a tool is called with: each string that it requires is the prompt's last word.
json tool_input(const json& spec, const std::string& prompt) {
  json input = json::object();
  const auto schema = spec.value("inputSchema", json::object()).value("json", json::object());
  for (const auto& name : schema.value("required", json::array())) {
    if (name.is_string()) input[name.get<std::string>()] = last_word(prompt);
  }
  return input;
}

// The tool that answers the request: the first one, unless another is chosen.
std::optional<json> tool_to_call(const json& request) {
  if (!request.contains("toolConfig") || !request["toolConfig"].is_object()) return std::nullopt;
  const auto& config = request["toolConfig"];
  const auto chosen = config.value("toolChoice", json::object())
                          .value("tool", json::object())
                          .value("name", std::string());
  for (const auto& tool : config.value("tools", json::array())) {
    if (!tool.contains("toolSpec")) continue;
    if (chosen.empty() || tool["toolSpec"].value("name", std::string()) == chosen) {
      return tool["toolSpec"];
    }
  }
  return std::nullopt;
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
  auto media = all_media(parsed);
  if (!media.problem.empty()) return {"", std::move(media.problem)};
  auto text = simulated_text(model, temperature, prompt);
  if (!media.text.empty()) text = media.text + ". " + text;
  auto content = json::array();
  auto reason = stop_reason;
  if (const auto results = tool_results(parsed)) {
    text = "The tool said: " + *results + ".";
  } else if (const auto tool = tool_to_call(parsed)) {
    const auto name = tool->value("name", std::string());
    text = "Let me ask " + name + ".";
    reason = "tool_use";
    // The same each time, as everything here.
    content.push_back({{"toolUse",
                        {{"toolUseId", "tooluse_" + short_hash(request)},
                         {"name", name},
                         {"input", tool_input(*tool, prompt)}}}});
  }
  content.insert(content.begin(), json{{"text", text}});
  const auto input_tokens = characters(prompt) / 4 + 1;
  const auto output_tokens = characters(text) / 4 + 1;
  const json answer{{"output", {{"message", {{"role", "assistant"}, {"content", content}}}}},
                    {"stopReason", reason},
                    {"usage",
                     {{"inputTokens", input_tokens},
                      {"outputTokens", output_tokens},
                      {"totalTokens", input_tokens + output_tokens}}},
                    {"metrics", {{"latencyMs", latency.count()}}}};
  return {answer.dump(), ""};
}

SimulatedAnswer simulated_invoke(const std::string& model, const std::string& request) {
  const auto parsed = json::parse(request, nullptr, false);
  if (!parsed.is_object()) return {"", "The request body is not valid JSON: " + request};
  const auto with_counts = [](const json& body, std::size_t in, std::size_t out) {
    SimulatedAnswer answer{body.dump(), ""};
    answer.headers = {{"x-amzn-bedrock-input-token-count", std::to_string(in)},
                      {"x-amzn-bedrock-output-token-count", std::to_string(out)},
                      {"x-amzn-bedrock-invocation-latency", "7"}};
    return answer;
  };
  if (parsed.contains("anthropic_version") && parsed.contains("messages")) {
    std::string prompt;
    for (const auto& message : parsed["messages"]) {
      const auto& content = message["content"];
      if (content.is_string()) prompt += content.get<std::string>();
      if (content.is_array()) prompt += content.dump();
    }
    const auto text = simulated_text(model, "default", prompt);
    const auto in = characters(prompt) / 4 + 1;
    const auto out = characters(text) / 4 + 1;
    return with_counts(
        {{"id", "msg_" + short_hash(request)},
         {"type", "message"},
         {"role", "assistant"},
         {"content", {{{"type", "text"}, {"text", text}}}},
         {"stop_reason", parsed.value("max_tokens", 99999) < 10 ? "max_tokens" : "end_turn"},
         {"usage", {{"input_tokens", in}, {"output_tokens", out}}}},
        in, out);
  }
  if (parsed.contains("inputText") && parsed["inputText"].is_string()) {
    const auto text = parsed["inputText"].get<std::string>();
    const auto in = characters(text) / 4 + 1;
    auto embedding = json::array();
    for (std::size_t i = 0; i < 4; ++i) {
      embedding.push_back(
          static_cast<double>(std::stoul(short_hash(text + std::to_string(i)), nullptr, 16)) /
          4294967296.0);
    }
    return with_counts({{"embedding", embedding}, {"inputTextTokenCount", in}}, in, 0);
  }
  return {"", "Malformed input request: " + request};
}

}  // namespace valkeycache::test
