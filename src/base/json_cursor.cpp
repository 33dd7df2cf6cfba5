#include "base/json_cursor.hpp"

#include "base/ascii.hpp"
#include "base/json_string.hpp"
#include "base/utf8.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_high(std::uint32_t unit) noexcept {
  return unit >= 0xD800 && unit < 0xDC00;
}
bool is_low(std::uint32_t unit) noexcept {
  return unit >= 0xDC00 && unit < 0xE000;
}
// For text that was checked before.
std::uint32_t read_hex4(std::string_view text) noexcept {
  std::uint32_t unit = 0;
  for (const char c : text.substr(0, 4)) {
    unit = unit * 16 + static_cast<std::uint32_t>(hex_value(c));
  }
  return unit;
}
char simple_escape(char c) noexcept {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;  // " \ /
  }
}

}  // namespace

const char* describe(JsonFault fault) noexcept {
  switch (fault) {
    case JsonFault::none:
      return "no fault";
    case JsonFault::utf8:
      return "invalid UTF-8";
    case JsonFault::syntax:
      return "malformed JSON";
    case JsonFault::end:
      return "JSON that ends too early";
    case JsonFault::number:
      return "a malformed number";
    case JsonFault::escape:
      return "a malformed escape";
    case JsonFault::surrogate:
      return "a lone surrogate";
    case JsonFault::control:
      return "a control character in a string";
    case JsonFault::depth:
      return "too deep nesting";
    case JsonFault::trailing:
      return "text after the JSON value";
    case JsonFault::duplicate:
      return "a duplicate member";
  }
  return "malformed JSON";
}

