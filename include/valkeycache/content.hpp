// Content blocks, messages and tools in the terms of Amazon Bedrock's Converse API.
//
//   auto request = ChatRequest().user({Content::text("What is on this picture?"),
//                                      Content::image("png", bytes)});
//
// Everything here makes JSON text and nothing else; pure computation on the caller's thread. All of
// it are ordinary values; concurrent reads are safe.
#pragma once

#include <valkeycache/config.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace valkeycache::inline v0 {

// How a tool's result is marked.
enum class ToolStatus : std::uint8_t {
  success,  // the member "status" is left out: not every model takes it
  error,
};

// One block of a message. Each maker writes the block as Converse has it. One that gets something
// unusable makes a block with a fault(); a request that takes it remembers that as its error().
//
// Which blocks stand in which messages is for the model to say; nothing is checked here that
// depends on it.
class VALKEYCACHE_API Content {
 public:
  static Content text(std::string_view text);
  // The image's file as it is; base64 is made here. format: "png", "jpeg", "gif" or "webp". No
  // bytes, or another format, is a fault; for what Bedrock adds to the list there is raw().
  static Content image(std::string_view format, std::string_view bytes);
  // Likewise. format: "pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt" or "md". The name
  // is 1 to 200 characters of A-Z, a-z, 0-9, hyphens, parentheses, brackets and white space, of
  // which no two in a row (DocumentBlock of Bedrock's API). Models read it: keep it neutral.
  static Content document(std::string_view format, std::string_view name, std::string_view bytes);
  // A model's call of a tool, for a conversation that is made up or was kept elsewhere; that of a
  // Completion comes by content_of(). input: a JSON object.
  static Content tool_use(std::string_view id, std::string_view name, std::string_view input);
  // The result of the call with this id: text, or blocks (text, json, image, document).
  static Content tool_result(std::string_view tool_use_id, std::string_view text,
                             ToolStatus status = ToolStatus::success);
  static Content tool_result(std::string_view tool_use_id, const std::vector<Content>& content,
                             ToolStatus status = ToolStatus::success);
  // A JSON value, inside a tool_result.
  static Content json(std::string_view value);
  // Reasoning of a model, given back to it. It must be unchanged, signature included.
  static Content reasoning(std::string_view text, std::string_view signature = {});
  // Text for a guardrail to judge. qualifiers: "grounding_source", "query", "guard_content".
  static Content guard_text(std::string_view text, const std::vector<std::string>& qualifiers = {});
  // Up to here the model's service may keep what it has read. ttl: "5m", "1h" or unset.
  static Content cache_point(std::string_view ttl = {});
  // Any block: a JSON object as Converse has it, e.g. R"({"video":{...}})".
  static Content raw(std::string_view block);

  // The block as canonical JSON; empty with a fault.
  [[nodiscard]] const std::string& to_json() const noexcept { return json_; }
  // What was unusable, in words that quote nothing of it; empty when nothing was.
  [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

  friend bool operator==(const Content&, const Content&) = default;

 private:
  Content() = default;
  static Content good(std::string json);
  static Content bad(std::string fault);
  static Content bytes_block(std::string_view kind, std::string_view format, std::string_view name,
                             std::string_view bytes);

  std::string json_;
  std::string fault_;
};

enum class Role : std::uint8_t { user, assistant };

struct Message {
  Role role = Role::user;
  std::vector<Content> content = {};
};

// A tool that the model may call.
struct ToolSpec {
  std::string name;              // 1 to 64 of A-Z, a-z, 0-9, '_' and '-'
  std::string description = {};  // says when to call it; empty: none
  std::string input_schema;      // a JSON Schema: a JSON object as text
};

enum class ToolChoice : std::uint8_t {
  automatic,  // the model decides
  any,        // it has to call one of the tools
};

// A call of a tool, as a model asks for it.
struct ToolUse {
  std::string id;     // names the call in its Content::tool_result()
  std::string name;   // of the tool
  std::string input;  // a JSON object, as the model wrote it

  friend bool operator==(const ToolUse&, const ToolUse&) = default;
};

// The calls of tools among an answer's content blocks (Completion::content, CachedAnswer::content),
// in their order. What is no well-formed array of blocks has none.
VALKEYCACHE_API std::vector<ToolUse> tool_uses(std::string_view content);

// An answer's blocks, to be put back into the conversation: those of `content`, or one text block
// where that is empty. Unknown kinds are kept.
VALKEYCACHE_API std::vector<Content> content_of(std::string_view text, std::string_view content);

}  // namespace valkeycache::inline v0
