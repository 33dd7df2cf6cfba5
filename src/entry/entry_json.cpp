#include "entry/entry_json.hpp"

#include <array>
#include <system_error>

#include "base/json_cursor.hpp"
#include "base/json_depth.hpp"
#include "base/json_string.hpp"
#include "base/number.hpp"
#include "base/utf8.hpp"
#include "entry/python_value.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::int64_t current_version = 1;

// --- writing

Error invalid(const char* message) {
  return {.code = ErrorCode::invalid_argument, .message = message};
}

bool begins(char bracket, std::string_view json) {
  JsonCursor cursor(json);
  std::string_view raw;
  return cursor.peek() == bracket && cursor.value(raw, max_json_depth - 1) && cursor.finish();
}

void append_text(std::string& out, const char* name, std::string_view text) {
  if (text.empty()) return;
  out += name;
  append_json_string(out, text);
}
void append_number(std::string& out, const char* name, std::int64_t number) {
  if (number == 0) return;
  out += name;
  out += std::to_string(number);
}
void append_raw(std::string& out, const char* name, std::string_view json) {
  if (json.empty()) return;
  out += name;
  out += json;
}

void append_usage(std::string& out, const Usage& usage) {
  if (usage == Usage{}) return;
  std::string members;
  append_number(members, R"(,"input_tokens":)", usage.input_tokens);
  append_number(members, R"(,"output_tokens":)", usage.output_tokens);
  append_number(members, R"(,"total_tokens":)", usage.total_tokens);
  append_number(members, R"(,"cache_read_tokens":)", usage.cache_read_tokens);
  append_number(members, R"(,"cache_write_tokens":)", usage.cache_write_tokens);
  members.front() = '{';
  out += R"(,"usage":)";
  out += members;
  out += '}';
}

// --- reading

enum Member : std::size_t {
  m_response,
  m_version,
  m_digest,
  m_model,
  m_stop_reason,
  m_usage,
  m_created,
  m_hard_ttl,
  m_soft_ttl,
  m_content,
  m_events,
  m_extra,
  member_count,
};
constexpr std::array<std::string_view, member_count> names{
    "response",   "v",           "digest",      "model",   "stop_reason", "usage",
    "created_ms", "hard_ttl_ms", "soft_ttl_ms", "content", "events",      "extra"};

// The JSON text of each known member; without data where there is none.
using Members = std::array<std::string_view, member_count>;

bool collect(JsonCursor& cursor, Members& members, int max_depth) {
  if (!cursor.expect('{')) return false;
  JsonStringToken name;
  std::string_view value;
  std::string decoded;
  for (bool first = true; cursor.next_member(first, name);) {
    if (!cursor.value(value, max_depth - 1)) return false;
    if (name.escaped) decoded = name.decode();
    const auto text = name.escaped ? std::string_view(decoded) : name.raw;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] != text) continue;
      if (members[i].data()) return cursor.fail(JsonFault::duplicate);
      members[i] = value;
      break;
    }
  }
  return cursor.finish();
}

bool text_of(std::string_view value, std::string& text) {
  if (value.size() < 2 || value.front() != '"') return false;
  const auto raw = value.substr(1, value.size() - 2);
  text.clear();
  JsonStringToken{.raw = raw, .escaped = raw.find('\\') != std::string_view::npos}.append_to(text);
  return true;
}

bool number_of(std::string_view value, std::int64_t& number) noexcept {
  const auto parsed = parse_number<std::int64_t>(value);
  if (!parsed || *parsed < 0) return false;
  number = *parsed;
  return true;
}

bool array_of(std::string_view value, std::string& json) {
  if (value.front() != '[') return false;
  json = value;
  return true;
}

bool object_of(std::string_view value, std::string& json) {
  if (value.front() != '{') return false;
  json = value;
  return true;
}

bool usage_of(std::string_view value, Usage& usage) {
  JsonCursor cursor(value);
  if (!cursor.expect('{')) return false;
  bool good = true;
  JsonStringToken name;
  std::string_view token;
  for (bool first = true; cursor.next_member(first, name) && cursor.value(token, max_json_depth);) {
    const auto text = name.decode();
    if (text == "input_tokens") {
      good &= number_of(token, usage.input_tokens);
    } else if (text == "output_tokens") {
      good &= number_of(token, usage.output_tokens);
    } else if (text == "total_tokens") {
      good &= number_of(token, usage.total_tokens);
    } else if (text == "cache_read_tokens") {
      good &= number_of(token, usage.cache_read_tokens);
    } else if (text == "cache_write_tokens") {
      good &= number_of(token, usage.cache_write_tokens);
    }
  }
  return good;
}

