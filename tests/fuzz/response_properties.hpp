// What must hold of any response's body: see properties.hpp. Of its own, since it needs libcurl's
// library.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/entry.hpp>
#include <valkeycache/llm.hpp>

#include <string>
#include <string_view>

#include "base/json_depth.hpp"
#include "base/utf8.hpp"
#include "bedrock/converse.hpp"
#include "bedrock/invoke_model.hpp"

namespace valkeycache_fuzz {

using namespace valkeycache;

inline detail::HttpResponse response_of(std::string_view body) {
  detail::HttpResponse response;
  response.status = 200;
  response.content_type = "application/json";
  response.body = body;
  return response;
}

// What was taken can be kept, found again as it was, and put back into a conversation.
inline const char* check_completion(const Completion& answer) {
  static const auto key =
      CacheKey::builder().model("m").temperature(0.7).prompt("What is Valkey?").build().value();
  static const EntryCodec codec({.max_bytes = std::size_t{64} << 20});
  if (!detail::is_valid_utf8(answer.text)) return "a text that is not UTF-8";
  if (!detail::is_valid_utf8(answer.stop_reason)) return "a stop reason that is not UTF-8";
  const auto& usage = answer.usage;
  if (usage.input_tokens < 0 || usage.output_tokens < 0 || usage.total_tokens < 0) {
    return "negative usage";
  }
  const Entry entry{.response = answer.text,
                    .content = answer.content,
                    .stop_reason = answer.stop_reason,
                    .usage = usage,
                    .extra = answer.extra};
  const auto bytes = codec.encode(entry, key, "k");
  // One level is the entry's own.
  if (!bytes) {
    return detail::json_depth_within(answer.extra, detail::max_json_depth - 1)
               ? "an answer that cannot be kept"
               : nullptr;
  }
  const auto read = codec.decode(*bytes, key, "k");
  if (read.fault != EntryFault::none) return "a kept answer that cannot be read";
  if (read.entry.response != answer.text || read.entry.content != answer.content ||
      read.entry.extra != answer.extra || read.entry.stop_reason != answer.stop_reason ||
      read.entry.usage != usage) {
    return "keeping changes the answer";
  }
  for (const auto& use : tool_uses(answer)) {
    if (!detail::is_valid_utf8(use.id) || !detail::is_valid_utf8(use.name)) {
      return "a tool use that is not UTF-8";
    }
  }
  const auto request = ChatRequest("q").assistant(answer);
  if (!request.error() && !ChatRequest::from_converse_json(request.to_json())) {
    return "an answer that spoils the request it goes back into";
  }
  return nullptr;
}

inline const char* check_response(std::string_view bytes) {
  const auto converse = detail::parse_converse_response(response_of(bytes));
  if (converse) {
    if (converse->stop_reason.empty()) return "an answer without a stop reason";
    if (const char* broken = check_completion(*converse)) return broken;
  } else if (converse.error().code != ErrorCode::invalid_response) {
    return "an error of another kind";
  }
  const auto invoke = detail::parse_invoke_response(response_of(bytes));
  if (invoke) {
    if (invoke->text != bytes) return "a body that was changed";
    if (const char* broken = check_completion(*invoke)) return broken;
  } else if (invoke.error().code != ErrorCode::invalid_response) {
    return "an error of another kind";
  }
  return nullptr;
}

}  // namespace valkeycache_fuzz
