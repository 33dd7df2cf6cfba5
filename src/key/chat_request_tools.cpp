// ChatRequest's setters for tools and guardrails.
#include <valkeycache/llm.hpp>

#include "base/json_depth.hpp"
#include "base/utf8.hpp"
#include "key/request_json.hpp"
#include "key/request_parts.hpp"

namespace valkeycache::inline v0 {
using detail::canonical_json;
using detail::canonical_members;
using detail::fault_message;
using detail::json_string;
using detail::max_json_depth;

namespace {

bool is_tool_name(std::string_view name) noexcept {
  constexpr std::size_t longest = 64;
  constexpr std::string_view allowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  return !name.empty() && name.size() <= longest &&
         name.find_first_not_of(allowed) == std::string_view::npos;
}

}  // namespace

ChatRequest& ChatRequest::tool(const ToolSpec& tool) {
  if (!is_tool_name(tool.name)) {
    fail("a tool's name is 1 to 64 letters, digits, '_' and '-'");
    return *this;
  }
  if (!detail::is_valid_utf8(tool.description)) {
    fail("a tool's description is invalid UTF-8");
    return *this;
  }
  // Six levels are around it: {"toolConfig":{"tools":[{"toolSpec":{"inputSchema":{"json":…
  const auto schema = canonical_json(tool.input_schema, max_json_depth - 6);
  if (schema.fault != detail::JsonFault::none) {
    fail(fault_message("a tool's input_schema", schema));
    return *this;
  }
  if (schema.text.front() != '{') {
    fail("a tool's input_schema is a JSON object");
    return *this;
  }
  std::string json = R"({"toolSpec":{)";
  if (!tool.description.empty()) {
    json += R"("description":)";
    detail::append_json_string(json, tool.description);
    json += ',';
  }
  json += R"("inputSchema":{"json":)" + schema.text + R"(},"name":")" + tool.name + R"("}})";
  add_tool(std::move(json));
  return *this;
}

ChatRequest& ChatRequest::tool_json(std::string_view json) {
  auto canonical = canonical_json(json, max_json_depth - 3);
  if (canonical.fault != detail::JsonFault::none) {
    fail(fault_message("tool_json", canonical));
  } else if (canonical.text.front() != '{') {
    fail("tool_json: a tool is a JSON object");
  } else {
    add_tool(std::move(canonical.text));
  }
  return *this;
}

ChatRequest& ChatRequest::tool_choice(ToolChoice choice) {
  set_tool_config("toolChoice", choice == ToolChoice::any ? R"({"any":{}})" : R"({"auto":{}})");
  return *this;
}

ChatRequest& ChatRequest::tool_choice(std::string_view name) {
  if (is_tool_name(name)) {
    set_tool_config("toolChoice", R"({"tool":{"name":")" + std::string(name) + R"("}})");
  } else {
    fail("tool_choice: a tool's name is 1 to 64 letters, digits, '_' and '-'");
  }
  return *this;
}

void ChatRequest::add_tool(std::string canonical) {
  const auto config = parts().members.find("toolConfig");
  std::string tools = "[]";
  if (config != parts().members.end() && config->second.front() == '{') {
    for (const auto& [name, value] : canonical_members(config->second)) {
      if (name == "tools") tools = value;
    }
  }
  if (tools.front() != '[')
    return fail("toolConfig.tools is no array: there is no place for a tool");
  tools.back() = tools.size() == 2 ? ' ' : ',';
  if (tools.back() == ' ') tools.pop_back();
  tools += canonical + ']';
  set_tool_config("tools", std::move(tools));
}

void ChatRequest::set_tool_config(std::string_view member, std::string canonical) {
  if (refuse_on_invoke("toolConfig")) return;
  Parts::Members config;
  if (const auto old = parts().members.find("toolConfig"); old != parts().members.end()) {
    if (old->second.front() != '{') return fail("toolConfig is no object");
    for (auto& [name, value] : canonical_members(old->second)) {
      config.emplace(std::move(name), value);
    }
  }
  config.insert_or_assign(std::string(member), std::move(canonical));
  std::string json;
  detail::append_object(json, config);
  parts().members.insert_or_assign("toolConfig", std::move(json));
}

ChatRequest& ChatRequest::guardrail(std::string_view id, std::string_view version,
                                    std::string_view trace) {
  if (refuse_on_invoke("guardrail")) return *this;
  for (const auto part : {id, version, trace}) {
    if (!detail::is_valid_utf8(part)) {
      fail("a guardrail's id, version or trace is invalid UTF-8");
      return *this;
    }
  }
  if (id.empty() || version.empty()) {
    fail("a guardrail needs an id and a version");
    return *this;
  }
  Parts::Members config{{"guardrailIdentifier", json_string(id)},
                        {"guardrailVersion", json_string(version)}};
  if (!trace.empty()) config.emplace("trace", json_string(trace));
  std::string json;
  detail::append_object(json, config);
  parts().members.insert_or_assign("guardrailConfig", std::move(json));
  return *this;
}

}  // namespace valkeycache::inline v0