void JsonStringToken::append_to(std::string& out) const {
  if (!escaped) {
    out += raw;
    return;
  }
  for (std::size_t at = 0; at < raw.size();) {
    const auto backslash = raw.find('\\', at);
    out += raw.substr(at, backslash - at);
    if (backslash == std::string_view::npos) return;
    const char kind = raw[backslash + 1];
    at = backslash + 2;
    if (kind != 'u') {
      out += simple_escape(kind);
      continue;
    }
    std::uint32_t code_point = read_hex4(raw.substr(at));
    at += 4;
    if (is_high(code_point)) {
      const auto low = read_hex4(raw.substr(at + 2));
      at += 6;
      code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(out, code_point);
  }
}

JsonCursor::JsonCursor(std::string_view text) noexcept : text_(text) {
  const auto good = valid_utf8_prefix(text);
  if (good != text.size()) fail_at(JsonFault::utf8, good);
}

bool JsonCursor::fail(JsonFault fault) noexcept {
  return fail_at(fault, at_);
}
bool JsonCursor::fail_at(JsonFault fault, std::size_t offset) noexcept {
  if (ok()) {
    // Where the text has ended, every fault is that it has.
    const bool at_end = offset >= text_.size() && fault == JsonFault::syntax;
    fault_ = at_end ? JsonFault::end : fault;
    at_ = offset;
  }
  return false;
}

char JsonCursor::peek() noexcept {
  if (!ok()) return '\0';
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonCursor::take(char c) noexcept {
  if (peek() != c || at_ >= text_.size()) return false;
  ++at_;
  return true;
}

bool JsonCursor::expect(char c) noexcept {
  return take(c) || fail(JsonFault::syntax);
}

bool JsonCursor::hex4(std::uint32_t& unit) noexcept {
  if (text_.size() - at_ < 4) return fail_at(JsonFault::end, text_.size());
  for (std::size_t i = 0; i < 4; ++i) {
    if (hex_value(text_[at_ + i]) < 0) return fail(JsonFault::escape);
  }
  unit = read_hex4(text_.substr(at_));
  at_ += 4;
  return true;
}

// Behind the backslash.
bool JsonCursor::escape() noexcept {
  if (at_ >= text_.size()) return fail(JsonFault::end);
  switch (text_[at_]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
      ++at_;
      return true;
    case 'u':
      break;
    default:
      return fail(JsonFault::escape);
  }
  ++at_;
  std::uint32_t unit = 0;
  if (!hex4(unit)) return false;
  if (is_low(unit)) return fail(JsonFault::surrogate);
  if (!is_high(unit)) return true;
  if (text_.substr(at_, 2) != "\\u") return fail(JsonFault::surrogate);
  at_ += 2;
  std::uint32_t low = 0;
  if (!hex4(low)) return false;
  return is_low(low) || fail(JsonFault::surrogate);
}

bool JsonCursor::string(JsonStringToken& token) noexcept {
  if (!expect('"')) return false;
  const auto begin = at_;
  token.escaped = false;
  while ((at_ = find_json_special(text_, at_)) < text_.size()) {
    const char c = text_[at_];
    if (c == '"') {
      token.raw = text_.substr(begin, at_ - begin);
      ++at_;
      return true;
    }
    if (c != '\\') return fail(JsonFault::control);
    token.escaped = true;
    ++at_;
    if (!escape()) return false;
  }
  return fail(JsonFault::end);
}

bool JsonCursor::number(std::string_view& token) noexcept {
  peek();
  if (!ok()) return false;
  const auto begin = at_;
  auto at = at_;
  const auto digits = [&] {
    const auto from = at;
    while (at < text_.size() && is_digit(text_[at])) ++at;
    return at != from;
  };
  const auto is = [&](char c) {
    return at < text_.size() && text_[at] == c;
  };
  const auto malformed = [&] {
    return fail_at(at >= text_.size() ? JsonFault::end : JsonFault::number, at);
  };

  if (is('-')) ++at;
  if (is('0')) {
    ++at;
    if (at < text_.size() && is_digit(text_[at])) return malformed();
  } else if (!digits()) {
    return malformed();
  }
  if (is('.')) {
    ++at;
    if (!digits()) return malformed();
  }
  if (is('e') || is('E')) {
    ++at;
    if (is('+') || is('-')) ++at;
    if (!digits()) return malformed();
  }
  token = text_.substr(begin, at - begin);
  at_ = at;
  return true;
}

bool JsonCursor::literal(std::string_view& token) noexcept {
  peek();
  if (!ok()) return false;
  for (const std::string_view word : {"true", "false", "null"}) {
    if (text_.substr(at_, word.size()) == word) {
      token = text_.substr(at_, word.size());
      at_ += word.size();
      return true;
    }
  }
  return fail(JsonFault::syntax);
}

bool JsonCursor::scalar() noexcept {
  std::string_view token;
  switch (const char c = peek()) {
    case '"': {
      JsonStringToken string_token;
      return string(string_token);
    }
    case 't':
    case 'f':
    case 'n':
      return literal(token);
    default:
      if (c == '-' || is_digit(c)) return number(token);
      return fail(JsonFault::syntax);
  }
}

bool JsonCursor::next_member(bool& first, JsonStringToken& name) noexcept {
  if (take('}')) return false;
  if (!first && !expect(',')) return false;
  first = false;
  return string(name) && expect(':');
}

bool JsonCursor::next_element(bool& first) noexcept {
  if (take(']')) return false;
  if (!first && !expect(',')) return false;
  first = false;
  return ok();
}

bool JsonCursor::value(std::string_view& raw, int max_depth) {
  peek();
  const auto begin = at_;
  std::string open;  // the brackets that are open
  bool first = true;
  for (;;) {
    // A value begins here.
    const char c = peek();
    if (c == '{' || c == '[') {
      if (open.size() >= static_cast<std::size_t>(max_depth)) return fail(JsonFault::depth);
      ++at_;
      open.push_back(c);
      first = true;
    } else if (!scalar()) {
      return false;
    }
    // On to the next member or element, closing what ends.
    for (;;) {
      if (open.empty()) {
        raw = text_.substr(begin, at_ - begin);
        return ok();
      }
      JsonStringToken name;
      if (open.back() == '{' ? next_member(first, name) : next_element(first)) break;
      if (!ok()) return false;
      open.pop_back();
      first = false;
    }
  }
}

bool JsonCursor::finish() noexcept {
  peek();
  if (!ok()) return false;
  return at_ == text_.size() || fail(JsonFault::trailing);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
