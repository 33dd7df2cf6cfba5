// ChatRequest's setters for messages and system blocks.
#include <valkeycache/llm.hpp>

#include <cstddef>

#include "base/json_depth.hpp"
#include "base/utf8.hpp"
#include "key/request_json.hpp"
#include "key/request_parts.hpp"

namespace valkeycache::inline v0 {
using detail::canonical_json;
using detail::fault_message;
using detail::max_json_depth;
using detail::text_message;

void ChatRequest::add_text(const char* role, std::string_view text) {
  if (refuse_on_invoke(role)) return;
  if (!detail::is_valid_utf8(text)) {
    return fail((*role == 'u' ? "a user" : "an assistant") +
                std::string(" message is invalid UTF-8"));
  }
  if (!parts().messages) parts().messages.emplace();
  parts().messages->push_back(text_message(role, text));
}

void ChatRequest::add_message(const char* role, const std::vector<Content>& content) {
  if (refuse_on_invoke(role)) return;
  const auto unusable = [&](const std::string& why) {
    fail((*role == 'u' ? "a user" : "an assistant") + std::string(" message: ") + why);
  };
  if (content.empty()) return unusable("there is no content");
  std::size_t size = 64;
  for (const auto& block : content) {
    if (!block.fault().empty()) return unusable(block.fault());
    size += block.to_json().size() + 1;
  }
  std::string message;
  message.reserve(size);
  message += R"({"content":[)";
  for (const auto& block : content) {
    if (message.back() != '[') message += ',';
    message += block.to_json();
  }
  message.append(R"(],"role":")").append(role) += R"("})";
  if (!parts().messages) parts().messages.emplace();
  parts().messages->push_back(std::move(message));
}

ChatRequest& ChatRequest::user(std::string_view text) {
  add_text("user", text);
  return *this;
}
ChatRequest& ChatRequest::assistant(std::string_view text) {
  add_text("assistant", text);
  return *this;
}
ChatRequest& ChatRequest::user(const std::vector<Content>& content) {
  add_message("user", content);
  return *this;
}
ChatRequest& ChatRequest::assistant(const std::vector<Content>& content) {
  add_message("assistant", content);
  return *this;
}
ChatRequest& ChatRequest::assistant(const Completion& answer) {
  return assistant(content_of(answer));
}
ChatRequest& ChatRequest::message(const Message& message) {
  return message.role == Role::user ? user(message.content) : assistant(message.content);
}

ChatRequest& ChatRequest::system(std::string_view text) {
  if (detail::is_valid_utf8(text)) return system(Content::text(text));
  fail("a system text is invalid UTF-8");
  return *this;
}

ChatRequest& ChatRequest::system(const Content& block) {
  if (refuse_on_invoke("system")) return *this;
  if (!block.fault().empty()) {
    fail("a system block: " + block.fault());
    return *this;
  }
  if (!parts().system) parts().system.emplace();
  parts().system->push_back(block.to_json());
  return *this;
}

ChatRequest& ChatRequest::message_json(std::string_view json) {
  if (refuse_on_invoke("message_json")) return *this;
  // Two levels are the request's own: {"messages":[…]}.
  auto canonical = canonical_json(json, max_json_depth - 2);
  if (canonical.fault != detail::JsonFault::none) {
    fail(fault_message("message_json", canonical));
  } else if (canonical.text.front() != '{') {
    fail("message_json: a message is a JSON object");
  } else {
    if (!parts().messages) parts().messages.emplace();
    parts().messages->push_back(std::move(canonical.text));
  }
  return *this;
}

ChatRequest& ChatRequest::system_json(std::string_view json) {
  if (refuse_on_invoke("system_json")) return *this;
  auto canonical = canonical_json(json, max_json_depth - 2);
  if (canonical.fault != detail::JsonFault::none) {
    fail(fault_message("system_json", canonical));
  } else if (canonical.text.front() != '{') {
    fail("system_json: a system block is a JSON object");
  } else {
    if (!parts().system) parts().system.emplace();
    parts().system->push_back(std::move(canonical.text));
  }
  return *this;
}

}  // namespace valkeycache::inline v0
