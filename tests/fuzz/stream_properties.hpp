// What must hold for any bytes that come as an event stream. As properties.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json_depth.hpp"
#include "base/utf8.hpp"
#include "bedrock/converse_stream.hpp"
#include "bedrock/crc32.hpp"
#include "bedrock/event_stream.hpp"

namespace valkeycache_fuzz {

using namespace valkeycache;

struct ReadStream {
  std::size_t messages = 0;
  std::size_t payload = 0;
  detail::EventStreamFault fault = detail::EventStreamFault::none;
  std::vector<StreamEvent> events;
  bool refused = false;
  bool whole = false;
  Result<Completion> completion{Error{}};
  bool kept_too_much = false;
};

// Pieces of `size` bytes; 0: all at once.
inline ReadStream read_stream(std::string_view bytes, std::size_t size) {
  ReadStream read;
  detail::EventStreamDecoder decoder;
  detail::ConverseStreamAssembler assembler("id");
  detail::EventStreamMessage message;
  for (std::size_t at = 0; at < bytes.size();) {
    auto input = bytes.substr(at, size == 0 ? bytes.size() : size);
    at += input.size();
    while (decoder.next(input, message)) {
      ++read.messages;
      read.payload += message.payload.size();
      if (!read.refused) read.refused = assembler.take(message, read.events).has_value();
    }
    read.kept_too_much |= decoder.memory() > 2 * at + 64;
    if (decoder.fault() != detail::EventStreamFault::none) break;
  }
  read.fault = decoder.finish();
  read.whole = assembler.whole();
  read.completion = assembler.finish();
  return read;
}

// The same bytes with right checksums wherever lengths make a frame, so that what lies behind the
// checksums is reached as well.
inline std::string with_checksums(std::string_view bytes) {
  std::string out(bytes);
  const auto get = [&out](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      value = value << 8 | static_cast<unsigned char>(out[at + i]);
    }
    return value;
  };
  const auto put = [&out](std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>(value >> (24 - 8 * i));
  };
  for (std::size_t at = 0; out.size() - at >= 16;) {
    put(at + 8, detail::crc32(std::string_view(out).substr(at, 8)));
    const std::size_t total = get(at);
    if (total < 16 || total > out.size() - at) break;
    put(at + total - 4, detail::crc32(std::string_view(out).substr(at, total - 4)));
    at += total;
  }
  return out;
}

inline const char* check_stream(std::string_view bytes) {
  const auto whole = read_stream(bytes, 0);
  if (whole.kept_too_much) return "more memory than bytes have come";
  if (whole.payload > bytes.size()) return "more payload than bytes";
  for (const std::size_t size : {std::size_t{1}, std::size_t{13}}) {
    const auto pieces = read_stream(bytes, size);
    if (pieces.kept_too_much) return "more memory than bytes have come";
    if (pieces.fault != whole.fault || pieces.messages != whole.messages) return "cuts are seen";
    if (pieces.events.size() != whole.events.size()) return "cuts change the events";
    if (pieces.completion.has_value() != whole.completion.has_value()) return "cuts decide";
    if (whole.completion && pieces.completion->content != whole.completion->content) {
      return "cuts change the answer";
    }
  }
  for (const auto& event : whole.events) {
    if (!detail::is_valid_utf8(event.text)) return "an event's text is not UTF-8";
    if (!event.json.empty() && !detail::is_valid_utf8(event.json)) return "its JSON is not UTF-8";
  }
  if (!whole.completion) return whole.completion.error().message.empty() ? "no reason" : nullptr;
  const auto& completion = *whole.completion;
  if (!whole.whole || whole.refused) return "an answer that is not whole";
  if (completion.stop_reason.empty()) return "an answer without a stop reason";
  if (!detail::is_valid_utf8(completion.text)) return "an answer that is not UTF-8";
  for (const auto* json : {&completion.content, &completion.extra}) {
    if (json->empty()) continue;
    if (!detail::json_depth_within(*json, detail::max_json_depth)) return "nested too deeply";
    // nlohmann/json refuses what it cannot keep in a double.
    const bool may_overflow = json->find_first_of("eE") != std::string::npos || json->size() > 300;
    if (!may_overflow && !nlohmann::json::accept(*json)) {
      return "what was made of it is no JSON";
    }
  }
  return nullptr;
}

inline const char* check_event_stream(std::string_view bytes) {
  if (const char* broken = check_stream(bytes)) return broken;
  return check_stream(with_checksums(bytes));
}

}  // namespace valkeycache_fuzz
