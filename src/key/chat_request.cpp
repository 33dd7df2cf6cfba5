#include <valkeycache/llm.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/json_depth.hpp"
#include "base/json_string.hpp"
#include "base/utf8.hpp"
#include "key/canonical_json.hpp"
#include "key/python_text.hpp"
#include "key/request_json.hpp"
#include "key/request_parts.hpp"

namespace valkeycache::inline v0 {
namespace {

using detail::append_list;
using detail::append_object;
using detail::canonical_elements;
using detail::canonical_json;
using detail::canonical_members;
using detail::fault_message;
using detail::json_string;
using detail::max_json_depth;
using detail::ObjectWriter;
using detail::text_message;

// What says nothing that could change an answer, and so is in no key. Sorted.
constexpr std::array<std::string_view, 1> not_hashed{"requestMetadata"};

bool is_hashed(std::string_view member) {
  return std::find(not_hashed.begin(), not_hashed.end(), member) == not_hashed.end();
}

// The text when the canonical message is a user's with one text block and nothing else.
std::optional<std::string> only_text_of(std::string_view message) {
  constexpr std::string_view before = R"({"content":[{"text":)";
  constexpr std::string_view after = R"(}],"role":"user"})";
  if (message.size() < before.size() + after.size() || message.substr(0, before.size()) != before ||
      message.substr(message.size() - after.size()) != after) {
    return std::nullopt;
  }
  const auto middle = message.substr(before.size(), message.size() - before.size() - after.size());
  detail::JsonCursor cursor(middle);
  detail::JsonStringToken token;
  if (!cursor.string(token) || !cursor.finish()) return std::nullopt;
  return token.decode();
}

}  // namespace

ChatRequest::ChatRequest() noexcept = default;
ChatRequest::ChatRequest(std::string_view prompt) {
  user(prompt);
}
ChatRequest::ChatRequest(const ChatRequest& other)
    : parts_(other.parts_ ? std::make_unique<Parts>(*other.parts_) : nullptr) {}
ChatRequest::ChatRequest(ChatRequest&& other) noexcept = default;
ChatRequest& ChatRequest::operator=(const ChatRequest& other) {
  if (this != &other) *this = ChatRequest(other);
  return *this;
}
ChatRequest& ChatRequest::operator=(ChatRequest&& other) noexcept = default;
ChatRequest::~ChatRequest() = default;

ChatRequest::Parts& ChatRequest::parts() {
  if (!parts_) parts_ = std::make_unique<Parts>();
  return *parts_;
}

const ChatRequest::Parts& ChatRequest::parts() const noexcept {
  static const Parts none;
  return parts_ ? *parts_ : none;
}

bool ChatRequest::is_invoke() const noexcept {
  return parts().invoke_body.has_value();
}
const Error* ChatRequest::error() const noexcept {
  const auto& error = parts().error;
  return error ? &*error : nullptr;
}
const std::string& ChatRequest::model() const noexcept {
  return parts().model;
}

bool ChatRequest::refuse_on_invoke(const char* what) {
  if (!parts().invoke_body) return false;
  fail(std::string(what) + ": an invoke request has its body and nothing else");
  return true;
}

void ChatRequest::fail(std::string message) {
  if (parts().error) return;
  parts().error.emplace(
      Error{.code = ErrorCode::invalid_argument, .message = "ChatRequest: " + std::move(message)});
}

ChatRequest& ChatRequest::model(std::string_view id) {
  if (detail::is_valid_utf8(id)) {
    parts().model = id;
  } else {
    fail("the model's id is invalid UTF-8");
  }
  return *this;
}

void ChatRequest::set_inference(std::string_view member, std::string json) {
  if (refuse_on_invoke("an inference parameter")) return;
  if (!parts().inference) parts().inference.emplace();
  parts().inference->insert_or_assign(std::string(member), std::move(json));
}

ChatRequest& ChatRequest::temperature(double value) {
  if (std::isfinite(value)) {
    set_inference("temperature", detail::python_repr(value));
  } else {
    fail("temperature must be a finite number");
  }
  return *this;
}

ChatRequest& ChatRequest::temperature(int value) {
  set_inference("temperature", std::to_string(value));
  return *this;
}

ChatRequest& ChatRequest::top_p(double value) {
  if (std::isfinite(value)) {
    set_inference("topP", detail::python_repr(value));
  } else {
    fail("top_p must be a finite number");
  }
  return *this;
}

ChatRequest& ChatRequest::max_tokens(std::int64_t count) {
  if (count >= 1) {
    set_inference("maxTokens", std::to_string(count));
  } else {
    fail("max_tokens must be at least 1");
  }
  return *this;
}

ChatRequest& ChatRequest::stop_sequences(const std::vector<std::string>& sequences) {
  std::vector<std::string> texts;
  for (const auto& sequence : sequences) {
    if (!detail::is_valid_utf8(sequence)) {
      fail("a stop sequence is invalid UTF-8");
      return *this;
    }
    texts.push_back(json_string(sequence));
  }
  std::string list;
  append_list(list, texts);
  set_inference("stopSequences", std::move(list));
  return *this;
}

ChatRequest& ChatRequest::extra(std::string_view member, std::string_view json) {
  if (refuse_on_invoke("extra")) return *this;
  if (!detail::is_valid_utf8(member)) {
    fail("extra: the member's name is invalid UTF-8");
    return *this;
  }
  auto canonical = canonical_json(json, max_json_depth - 1);
  if (canonical.fault != detail::JsonFault::none) {
    fail(fault_message("extra", canonical));
  } else {
    set_member(member, std::move(canonical.text));
  }
  return *this;
}

void ChatRequest::set_member(std::string_view member, std::string canonical) {
  const char kind = canonical.front();
  const auto list = [&] {
    std::vector<std::string> elements;
    for (const auto element : canonical_elements(canonical)) elements.emplace_back(element);
    return elements;
  };
  if (member == "modelId") {
    if (kind != '"' || canonical == R"("")") return fail("modelId must be a string, not empty");
    parts().model = detail::canonical_string(canonical);
  } else if (member == "messages") {
    if (kind != '[') return fail("messages must be an array");
    parts().messages = list();
  } else if (member == "system") {
    if (kind != '[') return fail("system must be an array");
    parts().system = list();
  } else if (member == "inferenceConfig") {
    if (kind != '{') return fail("inferenceConfig must be an object");
    parts().inference.emplace();
    for (auto& [name, value] : canonical_members(canonical)) {
      parts().inference->emplace(std::move(name), value);
    }
  } else {
    parts().members.insert_or_assign(std::string(member), std::move(canonical));
  }
}

Result<ChatRequest> ChatRequest::from_converse_json(std::string_view json) {
  ChatRequest request;
  const auto canonical = canonical_json(json, max_json_depth);
  if (canonical.fault != detail::JsonFault::none) {
    request.fail(fault_message("from_converse_json", canonical));
  } else if (canonical.text.front() != '{') {
    request.fail("from_converse_json: a request is a JSON object");
  } else {
    for (const auto& [name, value] : canonical_members(canonical.text)) {
      request.set_member(name, std::string(value));
    }
  }
  if (request.parts().error) return *std::move(request.parts().error);
  return request;
}

ChatRequest ChatRequest::invoke(std::string_view model, std::string_view body) {
  ChatRequest request;
  request.model(model);
  auto canonical = canonical_json(body, max_json_depth);
  if (canonical.fault != detail::JsonFault::none) {
    request.fail(fault_message("invoke", canonical));
  } else if (canonical.text.front() != '{') {
    request.fail("invoke: a body is a JSON object");
  }
  request.parts().invoke_body = std::move(canonical.text);
  return request;
}

std::string ChatRequest::to_json() const {
  return to_json_if([](std::string_view) { return true; });
}

std::string ChatRequest::to_hashed_json() const {
  return to_json_if(is_hashed);
}

std::string ChatRequest::to_json_if(bool (*wanted)(std::string_view)) const {
  // To InvokeModel no member is known to be without meaning.
  if (parts().invoke_body) return *parts().invoke_body;
  std::string json;
  ObjectWriter object(json);
  // The members kept apart, in order, each written before the first that follows it.
  int next = 0;
  const auto write_before = [&](std::string_view name, bool all) {
    const auto due = [&](int which, std::string_view own) {
      return next == which && (all || own < name);
    };
    if (due(0, "inferenceConfig")) {
      ++next;
      if (parts().inference) append_object(object.member("inferenceConfig"), *parts().inference);
    }
    if (due(1, "messages")) {
      ++next;
      if (parts().messages) append_list(object.member("messages"), *parts().messages);
    }
    if (due(2, "system")) {
      ++next;
      if (parts().system) append_list(object.member("system"), *parts().system);
    }
  };
  for (const auto& [name, value] : parts().members) {
    write_before(name, false);
    if (wanted(name)) object.member(name) += value;
  }
  write_before({}, true);
  object.end();
  return json;
}

std::optional<std::string> ChatRequest::temperature_text() const {
  if (!parts().inference) return std::nullopt;
  const auto at = parts().inference->find("temperature");
  if (at == parts().inference->end()) return std::nullopt;
  return at->second;
}

bool ChatRequest::has_member(std::string_view member) const {
  if (parts().invoke_body) {
    const auto members =
        canonical_members(parts().invoke_body->empty() ? "{}" : *parts().invoke_body);
    return std::any_of(members.begin(), members.end(),
                       [member](const auto& one) { return one.name == member; });
  }
  if (member == "messages") return parts().messages.has_value();
  if (member == "system") return parts().system.has_value();
  if (member == "inferenceConfig") return parts().inference.has_value();
  return parts().members.find(member) != parts().members.end();
}

std::optional<ChatRequest::Triple> ChatRequest::as_triple() const {
  if (parts().error || parts().invoke_body || parts().system || !parts().messages ||
      parts().messages->size() != 1 || !parts().inference || parts().inference->size() != 1 ||
      std::any_of(parts().members.begin(), parts().members.end(),
                  [](const auto& member) { return is_hashed(member.first); })) {
    return std::nullopt;
  }
  const auto token = temperature_text();
  if (!token) return std::nullopt;
  auto temperature = detail::python_number(*token);
  if (!temperature) return std::nullopt;
  const auto prompt = only_text_of(parts().messages->front());
  if (!prompt) return std::nullopt;
  return Triple{.temperature = *std::move(temperature),
                .prompt = std::string(detail::python_strip(*prompt))};
}

ChatRequest ChatRequest::from_triple(std::string_view model, const Triple& triple) {
  ChatRequest request(triple.prompt);
  request.model(model);
  if (auto number = detail::python_number(triple.temperature)) {
    request.set_inference("temperature", *std::move(number));
  } else {
    request.fail("temperature must be a finite number");
  }
  return request;
}

ChatRequest ChatRequest::normalized() const {
  ChatRequest request = *this;
  if (auto triple = as_triple()) {
    request.parts().messages->front() = text_message("user", triple->prompt);
    request.set_inference("temperature", std::move(triple->temperature));
  }
  return request;
}

}  // namespace valkeycache::inline v0
