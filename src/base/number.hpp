// Numbers in texts.
#pragma once

#include <valkeycache/config.hpp>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace valkeycache::inline v0 {
namespace detail {

// None unless all of the text is one number that fits.
template <class T>
std::optional<T> parse_number(std::string_view text) noexcept {
  T number{};
  const auto* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return number;
}

// None for 0, too.
inline std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  const auto port = parse_number<std::uint16_t>(text);
  return port && *port != 0 ? port : std::nullopt;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
