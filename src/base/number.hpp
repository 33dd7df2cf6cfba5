// Numbers in texts.
#pragma once

#include <valkeycache/config.hpp>

#include <charconv>
#include <string_view>
#include <system_error>

namespace valkeycache::inline v0 {
namespace detail {

// False, and nothing written, unless all of the text is one number that fits.
template <class T>
bool parse_number(std::string_view text, T& value) noexcept {
  T parsed{};
  const auto* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, parsed);
  if (read.ec != std::errc() || read.ptr != end) return false;
  value = parsed;
  return true;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
