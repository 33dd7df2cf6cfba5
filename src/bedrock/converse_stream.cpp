#include "bedrock/converse_stream.hpp"

#include <utility>

#include "base/json_string.hpp"
#include "base/number.hpp"
#include "bedrock/json_members.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using EventType = StreamEvent::Type;
using MaybeText = std::optional<std::string_view>;

// What a tool's input may nest, inside output.message.content[].toolUse of a Converse response.
constexpr int max_input_depth = max_json_depth - 6;

constexpr const char* repeated = "a member stands there twice";

// A payload's members: those that are asked for, and the others but "p", which is padding.
struct Members {
  explicit Members(std::vector<std::pair<std::string_view, MaybeText*>> wanted)
      : wanted_(std::move(wanted)) {}

  template <class F>
  const char* read(std::string_view payload, F other) {
    const char* fault = nullptr;
    const bool is_object = for_each_member(payload, [&](std::string_view name, auto raw) {
      for (const auto& [known, place] : wanted_) {
        if (name != known) continue;
        if (place->has_value()) fault = repeated;
        *place = raw;
        return !fault;
      }
      if (name != "p") fault = other(name, raw);
      return !fault;
    });
    if (fault) return fault;
    return is_object ? nullptr : "an event is not one well-formed JSON object";
  }
  const char* read(std::string_view payload) {
    return read(payload, [](std::string_view, std::string_view) -> const char* { return nullptr; });
  }

 private:
  std::vector<std::pair<std::string_view, MaybeText*>> wanted_;
};

bool is_string(std::string_view raw, std::string& text) {
  text.clear();
  return append_string_value(text, raw);
}

void append_to(std::optional<std::string>& joined, std::string_view piece) {
  if (!joined) joined.emplace();
  joined->append(piece);
}

bool is_json(std::string_view text, int max_depth) {
  JsonCursor cursor(text);
  std::string_view raw;
  return cursor.value(raw, max_depth) && cursor.finish();
}

}  // namespace

bool GrowingObject::add(std::string_view name, std::string_view raw) {
  if (!names_.emplace(name).second) return false;
  text_.add(name, raw);
  return true;
}

ConverseStreamAssembler::ConverseStreamAssembler(std::string request_id) {
  completion_.request_id = std::move(request_id);
}

ServiceError ConverseStreamAssembler::malformed(std::string_view what) const {
  return {.error = {.code = ErrorCode::invalid_response,
                    .message = "Bedrock's stream is not usable: " + std::string(what),
                    .maybe_applied = true,
                    .http_status = 200,
                    .request_id = completion_.request_id},
          .retry = RetryKind::never};
}

std::optional<ServiceError> ConverseStreamAssembler::take(const EventStreamMessage& message,
                                                          std::vector<StreamEvent>& events) {
  if (failed_) return failed_;
  const auto kind = message.string_header(":message-type");
  if (kind == "exception") {
    failed_ = make_stream_error(message.string_header(":exception-type"), message.payload,
                                completion_.request_id);
  } else if (kind == "error") {
    failed_ = make_stream_error(message.string_header(":error-code"), {}, completion_.request_id);
  } else if (kind == "event") {
    if (const char* fault =
            on_event(message.string_header(":event-type"), message.payload, events)) {
      failed_ = malformed(fault);
    }
  } else {
    failed_ = malformed("a message is neither an event nor an exception nor an error");
  }
  return failed_;
}

ConverseStreamAssembler::Fault ConverseStreamAssembler::on_event(std::string_view type,
                                                                 std::string_view payload,
                                                                 std::vector<StreamEvent>& events) {
  using Handler = Fault (ConverseStreamAssembler::*)(std::string_view, std::vector<StreamEvent>&);
  static constexpr std::pair<std::string_view, Handler> handlers[] = {
      {"contentBlockDelta", &ConverseStreamAssembler::on_block_delta},
      {"contentBlockStart", &ConverseStreamAssembler::on_block_start},
      {"contentBlockStop", &ConverseStreamAssembler::on_block_stop},
      {"messageStart", &ConverseStreamAssembler::on_message_start},
      {"messageStop", &ConverseStreamAssembler::on_message_stop},
      {"metadata", &ConverseStreamAssembler::on_metadata},
  };
  for (const auto& [known, handler] : handlers) {
    if (type != known) continue;
    if (!json_depth_within(payload, max_json_depth)) return "an event is nested too deeply";
    return (this->*handler)(payload, events);
  }
  return nullptr;
}