// Fills in what is of the right type; false when something was not.
bool optional_members(const Members& members, Entry& entry) {
  bool good = true;
  const auto take = [&](Member member, auto read, auto& into) {
    if (members[member].data()) good &= read(members[member], into);
  };
  take(m_model, text_of, entry.model);
  take(m_stop_reason, text_of, entry.stop_reason);
  take(m_usage, usage_of, entry.usage);
  take(m_created, number_of, entry.created_ms);
  take(m_hard_ttl, number_of, entry.hard_ttl_ms);
  take(m_soft_ttl, number_of, entry.soft_ttl_ms);
  take(m_content, array_of, entry.content);
  take(m_events, array_of, entry.events);
  take(m_extra, object_of, entry.extra);
  return good;
}

}  // namespace

Result<std::string> write_entry(const Entry& entry, std::string_view digest) {
  if (!is_valid_utf8(entry.response)) return invalid("the entry's response is invalid UTF-8");
  if (!is_valid_utf8(entry.model)) return invalid("the entry's model is invalid UTF-8");
  if (!is_valid_utf8(entry.stop_reason)) return invalid("the entry's stop reason is invalid UTF-8");
  if (!entry.content.empty() && !begins('[', entry.content)) {
    return invalid("the entry's content is no JSON array of at most 127 levels");
  }
  if (!entry.events.empty() && !begins('[', entry.events)) {
    return invalid("the entry's events are no JSON array of at most 127 levels");
  }
  if (!entry.extra.empty() && !begins('{', entry.extra)) {
    return invalid("the entry's extra is no JSON object of at most 127 levels");
  }
  const auto& usage = entry.usage;
  for (const auto number : {entry.created_ms, entry.hard_ttl_ms, entry.soft_ttl_ms,
                            usage.input_tokens, usage.output_tokens, usage.total_tokens,
                            usage.cache_read_tokens, usage.cache_write_tokens}) {
    if (number < 0) return invalid("the entry has a negative time or token count");
  }

  std::string out;
  out.reserve(entry.response.size() + entry.content.size() + entry.events.size() +
              entry.extra.size() + 512);
  out += R"({"response":)";
  append_json_string(out, entry.response);
  append_number(out, R"(,"v":)", current_version);
  append_text(out, R"(,"digest":)", digest);
  append_text(out, R"(,"model":)", entry.model);
  append_text(out, R"(,"stop_reason":)", entry.stop_reason);
  append_usage(out, usage);
  append_number(out, R"(,"created_ms":)", entry.created_ms);
  append_number(out, R"(,"hard_ttl_ms":)", entry.hard_ttl_ms);
  append_number(out, R"(,"soft_ttl_ms":)", entry.soft_ttl_ms);
  append_raw(out, R"(,"content":)", entry.content);
  append_raw(out, R"(,"events":)", entry.events);
  append_raw(out, R"(,"extra":)", entry.extra);
  out += '}';
  return out;
}

ReadEntry read_own_entry(std::string_view json) {
  ReadEntry read{.fault = EntryFault::corrupt};
  JsonCursor cursor(json);
  Members members{};
  std::int64_t version = 0;
  if (!collect(cursor, members, max_json_depth) || !members[m_version].data() ||
      !number_of(members[m_version], version) || version < 1) {
    return read;
  }
  if (version > current_version) {
    read.fault = EntryFault::unsupported;
    return read;
  }
  std::string digest;
  if (text_of(members[m_response], read.entry.response) && text_of(members[m_digest], digest) &&
      optional_members(members, read.entry)) {
    read.digest = std::move(digest);
    read.fault = EntryFault::none;
  }
  return read;
}

ReadEntry read_python_entry(std::string_view json) {
  ReadEntry read{.fault = EntryFault::unsupported};
  JsonCursor cursor(json);
  Members members{};
  if (!collect(cursor, members, static_cast<int>(max_python_read_depth)) ||
      !text_of(members[m_response], read.entry.response)) {
    return read;
  }
  if (members[m_digest].data()) {
    // One that is no text is nobody's.
    if (!text_of(members[m_digest], read.digest.emplace())) read.digest->clear();
    std::int64_t version = 0;
    if (members[m_version].data() && number_of(members[m_version], version) &&
        version > current_version) {
      return read;
    }
  }
  optional_members(members, read.entry);
  read.fault = EntryFault::none;
  return read;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
