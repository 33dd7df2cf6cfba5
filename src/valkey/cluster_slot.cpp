#include "valkey/cluster_slot.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// CRC-16/XMODEM: polynomial 0x1021, no reflection, no inversion.
constexpr std::array<std::uint16_t, 256> make_table() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000U) != 0 ? (crc << 1) ^ 0x1021U : crc << 1;
    }
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}
constexpr auto table = make_table();

std::uint16_t crc16(std::string_view text) noexcept {
  unsigned crc = 0;
  for (const char c : text) {
    crc = ((crc << 8) & 0xffffU) ^ table[((crc >> 8) ^ static_cast<unsigned char>(c)) & 0xffU];
  }
  return static_cast<std::uint16_t>(crc);
}

// Takes "$<length>\r\n<text>\r\n" off the front.
std::optional<std::string_view> take_argument(std::string_view& rest) noexcept {
  const auto line_end = rest.find("\r\n");
  if (rest.empty() || rest.front() != '$' || line_end == rest.npos) return std::nullopt;
  std::size_t length = 0;
  const auto parsed = std::from_chars(rest.data() + 1, rest.data() + line_end, length);
  if (parsed.ec != std::errc{} || rest.size() - line_end - 2 < length) return std::nullopt;
  const auto text = rest.substr(line_end + 2, length);
  rest.remove_prefix(std::min(rest.size(), line_end + 2 + length + 2));
  return text;
}

}  // namespace

std::uint16_t key_slot(std::string_view key) noexcept {
  const auto open = key.find('{');
  if (open != key.npos) {
    const auto close = key.find('}', open + 1);
    if (close != key.npos && close != open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return crc16(key) % cluster_slots;
}

std::optional<std::string_view> key_of_request(std::string_view request) noexcept {
  const auto header_end = request.find("\r\n");
  if (header_end == request.npos) return std::nullopt;
  auto rest = request.substr(header_end + 2);
  const auto name = take_argument(rest);
  if (!name) return std::nullopt;
  for (const std::string_view keyed : {"GET", "SET", "DEL", "MGET", "PTTL", "EXPIRE", "PEXPIRE"}) {
    if (*name == keyed) return take_argument(rest);
  }
  if (*name != "EVAL") return std::nullopt;
  if (!take_argument(rest) || !take_argument(rest)) return std::nullopt;  // script, number of keys
  return take_argument(rest);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
