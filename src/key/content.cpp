#include <valkeycache/content.hpp>
#include <valkeycache/llm.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.hpp"
#include "base/base64.hpp"
#include "base/json_cursor.hpp"
#include "base/json_depth.hpp"
#include "base/json_string.hpp"
#include "base/utf8.hpp"
#include "key/canonical_json.hpp"

namespace valkeycache::inline v0 {
namespace {

using detail::append_json_string;
using detail::is_valid_utf8;

// {"messages":[{"content":[ are levels of the request's own.
constexpr int block_depth = detail::max_json_depth - 4;
constexpr std::size_t longest_document_name = 200;

constexpr std::array<std::string_view, 4> image_formats{"png", "jpeg", "gif", "webp"};
constexpr std::array<std::string_view, 9> document_formats{"pdf",  "csv",  "doc", "docx", "xls",
                                                           "xlsx", "html", "txt", "md"};

template <class List>
bool contains(const List& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

bool is_space(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_document_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > longest_document_name) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool second_space = is_space(c) && i > 0 && is_space(name[i - 1]);
    if (second_space) return false;
    if (!detail::is_alphanumeric(c) && !is_space(c) && c != '-' && c != '(' && c != ')' &&
        c != '[' && c != ']') {
      return false;
    }
  }
  return true;
}

std::string cannot_be_read(std::string_view what, const detail::CanonicalJson& json) {
  return std::string(what) + ": " + detail::describe(json.fault) + " at byte " +
         std::to_string(json.offset);
}

// The text of a string token; "" for another value.
std::string text_of(std::string_view json) {
  detail::JsonCursor cursor(json);
  detail::JsonStringToken token;
  if (cursor.peek() != '"' || !cursor.string(token)) return {};
  return token.decode();
}

// Calls f(name, value) for the members of an object; none when it is no object.
template <class F>
void each_member(std::string_view json, F f) {
  detail::JsonCursor cursor(json);
  if (!cursor.take('{')) return;
  detail::JsonStringToken name;
  std::string_view value;
  for (bool first = true; cursor.next_member(first, name);) {
    if (!cursor.value(value, detail::max_json_depth)) return;
    f(name.decode(), value);
  }
}

// The elements of a whole, well-formed array; none when it is no such thing.
std::vector<std::string_view> elements_of(std::string_view json) {
  std::vector<std::string_view> elements;
  detail::JsonCursor cursor(json);
  if (!cursor.take('[')) return {};
  std::string_view element;
  for (bool first = true; cursor.next_element(first);) {
    if (!cursor.value(element, detail::max_json_depth)) return {};
    elements.push_back(element);
  }
  if (!cursor.finish()) return {};
  return elements;
}

}  // namespace

Content Content::good(std::string json) {
  Content content;
  content.json_ = std::move(json);
  return content;
}

Content Content::bad(std::string fault) {
  Content content;
  content.fault_ = std::move(fault);
  return content;
}

Content Content::text(std::string_view text) {
  if (!is_valid_utf8(text)) return bad("a text block is invalid UTF-8");
  std::string json = R"({"text":)";
  append_json_string(json, text);
  return good(std::move(json) + '}');
}

// In the order that makes it canonical: format, name, source.
Content Content::bytes_block(std::string_view kind, std::string_view format, std::string_view name,
                             std::string_view bytes) {
  std::string json;
  json.reserve(bytes.size() / 3 * 4 + name.size() + 100);
  json.append(R"({")").append(kind).append(R"(":{"format":")").append(format);
  if (!name.empty()) {
    json += R"(","name":)";
    append_json_string(json, name);
    json += R"(,"source":{"bytes":")";
  } else {
    json += R"(","source":{"bytes":")";
  }
  detail::append_base64(json, bytes);
  return good(std::move(json) + R"("}}})");
}

Content Content::image(std::string_view format, std::string_view bytes) {
  if (!contains(image_formats, format)) return bad("an image's format is png, jpeg, gif or webp");
  if (bytes.empty()) return bad("an image has no bytes");
  return bytes_block("image", format, {}, bytes);
}

Content Content::document(std::string_view format, std::string_view name, std::string_view bytes) {
  if (!contains(document_formats, format)) {
    return bad("a document's format is pdf, csv, doc, docx, xls, xlsx, html, txt or md");
  }
  if (!is_document_name(name)) {
    return bad(
        "a document's name is 1 to 200 letters, digits, hyphens, parentheses, brackets and single "
        "blanks");
  }
  if (bytes.empty()) return bad("a document has no bytes");
  return bytes_block("document", format, name, bytes);
}