ConverseStreamAssembler::Fault ConverseStreamAssembler::on_message_start(
    std::string_view payload, std::vector<StreamEvent>& events) {
  if (std::exchange(started_, true)) return "a message starts twice";
  MaybeText role_json;
  if (const char* fault = Members({{"role", &role_json}}).read(payload)) return fault;
  std::string role;
  if (!role_json || !is_string(*role_json, role) || role.empty()) return "the message has no role";
  events.push_back({.type = EventType::message_start, .text = std::move(role)});
  return nullptr;
}

ConverseStreamAssembler::Fault ConverseStreamAssembler::open_block(const MaybeText& index,
                                                                   int& number, Block*& block) {
  if (!started_) return "a content block comes before the message's start";
  if (stopped_) return "a content block comes after the message's end";
  number = index ? parse_number<int>(*index).value_or(-1) : -1;
  if (number < 0) return "a content block has no index";
  block = &blocks_[number];
  return block->stopped ? "a content block goes on after its end" : nullptr;
}

ConverseStreamAssembler::Fault ConverseStreamAssembler::on_block_start(
    std::string_view payload, std::vector<StreamEvent>& events) {
  MaybeText index;
  MaybeText start;
  if (const char* fault =
          Members({{"contentBlockIndex", &index}, {"start", &start}}).read(payload)) {
    return fault;
  }
  int number = 0;
  Block* block = nullptr;
  if (const char* fault = open_block(index, number, block)) return fault;
  if (!start) return "a content block's start is missing";
  const char* fault = nullptr;
  std::string text;
  const bool is_object = for_each_member(*start, [&](std::string_view kind, auto value) {
    if (kind != "toolUse") {
      // The first two have no start, and the third is made here, of other things.
      if (kind == "text" || kind == "reasoningContent" || kind == "citationsContent") return false;
      block->others[std::string(kind)].emplace_back(value);
      return true;
    }
    if (block->tool) return false;
    block->tool.emplace();
    bool named = false;
    bool identified = false;
    const bool whole = for_each_member(value, [&](std::string_view name, auto raw) {
      if (name == "input") return true;  // follows in pieces
      if (name == "name") named = is_string(raw, text) && !text.empty();
      if (name == "toolUseId") identified = is_string(raw, text) && !text.empty();
      return block->tool->add(name, raw);
    });
    if (!whole || !named || !identified) fault = "a tool's use has no name or no id";
    return !fault;
  });
  if (fault) return fault;
  if (!is_object) return "a content block's start is not a proper object";
  events.push_back({.type = EventType::block_start, .block = number, .json = std::string(*start)});
  return nullptr;
}

ConverseStreamAssembler::Fault ConverseStreamAssembler::on_block_delta(
    std::string_view payload, std::vector<StreamEvent>& events) {
  MaybeText index;
  MaybeText delta;
  if (const char* fault =
          Members({{"contentBlockIndex", &index}, {"delta", &delta}}).read(payload)) {
    return fault;
  }
  int number = 0;
  Block* block = nullptr;
  if (const char* fault = open_block(index, number, block)) return fault;
  if (!delta) return "a content block's delta is missing";
  const char* fault = nullptr;
  const bool is_object = for_each_member(*delta, [&](std::string_view kind, auto value) {
    fault = add_delta(*block, number, kind, value, events);
    return !fault;
  });
  if (fault) return fault;
  return is_object ? nullptr : "a content block's delta is not an object";
}

