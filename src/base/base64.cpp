#include "base/base64.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

#include <openssl/evp.h>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::uint8_t no_digit = 64;

constexpr std::array<std::uint8_t, 256> digit_values() {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<std::uint8_t, 256> values{};
  values.fill(no_digit);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    values[static_cast<unsigned char>(digits[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  // OpenSSL counts in int. A multiple of three, so that only the last piece is padded.
  constexpr std::size_t piece = std::size_t{3} << 24;
  auto at = out.size();
  out.resize(at + (bytes.size() + 2) / 3 * 4 + 1);  // EVP_EncodeBlock writes a NUL after the text
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    at += static_cast<std::size_t>(EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(out.data() + at),
        reinterpret_cast<const unsigned char*>(part.data()), static_cast<int>(part.size())));
  }
  out.resize(at);
}

std::optional<std::string> decode_base64(std::string_view text) {
  static constexpr auto values = digit_values();
  if (text.size() % 4 != 0) return std::nullopt;
  auto digits = text;
  for (int i = 0; i < 2 && digits.ends_with('='); ++i) digits.remove_suffix(1);
  std::string bytes;
  bytes.reserve(digits.size() / 4 * 3 + 2);
  std::uint32_t held = 0;
  int bits = 0;
  for (const char digit : digits) {
    const auto value = values[static_cast<unsigned char>(digit)];
    if (value == no_digit) return std::nullopt;
    held = held << 6 | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>(held >> bits & 0xFF);
    held &= (1U << bits) - 1;
  }
  // A single digit says less than a byte.
  if (bits >= 6 || held != 0) return std::nullopt;
  return bytes;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
