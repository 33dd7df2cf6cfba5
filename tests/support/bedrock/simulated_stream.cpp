#include "support/bedrock/simulated_stream.hpp"

#include <algorithm>
#include <random>

#include <nlohmann/json.hpp>

#include "support/bedrock/event_frames.hpp"

namespace valkeycache::test {
namespace {

using nlohmann::json;

bool within_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {}

  void event(const std::string& type, json payload) {
    static const std::string letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456";
    payload["p"] = letters.substr(0, random_() % letters.size() + 1);
    frames_.push_back(event_frame(type, payload.dump()));
  }

  void block(int index, const json& block) {
    const auto& kind = block.begin().key();
    const auto& value = block.begin().value();
    if (kind == "text") {
      deltas(index, value, [](const std::string& piece) { return json{{"text", piece}}; });
    } else if (kind == "toolUse") {
      auto start = value;
      start.erase("input");
      event("contentBlockStart", {{"contentBlockIndex", index}, {"start", {{"toolUse", start}}}});
      const auto input = value.value("input", json::object());
      const auto text = input.empty() ? std::string() : input.dump();
      deltas(index, text, [](const std::string& piece) {
        return json{{"toolUse", {{"input", piece}}}};
      });
    } else if (kind == "reasoningContent" && value.contains("reasoningText")) {
      const auto& reasoning = value.at("reasoningText");
      deltas(index, reasoning.at("text"), [](const std::string& piece) {
        return json{{"reasoningContent", {{"text", piece}}}};
      });
      if (reasoning.contains("signature")) {
        delta(index, {{"reasoningContent", {{"signature", reasoning.at("signature")}}}});
      }
    } else {
      delta(index, block);
    }
    event("contentBlockStop", {{"contentBlockIndex", index}});
  }

  std::vector<std::string> take() { return std::move(frames_); }

 private:
  void delta(int index, json content) {
    event("contentBlockDelta", {{"contentBlockIndex", index}, {"delta", std::move(content)}});
  }

  template <class F>
  void deltas(int index, const std::string& text, F content) {
    const std::size_t largest = text.size() > 65536 ? 4000 : 12;
    for (std::size_t at = 0; at < text.size();) {
      auto end = std::min(text.size(), at + random_() % largest + 1);
      while (end < text.size() && within_character(text[end])) ++end;
      delta(index, content(text.substr(at, end - at)));
      at = end;
    }
  }

  std::mt19937 random_;
  std::vector<std::string> frames_;
};

}  // namespace

std::optional<std::vector<std::string>> simulated_stream(const std::string& converse_response,
                                                         unsigned seed) {
  const auto response = json::parse(converse_response, nullptr, false);
  if (!response.is_object() || !response.contains("output")) return std::nullopt;
  const auto& message = response.at("output").at("message");
  Writer writer(seed);
  writer.event("messageStart", {{"role", message.at("role")}});
  int index = 0;
  for (const auto& block : message.at("content")) writer.block(index++, block);
  writer.event("messageStop", {{"stopReason", response.at("stopReason")}});
  auto metadata = response;
  metadata.erase("output");
  metadata.erase("stopReason");
  writer.event("metadata", metadata);
  return writer.take();
}

std::vector<std::string> spoiled(std::vector<std::string> frames, const StreamFault& fault) {
  if (fault.end_after) frames.resize(std::min(frames.size(), *fault.end_after));
  if (!fault.exception.empty()) {
    const auto payload = fault.message.empty() ? "" : json{{"message", fault.message}}.dump();
    frames.push_back(exception_frame(fault.exception, payload));
  }
  if (!fault.error.empty()) frames.push_back(error_frame(fault.error, fault.message));
  if (fault.corrupt && *fault.corrupt < frames.size()) {
    auto& last = frames[*fault.corrupt].back();
    last = static_cast<char>(last ^ 1);
  }
  return frames;
}

}  // namespace valkeycache::test