ConverseStreamAssembler::Fault ConverseStreamAssembler::add_delta(
    Block& block, int index, std::string_view kind, std::string_view value,
    std::vector<StreamEvent>& events) {
  StreamEvent event{.block = index};
  const auto tell_raw = [&] {
    event.type = EventType::other_delta;
    GrowingObject raw;
    raw.add(kind, value);
    event.json = raw.json();
    events.push_back(std::move(event));
  };
  if (kind == "text") {
    if (!is_string(value, event.text)) return "a piece of text is not a string";
    append_to(block.text, event.text);
    event.type = EventType::text_delta;
    events.push_back(std::move(event));
  } else if (kind == "toolUse") {
    if (!block.tool) return "a tool's input comes without its start";
    MaybeText input;
    if (const char* fault = Members({{"input", &input}}).read(value)) return fault;
    if (!input || !is_string(*input, event.text)) return "a piece of a tool's input is no string";
    block.tool_input += event.text;
    event.type = EventType::tool_delta;
    events.push_back(std::move(event));
  } else if (kind == "reasoningContent") {
    MaybeText text;
    MaybeText signature;
    MaybeText redacted;
    if (const char* fault =
            Members({{"text", &text}, {"signature", &signature}, {"redactedContent", &redacted}})
                .read(value, [&block](auto name, auto raw) -> const char* {
                  const bool good = name != "reasoningText" && block.reasoning_more.add(name, raw);
                  return good ? nullptr : "a reasoning is not well-formed";
                })) {
      return fault;
    }
    std::string piece;
    if (signature) {
      if (!is_string(*signature, piece)) return "a reasoning's signature is not a string";
      append_to(block.reasoning_signature, piece);
    }
    if (redacted) {
      // Pieces of Base64 join where the former ends with a whole group of bytes.
      if (block.redacted && block.redacted->ends_with('=')) return "redacted content is in pieces";
      if (!is_string(*redacted, piece)) return "redacted content is not a string";
      append_to(block.redacted, piece);
    }
    if (!text) {
      tell_raw();
      return nullptr;
    }
    if (!is_string(*text, event.text)) return "a piece of reasoning is not a string";
    append_to(block.reasoning_text, event.text);
    event.type = EventType::reasoning_delta;
    events.push_back(std::move(event));
  } else if (kind == "citation") {
    block.citations.emplace_back(value);
    tell_raw();
  } else {
    if (kind == "citationsContent") return "a delta is of a kind that there is not";
    block.others[std::string(kind)].emplace_back(value);
    tell_raw();
  }
  return nullptr;
}

ConverseStreamAssembler::Fault ConverseStreamAssembler::on_block_stop(
    std::string_view payload, std::vector<StreamEvent>& events) {
  MaybeText index;
  if (const char* fault = Members({{"contentBlockIndex", &index}}).read(payload)) return fault;
  int number = 0;
  Block* block = nullptr;
  if (const char* fault = open_block(index, number, block)) return fault;
  block->stopped = true;
  events.push_back({.type = EventType::block_stop, .block = number});
  return nullptr;
}

ConverseStreamAssembler::Fault ConverseStreamAssembler::on_message_stop(
    std::string_view payload, std::vector<StreamEvent>& events) {
  if (!started_) return "the message ends before it starts";
  if (stopped_) return "the message ends twice";
  MaybeText reason;
  StreamEvent event{.type = EventType::message_stop};
  GrowingObject others;
  if (const char* fault =
          Members({{"stopReason", &reason}}).read(payload, [&](auto name, auto raw) -> const char* {
            return others.add(name, raw) && extra_.add(name, raw) ? nullptr : repeated;
          })) {
    return fault;
  }
  if (!reason || !is_string(*reason, event.text) || event.text.empty()) {
    return "the message has no stopReason";
  }
  if (blocks_.empty()) return "the message has no content";
  stopped_ = true;
  completion_.stop_reason = event.text;
  if (!others.empty()) event.json = others.json();
  events.push_back(std::move(event));
  return nullptr;
}

