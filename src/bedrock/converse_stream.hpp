// The answer of ConverseStream, put together from the messages of its event stream. No I/O.
#pragma once

#include <valkeycache/llm.hpp>
#include <valkeycache/result.hpp>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/converse_parts.hpp"
#include "bedrock/event_stream.hpp"
#include "bedrock/service_error.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// A JSON object that grows by members.
class GrowingObject {
 public:
  // False where there is one of that name.
  bool add(std::string_view name, std::string_view raw);
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
  [[nodiscard]] std::string json() const { return text_.json(); }

 private:
  ObjectText text_;
  std::set<std::string, std::less<>> names_;
};

// Makes of a stream what parse_converse_response() makes of a response, and is as strict: payloads
// are JSON objects in valid UTF-8 within 128 levels, the message has a role, at least one content
// block and a stop reason, no known member stands anywhere twice, a tool's input is JSON. Events of
// a kind that is not known are skipped; kinds of blocks and deltas that are not known are kept:
// those of one block become {"kind":value}, where all pieces are objects with their members side by
// side, else with an array of the pieces.
class ConverseStreamAssembler {
 public:
  explicit ConverseStreamAssembler(std::string request_id = {});

  // Appends to `events` what the message comes to. An error, once there is one, is for good.
  std::optional<ServiceError> take(const EventStreamMessage& message,
                                   std::vector<StreamEvent>& events);

  // messageStop was seen; what may follow is the usage.
  [[nodiscard]] bool whole() const noexcept { return stopped_; }

  // After the last message, once: ErrorCode::transport unless the answer is whole.
  Result<Completion> finish();

 private:
  // One content block, by what arrived of it.
  struct Block {
    bool stopped = false;
    std::optional<std::string> text;
    std::vector<std::string> citations;
    std::optional<GrowingObject> tool;  // as its start told it
    std::string tool_input;
    std::optional<std::string> reasoning_text;
    std::optional<std::string> reasoning_signature;
    std::optional<std::string> redacted;
    GrowingObject reasoning_more;                                         // further members
    std::map<std::string, std::vector<std::string>, std::less<>> others;  // values by kind

    [[nodiscard]] bool is_reasoning() const noexcept {
      return reasoning_text || reasoning_signature || redacted || !reasoning_more.empty();
    }
    // Nothing but text; one of which nothing came is an empty text.
    [[nodiscard]] bool is_plain() const noexcept {
      return !tool && !is_reasoning() && citations.empty() && others.empty();
    }
  };
  using Fault = const char*;  // what is wrong; nullptr: nothing

  Fault on_event(std::string_view type, std::string_view payload, std::vector<StreamEvent>& events);
  Fault on_message_start(std::string_view payload, std::vector<StreamEvent>& events);
  Fault on_block_start(std::string_view payload, std::vector<StreamEvent>& events);
  Fault on_block_delta(std::string_view payload, std::vector<StreamEvent>& events);
  Fault on_block_stop(std::string_view payload, std::vector<StreamEvent>& events);
  Fault on_message_stop(std::string_view payload, std::vector<StreamEvent>& events);
  Fault on_metadata(std::string_view payload, std::vector<StreamEvent>& events);
  Fault add_delta(Block& block, int index, std::string_view kind, std::string_view value,
                  std::vector<StreamEvent>& events);
  Fault open_block(const std::optional<std::string_view>& index, int& number, Block*& block);
  static std::string merged(const std::vector<std::string>& pieces);
  static std::string reasoning_json(const Block& block);
  // Appends its text to `text`.
  static Fault block_json(const Block& block, std::string& text, std::string& json);
  [[nodiscard]] ServiceError malformed(std::string_view what) const;

  std::map<int, Block> blocks_;
  bool started_ = false;
  bool stopped_ = false;
  bool told_usage_ = false;
  Completion completion_;
  GrowingObject extra_;
  std::optional<ServiceError> failed_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
