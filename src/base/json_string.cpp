#include "base/json_string.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::uint64_t repeat(unsigned char byte) noexcept {
  return 0x0101010101010101U * byte;
}

// The high bit of each byte of `word` that may need an escape; zero only when none does.
std::uint64_t suspects(std::uint64_t word) noexcept {
  const auto has_zero = [](std::uint64_t x) {
    return (x - repeat(1)) & ~x & repeat(0x80);
  };
  const std::uint64_t below_space = (word - repeat(0x20)) & ~word & repeat(0x80);
  return below_space | has_zero(word ^ repeat('"')) | has_zero(word ^ repeat('\\'));
}

bool needs_escape(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

void append_escape(std::string& out, char c) {
  static constexpr char digits[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += digits[static_cast<unsigned char>(c) >> 4];
      out += digits[static_cast<unsigned char>(c) & 15];
  }
}

}  // namespace

std::size_t find_json_special(std::string_view text, std::size_t at) noexcept {
#if defined(__SSE2__)
  // Answers are long, and looked through more than once at each hit.
  while (text.size() - at >= sizeof(__m128i)) {
    const auto block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const auto control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block);
    const auto quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    const auto backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    const auto found = _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash)));
    if (found != 0) {
      return at + static_cast<std::size_t>(std::countr_zero(static_cast<std::uint32_t>(found)));
    }
    at += sizeof(__m128i);
  }
#endif
  while (text.size() - at >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    if (suspects(word) != 0) break;
    at += sizeof word;
  }
  while (at < text.size() && !needs_escape(text[at])) ++at;
  return at;
}

void append_json_string(std::string& out, std::string_view text) {
  out.reserve(out.size() + text.size() + 2);
  out += '"';
  for (std::size_t at = 0;;) {
    const auto end = find_json_special(text, at);
    out.append(text, at, end - at);
    if (end == text.size()) break;
    append_escape(out, text[end]);
    at = end + 1;
  }
  out += '"';
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