ConverseStreamAssembler::Fault ConverseStreamAssembler::on_metadata(
    std::string_view payload, std::vector<StreamEvent>& events) {
  if (std::exchange(told_usage_, true)) return "metadata comes twice";
  MaybeText usage;
  MaybeText metrics;
  StreamEvent event{.type = EventType::usage};
  GrowingObject others;
  if (const char* fault = Members({{"usage", &usage}, {"metrics", &metrics}})
                              .read(payload, [&](auto name, auto raw) -> const char* {
                                return others.add(name, raw) && extra_.add(name, raw) ? nullptr
                                                                                      : repeated;
                              })) {
    return fault;
  }
  ObjectText of_usage;
  ObjectText of_metrics;
  if (usage && !is_null(*usage) && !read_usage(*usage, completion_.usage, of_usage)) {
    return "its usage is not an object";
  }
  if (metrics && !is_null(*metrics)) {
    if (!read_metrics(*metrics, completion_, of_metrics)) return "its metrics are not an object";
    others.add("metrics", *metrics);
  }
  if (!of_usage.empty()) {
    others.add("usage", of_usage.json());
    extra_.add("usage", of_usage.json());
  }
  if (!of_metrics.empty()) extra_.add("metrics", of_metrics.json());
  event.usage = completion_.usage;
  if (!others.empty()) event.json = others.json();
  events.push_back(std::move(event));
  return nullptr;
}

// The pieces of a block of a kind that is not known, as one value.
std::string ConverseStreamAssembler::merged(const std::vector<std::string>& pieces) {
  if (pieces.size() == 1) return pieces.front();
  GrowingObject object;
  bool mergeable = true;
  for (const auto& piece : pieces) {
    mergeable = mergeable && for_each_member(piece, [&object](std::string_view name, auto raw) {
                  return object.add(name, raw);
                });
  }
  if (mergeable) return object.json();
  std::string array;
  for (const auto& piece : pieces) array.append(array.empty() ? "[" : ",").append(piece);
  return array + "]";
}

std::string ConverseStreamAssembler::reasoning_json(const Block& block) {
  auto object = block.reasoning_more;
  if (block.reasoning_text || block.reasoning_signature) {
    GrowingObject text;
    text.add("text", json_string(block.reasoning_text.value_or("")));
    if (block.reasoning_signature) text.add("signature", json_string(*block.reasoning_signature));
    object.add("reasoningText", text.json());
  }
  if (block.redacted) object.add("redactedContent", json_string(*block.redacted));
  return object.json();
}

ConverseStreamAssembler::Fault ConverseStreamAssembler::block_json(const Block& block,
                                                                   std::string& text,
                                                                   std::string& json) {
  GrowingObject object;
  if (block.tool) {
    auto tool = *block.tool;
    const auto& input = block.tool_input;
    if (!input.empty() && !is_json(input, max_input_depth)) return "a tool's input is not JSON";
    tool.add("input", input.empty() ? "{}" : std::string_view(input));
    object.add("toolUse", tool.json());
  }
  if (block.is_reasoning()) object.add("reasoningContent", reasoning_json(block));
  if (!block.citations.empty()) {
    std::string cited = R"({"content":[)";
    if (block.text) cited += R"({"text":)" + json_string(*block.text) + '}';
    cited += R"(],"citations":[)";
    for (std::size_t i = 0; i < block.citations.size(); ++i) {
      cited.append(i == 0 ? "" : ",").append(block.citations[i]);
    }
    object.add("citationsContent", cited + "]}");
  } else if (block.text || block.is_plain()) {
    text += block.text.value_or("");
    object.add("text", json_string(block.text.value_or("")));
  }
  for (const auto& [kind, pieces] : block.others) object.add(kind, merged(pieces));
  json = object.json();
  return nullptr;
}

Result<Completion> ConverseStreamAssembler::finish() {
  if (failed_) return failed_->error;
  if (!stopped_) {
    return Error{.code = ErrorCode::transport,
                 .message = "the stream ended before the answer was whole",
                 .retryable = true,
                 .maybe_applied = true,
                 .http_status = 200,
                 .request_id = completion_.request_id};
  }
  std::string content;
  bool only_text = true;
  for (const auto& [index, block] : blocks_) {
    std::string json;
    if (const char* fault = block_json(block, completion_.text, json)) {
      failed_ = malformed(fault);
      return failed_->error;
    }
    content.append(content.empty() ? "[" : ",").append(json);
    only_text = only_text && block.is_plain();
  }
  if (!only_text) completion_.content = std::move(content) + ']';
  if (!extra_.empty()) completion_.extra = extra_.json();
  return std::move(completion_);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
