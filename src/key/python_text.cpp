#include "key/python_text.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include "base/json_cursor.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// U+0009–U+000D, U+001C–U+0020, U+0085, U+00A0, U+1680, U+2000–U+200A, U+2028, U+2029, U+202F,
// U+205F, U+3000.
bool is_python_space(std::uint32_t c) noexcept {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

// 0 for one of four bytes: none of the white space is that long.
std::uint32_t code_point(std::string_view sequence) noexcept {
  const auto at = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(sequence[i]));
  };
  switch (sequence.size()) {
    case 1:
      return at(0);
    case 2:
      return ((at(0) & 0x1F) << 6) | (at(1) & 0x3F);
    case 3:
      return ((at(0) & 0x0F) << 12) | ((at(1) & 0x3F) << 6) | (at(2) & 0x3F);
    default:
      return 0;
  }
}
bool is_continuation(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}
// The length of the white space that begins or ends `text`, which is not empty; 0 for none.
std::size_t space_at_front(std::string_view text) noexcept {
  std::size_t length = 1;
  while (length < text.size() && is_continuation(text[length])) ++length;
  return is_python_space(code_point(text.substr(0, length))) ? length : 0;
}
std::size_t space_at_back(std::string_view text) noexcept {
  std::size_t length = 1;
  while (length < text.size() && is_continuation(text[text.size() - length])) ++length;
  return is_python_space(code_point(text.substr(text.size() - length))) ? length : 0;
}

}  // namespace

void append_python_repr(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "nan";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-inf" : "inf";
    return;
  }
  // d[.ddd]e±dd: the digits and the exponent, which then decide the layout.
  char buffer[32];
  const auto made =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<std::size_t>(made.ptr - buffer));
  const bool negative = text.front() == '-';
  const auto e = text.find('e');
  int exponent = 0;
  const char* from = buffer + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(from, made.ptr, exponent);

  if (exponent < -4 || exponent >= 16) {
    out += text;  // to_chars, too, writes at least two digits of exponent
    return;
  }
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c != '-' && c != '.') digits += c;
  }
  if (negative) out += '-';
  if (exponent < 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-exponent - 1), '0');
    out += digits;
    return;
  }
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) {
    out += digits;
    out.append(whole - digits.size(), '0');
    out += ".0";
  } else {
    out.append(digits, 0, whole);
    out += '.';
    out.append(digits, whole);
  }
}

std::string python_repr(double value) {
  std::string text;
  append_python_repr(text, value);
  return text;
}

std::optional<std::string> python_number(std::string_view json_token) {
  JsonCursor cursor(json_token);
  std::string_view token;
  if (!cursor.number(token) || token.size() != json_token.size()) return std::nullopt;
  if (token.find_first_of(".eE") == std::string_view::npos) {
    if (token == "-0") return std::nullopt;
    return std::string(token);
  }
  double value = 0;
  const auto read = std::from_chars(token.data(), token.data() + token.size(), value);
  if (read.ec != std::errc() || !std::isfinite(value)) return std::nullopt;
  if (value == 0 && token.substr(0, token.find_first_of("eE")).find_first_of("123456789") !=
                        std::string_view::npos) {
    return std::nullopt;
  }
  return python_repr(value);
}

std::string_view python_strip(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto length = space_at_front(text);
    if (length == 0) break;
    text.remove_prefix(length);
  }
  while (!text.empty()) {
    const auto length = space_at_back(text);
    if (length == 0) break;
    text.remove_suffix(length);
  }
  return text;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
