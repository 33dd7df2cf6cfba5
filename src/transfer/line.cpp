#include "transfer/line.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include "base/base64.hpp"
#include "base/json_cursor.hpp"
#include "base/json_depth.hpp"
#include "base/json_string.hpp"
#include "base/utf8.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::int64_t version = 1;
constexpr std::size_t most_digits = 18;

// The name of a member is `name`, or that and "_base64".
void append_bytes(std::string& line, std::string_view name, std::string_view bytes) {
  line += '"';
  line += name;
  if (is_valid_utf8(bytes)) {
    line += R"(":)";
    append_json_string(line, bytes);
  } else {
    line += R"(_base64":")";
    append_base64(line, bytes);
    line += '"';
  }
}

// A JSON object that can stand in a line as it is.
bool is_embeddable(std::string_view value) {
  if (!value.starts_with('{') || value.find_first_of("\r\n") != std::string_view::npos) {
    return false;
  }
  JsonCursor cursor(value);
  std::string_view raw;
  return cursor.value(raw, max_json_depth) && cursor.finish() && raw.size() == value.size();
}

void append_value(std::string& line, std::string_view value) {
  if (is_embeddable(value)) {
    line += R"("json":)";
    line += value;
  } else if (is_valid_utf8(value)) {
    line += R"("text":)";
    append_json_string(line, value);
  } else {
    line += R"("base64":")";
    append_base64(line, value);
    line += '"';
  }
}

// Whatever members a line may have.
struct Members {
  std::optional<std::int64_t> version, created_ms, ttl_ms, entries;
  std::optional<std::string> id, prefix, path, value;
  bool mac = false;

  [[nodiscard]] bool of_head() const { return version || created_ms || id || prefix; }
  [[nodiscard]] bool of_entry() const { return ttl_ms || path || value; }
  [[nodiscard]] bool of_end() const { return entries.has_value(); }
};

bool take_number(JsonCursor& cursor, std::optional<std::int64_t>& to) {
  std::string_view token;
  if (to || !cursor.number(token) || token.size() > most_digits) return false;
  std::int64_t number = 0;
  const auto* const end = token.data() + token.size();
  if (std::from_chars(token.data(), end, number).ptr != end || number < 0) return false;
  to = number;
  return true;
}

bool take_string(JsonCursor& cursor, std::optional<std::string>& to) {
  JsonStringToken token;
  if (to || !cursor.string(token)) return false;
  to = token.decode();
  return true;
}

bool take_base64(JsonCursor& cursor, std::optional<std::string>& to) {
  JsonStringToken token;
  if (to || !cursor.string(token)) return false;
  to = decode_base64(token.raw);
  return to.has_value();
}

bool take_object(JsonCursor& cursor, std::optional<std::string>& to) {
  std::string_view raw;
  if (to || cursor.peek() != '{' || !cursor.value(raw, max_json_depth)) return false;
  to = raw;
  return true;
}

bool take_mac(JsonCursor& cursor, bool& there) {
  JsonStringToken token;
  return !std::exchange(there, true) && cursor.string(token);
}

bool take_member(JsonCursor& cursor, std::string_view name, Members& members) {
  if (name == "key") return take_string(cursor, members.path);
  if (name == "ttl_ms") return take_number(cursor, members.ttl_ms);
  if (name == "json") return take_object(cursor, members.value);
  if (name == "text") return take_string(cursor, members.value);
  if (name == "mac") return take_mac(cursor, members.mac);
  if (name == "base64") return take_base64(cursor, members.value);
  if (name == "key_base64") return take_base64(cursor, members.path);
  if (name == "entries") return take_number(cursor, members.entries);
  if (name == "valkeycache_export") return take_number(cursor, members.version);
  if (name == "id") return take_string(cursor, members.id);
  if (name == "prefix") return take_string(cursor, members.prefix);
  if (name == "prefix_base64") return take_base64(cursor, members.prefix);
  if (name == "created_ms") return take_number(cursor, members.created_ms);
  return false;
}

bool take_members(std::string_view text, Members& members) {
  JsonCursor cursor(text);
  if (!cursor.expect('{')) return false;
  JsonStringToken name;
  for (bool first = true; cursor.next_member(first, name);) {
    // The names that are known have no escapes.
    if (name.escaped || !take_member(cursor, name.raw, members)) return false;
  }
  return cursor.finish();
}

}  // namespace

std::string write_line(const ExportHead& head) {
  std::string line = R"({"valkeycache_export":)" + std::to_string(version) + R"(,"id":)";
  append_json_string(line, head.id);
  line += ',';
  append_bytes(line, "prefix", head.prefix);
  line += R"(,"created_ms":)" + std::to_string(head.created_ms) + "}";
  return line;
}

std::string write_line(const ExportedEntry& entry) {
  std::string line;
  line.reserve(entry.path.size() + entry.value.size() + 160);  // the MAC, too
  line += '{';
  append_bytes(line, "key", entry.path);
  line += ',';
  if (entry.ttl_ms > 0) line += R"("ttl_ms":)" + std::to_string(entry.ttl_ms) + ",";
  append_value(line, entry.value);
  line += '}';
  return line;
}

std::string write_line(const ExportEnd& end) {
  return R"({"entries":)" + std::to_string(end.entries) + "}";
}

ExportLine read_line(std::string_view text) {
  Members members;
  if (!take_members(text, members)) return {};
  const bool head = members.of_head();
  const bool entry = members.of_entry();
  const bool end = members.of_end();
  if (static_cast<int>(head) + static_cast<int>(entry) + static_cast<int>(end) != 1) return {};
  if (head) {
    if (members.version != version || !members.id || !members.prefix || !members.created_ms) {
      return {};
    }
    return ExportHead{.id = *std::move(members.id),
                      .prefix = *std::move(members.prefix),
                      .created_ms = *members.created_ms};
  }
  if (end) return ExportEnd{static_cast<std::uint64_t>(*members.entries)};
  if (!members.path || !members.value || members.ttl_ms == 0) return {};
  return ExportedEntry{.path = *std::move(members.path),
                       .value = *std::move(members.value),
                       .ttl_ms = members.ttl_ms.value_or(0)};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
