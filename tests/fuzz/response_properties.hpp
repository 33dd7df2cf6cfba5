// What must hold of any response's body: see properties.hpp. Of its own, since it needs libcurl's
// library.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/entry.hpp>
#include <valkeycache/llm.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/json_depth.hpp"
#include "base/utf8.hpp"
#include "bedrock/converse.hpp"
#include "bedrock/invoke_model.hpp"
#include "bedrock/service_error.hpp"

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

// nlohmann/json refuses numbers that no double holds: those with an exponent, or with very many
// digits.
inline bool may_hold_huge_number(std::string_view bytes) {
  std::size_t digits = 0;
  for (const char c : bytes) {
    if (digits > 0 && (c == 'e' || c == 'E')) return true;
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > 300) return true;
  }
  return false;
}

// An error is in our own words, whatever the bytes say; no more than AWS's name of it is theirs.
inline const char* check_error(const detail::ServiceError& made, int status,
                               std::string_view beginning) {
  const auto& error = made.error;
  const auto& name = error.server_code;
  if (error.http_status != status) return "an error of another status";
  if (name.size() > 100 || detail::error_type_name(name) != name) return "a name that is none";
  std::string_view words = error.message;
  if (!words.starts_with(beginning)) return "an error that begins otherwise";
  words.remove_prefix(beginning.size());
  if (!name.empty()) {
    if (!words.starts_with(" " + name)) return "an error that does not tell its name";
    words.remove_prefix(1 + name.size());
  }
  if (!words.empty() && !words.starts_with(": ")) return "an error with words of others";
  const bool ours = words.size() < 200 && std::all_of(words.begin(), words.end(),
                                                      [](char c) { return c >= 0x20 && c < 0x7f; });
  return ours ? nullptr : "an error with words of others";
}

inline const char* check_service_errors(std::string_view bytes) {
  for (const int status : {302, 400, 403, 424, 429, 503}) {
    auto response = response_of(bytes);
    response.status = status;
    const auto made = detail::make_service_error(response);
    const auto beginning = "Bedrock answered " + std::to_string(status);
    if (const char* broken = check_error(made, status, beginning)) return broken;
    // The head goes before the body, and is no more to be trusted.
    response.error_type = response.request_id = bytes;
    const auto by_head = detail::make_service_error(response);
    if (const char* broken = check_error(by_head, status, beginning)) return broken;
    const auto& id = by_head.error.request_id;
    if (!id.empty() && id != bytes) return "an id that nobody gave";
  }
  return nullptr;
}

inline const char* check_response(std::string_view bytes) {
  if (const char* broken = check_service_errors(bytes)) return broken;
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
  const bool taken = converse || invoke;
  if (taken && !may_hold_huge_number(bytes) && !nlohmann::json::accept(bytes)) {
    return "an answer of what is no JSON";
  }
  return nullptr;
}

}  // namespace valkeycache_fuzz