Content Content::tool_use(std::string_view id, std::string_view name, std::string_view input) {
  if (id.empty() || !is_valid_utf8(id)) return bad("a tool use has no usable id");
  if (name.empty() || !is_valid_utf8(name)) return bad("a tool use has no usable name");
  const auto canonical = detail::canonical_json(input, block_depth - 2);
  if (canonical.fault != detail::JsonFault::none) {
    return bad(cannot_be_read("a tool use's input", canonical));
  }
  if (canonical.text.front() != '{') return bad("a tool use's input is a JSON object");
  std::string json = R"({"toolUse":{"input":)" + canonical.text + R"(,"name":)";
  append_json_string(json, name);
  json += R"(,"toolUseId":)";
  append_json_string(json, id);
  return good(std::move(json) + "}}");
}

Content Content::tool_result(std::string_view tool_use_id, std::string_view text,
                             ToolStatus status) {
  return tool_result(tool_use_id, std::vector<Content>{Content::text(text)}, status);
}

Content Content::tool_result(std::string_view tool_use_id, const std::vector<Content>& content,
                             ToolStatus status) {
  if (tool_use_id.empty() || !is_valid_utf8(tool_use_id)) {
    return bad("a tool result has no usable id");
  }
  std::string json = R"({"toolResult":{"content":[)";
  for (const auto& block : content) {
    if (!block.fault_.empty()) return bad("in a tool result, " + block.fault_);
    if (json.back() != '[') json += ',';
    json += block.json_;
  }
  json += ']';
  if (status == ToolStatus::error) json += R"(,"status":"error")";
  json += R"(,"toolUseId":)";
  append_json_string(json, tool_use_id);
  json += "}}";
  if (!detail::json_depth_within(json, block_depth)) return bad("a tool result nests too deeply");
  return good(std::move(json));
}

Content Content::json(std::string_view value) {
  const auto canonical = detail::canonical_json(value, block_depth - 1);
  if (canonical.fault != detail::JsonFault::none) {
    return bad(cannot_be_read("a json block", canonical));
  }
  return good(R"({"json":)" + canonical.text + '}');
}

Content Content::reasoning(std::string_view text, std::string_view signature) {
  if (!is_valid_utf8(text) || !is_valid_utf8(signature)) {
    return bad("a reasoning block is invalid UTF-8");
  }
  std::string json = R"({"reasoningContent":{"reasoningText":{)";
  if (!signature.empty()) {
    json += R"("signature":)";
    append_json_string(json, signature);
    json += ',';
  }
  json += R"("text":)";
  append_json_string(json, text);
  return good(std::move(json) + "}}}");
}

Content Content::guard_text(std::string_view text, const std::vector<std::string>& qualifiers) {
  std::string json = R"({"guardContent":{"text":{)";
  if (!qualifiers.empty()) {
    json += R"("qualifiers":[)";
    for (const auto& qualifier : qualifiers) {
      if (!is_valid_utf8(qualifier)) return bad("a guard text's qualifier is invalid UTF-8");
      if (json.back() != '[') json += ',';
      append_json_string(json, qualifier);
    }
    json += "],";
  }
  if (!is_valid_utf8(text)) return bad("a guard text is invalid UTF-8");
  json += R"("text":)";
  append_json_string(json, text);
  return good(std::move(json) + "}}}");
}

Content Content::cache_point(std::string_view ttl) {
  if (!is_valid_utf8(ttl)) return bad("a cache point's ttl is invalid UTF-8");
  std::string json = R"({"cachePoint":{)";
  if (!ttl.empty()) {
    json += R"("ttl":)";
    append_json_string(json, ttl);
    json += ',';
  }
  return good(std::move(json) + R"("type":"default"}})");
}

Content Content::raw(std::string_view block) {
  auto canonical = detail::canonical_json(block, block_depth);
  if (canonical.fault != detail::JsonFault::none) {
    return bad(cannot_be_read("a content block", canonical));
  }
  if (canonical.text.front() != '{') return bad("a content block is a JSON object");
  return good(std::move(canonical.text));
}

std::vector<ToolUse> tool_uses(std::string_view content) {
  std::vector<ToolUse> uses;
  for (const auto block : elements_of(content)) {
    each_member(block, [&uses](const std::string& kind, std::string_view tool) {
      if (kind != "toolUse" || tool.front() != '{') return;
      ToolUse use{.id = {}, .name = {}, .input = "{}"};
      each_member(tool, [&use](const std::string& name, std::string_view value) {
        if (name == "toolUseId") use.id = text_of(value);
        if (name == "name") use.name = text_of(value);
        if (name == "input") use.input = value;
      });
      uses.push_back(std::move(use));
    });
  }
  return uses;
}

std::vector<Content> content_of(std::string_view text, std::string_view content) {
  if (content.empty()) return {Content::text(text)};
  std::vector<Content> blocks;
  for (const auto block : elements_of(content)) blocks.push_back(Content::raw(block));
  if (blocks.empty()) blocks.push_back(Content::raw(content));  // which tells what is wrong
  return blocks;
}

std::vector<ToolUse> tool_uses(const Completion& answer) {
  return tool_uses(std::string_view(answer.content));
}

std::vector<Content> content_of(const Completion& answer) {
  return content_of(answer.text, answer.content);
}

}  // namespace valkeycache::inline v0
