#include "llm/completion_events.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_cursor.hpp"
#include "base/json_depth.hpp"
#include "base/json_string.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using Type = StreamEvent::Type;

// The value of the member, JSON text still; empty when there is none.
std::string_view member_of(std::string_view object, std::string_view wanted) {
  JsonCursor cursor(object);
  if (!cursor.expect('{')) return {};
  JsonStringToken name;
  std::string_view value;
  for (bool first = true; cursor.next_member(first, name) && cursor.value(value, max_json_depth);) {
    if (name.decode() == wanted) return value;
  }
  return {};
}

bool text_of(std::string_view json, std::string& text) {
  JsonCursor cursor(json);
  JsonStringToken token;
  if (json.empty() || cursor.peek() != '"' || !cursor.string(token)) return false;
  text = token.decode();
  return true;
}

// Every member but the tool's input, which follows in a delta.
std::string tool_start(std::string_view tool) {
  std::string json = R"({"toolUse":{)";
  JsonCursor cursor(tool);
  cursor.expect('{');
  JsonStringToken name;
  std::string_view value;
  bool any = false;
  for (bool first = true; cursor.next_member(first, name) && cursor.value(value, max_json_depth);) {
    const auto text = name.decode();
    if (text == "input") continue;
    if (std::exchange(any, true)) json += ',';
    append_json_string(json, text);
    json += ':';
    json += value;
  }
  json += "}}";
  return json;
}

void tell_block(std::string_view block, int index, const StreamHandler& on_event) {
  std::string text;
  if (text_of(member_of(block, "text"), text)) {
    on_event({.type = Type::text_delta, .block = index, .text = std::move(text)});
  } else if (const auto tool = member_of(block, "toolUse"); !tool.empty() && tool[0] == '{') {
    on_event({.type = Type::block_start, .block = index, .json = tool_start(tool)});
    if (const auto input = member_of(tool, "input"); !input.empty()) {
      on_event({.type = Type::tool_delta, .block = index, .text = std::string(input)});
    }
  } else if (text_of(member_of(member_of(member_of(block, "reasoningContent"), "reasoningText"),
                               "text"),
                     text)) {
    on_event({.type = Type::reasoning_delta, .block = index, .text = std::move(text)});
  } else {
    on_event({.type = Type::block_start, .block = index, .json = std::string(block)});
  }
  on_event({.type = Type::block_stop, .block = index});
}

// The content's blocks; none when there is no well-formed content.
std::vector<std::string_view> blocks_of(std::string_view content) {
  std::vector<std::string_view> blocks;
  JsonCursor cursor(content);
  if (content.empty() || !cursor.expect('[')) return {};
  std::string_view block;
  for (bool first = true; cursor.next_element(first) && cursor.value(block, max_json_depth);) {
    blocks.push_back(block);
  }
  if (!cursor.finish()) return {};
  return blocks;
}

}  // namespace

void tell_as_events(const Completion& completion, const StreamHandler& on_event) {
  on_event({.type = Type::message_start, .text = "assistant"});
  const auto blocks = blocks_of(completion.content);
  if (blocks.empty() && !completion.text.empty()) {
    on_event({.type = Type::text_delta, .text = completion.text});
    on_event({.type = Type::block_stop});
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    tell_block(blocks[i], static_cast<int>(i), on_event);
  }
  on_event({.type = Type::message_stop, .text = completion.stop_reason});
  on_event({.type = Type::usage, .usage = completion.usage});
}

}  // namespace detail
}  // namespace valkeycache::inline v0
