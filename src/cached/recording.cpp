#include "cached/recording.hpp"

#include <utility>

#include "base/json_cursor.hpp"
#include "base/json_depth.hpp"
#include "base/json_string.hpp"
#include "base/number.hpp"
#include "base/utf8.hpp"
#include "cached/stream_reader.hpp"
#include "llm/completion_events.hpp"

namespace valkeycache::inline v0 {
namespace detail {

namespace {

using Type = StreamEvent::Type;

bool is_json(std::string_view text) {
  JsonCursor cursor(text);
  std::string_view raw;
  return cursor.value(raw, max_json_depth - 3) && cursor.finish();
}

bool read_number(JsonCursor& cursor, std::size_t& number) {
  std::string_view token;
  if (!cursor.number(token)) return false;
  const auto read = parse_number<std::size_t>(token);
  number = read.value_or(0);
  return read.has_value();
}

// [type, block, text or length, json]
bool read_event(std::string_view raw, std::string_view& text_left, StreamEvent& event) {
  JsonCursor cursor(raw);
  bool first = true;
  std::size_t type = 0;
  std::size_t block = 0;
  if (!cursor.expect('[') || !cursor.next_element(first) || !read_number(cursor, type) ||
      type > static_cast<std::size_t>(Type::other_delta) || !cursor.next_element(first) ||
      !read_number(cursor, block) || block > 1'000'000 || !cursor.next_element(first)) {
    return false;
  }
  event.type = static_cast<Type>(type);
  event.block = static_cast<int>(block);
  if (cursor.peek() == '"') {
    JsonStringToken token;
    if (!cursor.string(token)) return false;
    event.text = token.decode();
  } else {
    std::size_t length = 0;
    if (!read_number(cursor, length) || length > text_left.size()) return false;
    event.text = text_left.substr(0, length);
    text_left.remove_prefix(length);
  }
  std::string_view json;
  if (cursor.next_element(first)) {
    if (!cursor.value(json, max_json_depth)) return false;
    event.json = json;
    if (cursor.next_element(first)) return false;
  }
  return cursor.finish();
}

// False where they are not what to_json() writes.
bool read_events(std::string_view json, const CachedAnswer& answer, Recording& recording) {
  JsonCursor cursor(json);
  if (json.empty() || !cursor.expect('[')) return false;
  std::vector<StreamEvent> events;
  std::string_view text_left = answer.response;
  std::string_view raw;
  for (bool first = true; cursor.next_element(first) && cursor.value(raw, max_json_depth);) {
    auto& event = events.emplace_back();
    if (!read_event(raw, text_left, event)) return false;
    if (event.type == Type::usage) event.usage = answer.usage;
    if (event.type == Type::usage && answer.usage == Usage{}) event.usage = answer.avoided_usage;
  }
  if (!cursor.finish() || events.empty() || !text_left.empty()) return false;
  for (const auto& event : events) recording.push(event);
  return true;
}

}  // namespace

bool Recording::push(const StreamEvent& event) {
  std::vector<std::shared_ptr<StreamReader>> readers;
  {
    const std::lock_guard lock(mutex_);
    const auto size = sizeof event + event.text.size() + event.json.size();
    full_ = full_ || size > max_bytes - bytes_;
    if (full_) return false;
    events_.push_back(event);
    bytes_ += size;
    readers = readers_;
  }
  for (const auto& reader : readers) reader->wake();
  return true;
}

void Recording::add(std::shared_ptr<StreamReader> reader) {
  const std::lock_guard lock(mutex_);
  readers_.push_back(std::move(reader));
}

void Recording::break_off() noexcept {
  const std::lock_guard lock(mutex_);
  broken_ = true;
}

const StreamEvent* Recording::at(std::size_t index) const noexcept {
  const std::lock_guard lock(mutex_);
  if (index >= events_.size() || (broken_ && index == 0)) return nullptr;
  return &events_[index];
}

bool Recording::broken() const noexcept {
  const std::lock_guard lock(mutex_);
  return broken_;
}

bool Recording::full() const noexcept {
  const std::lock_guard lock(mutex_);
  return full_;
}

std::string Recording::to_json(const Completion& completion) const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const auto& event : events_) {
    if (event.type == Type::text_delta) text += event.text;
  }
  if (text != completion.text) return {};
  std::string json;
  for (const auto& event : events_) {
    const bool counted = event.type == Type::text_delta;
    if (event.block < 0 || (!event.json.empty() && !is_json(event.json)) ||
        (!counted && !is_valid_utf8(event.text)) ||
        (event.type == Type::usage && event.usage != completion.usage)) {
      return {};
    }
    json += json.empty() ? "[[" : ",[";
    json += std::to_string(static_cast<int>(event.type)) + ',' + std::to_string(event.block) + ',';
    if (counted) {
      json += std::to_string(event.text.size());
    } else {
      append_json_string(json, event.text);
    }
    if (!event.json.empty()) json += ',' + event.json;
    json += ']';
  }
  if (!json.empty()) json += ']';
  return json;
}

std::shared_ptr<Recording> replay_of(const CachedAnswer& answer, std::string_view events) {
  auto recording = std::make_shared<Recording>();
  if (read_events(events, answer, *recording)) return recording;
  const Completion completion{
      .text = answer.response,
      .content = answer.content,
      .stop_reason = answer.stop_reason,
      .usage = answer.usage == Usage{} ? answer.avoided_usage : answer.usage};
  tell_as_events(completion, [&](const StreamEvent& event) { recording->push(event); });
  return recording;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
