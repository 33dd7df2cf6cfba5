// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <valkeycache/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

VALKEYCACHE_API bool is_valid_utf8(std::string_view text) noexcept;

// The offset of the first byte that belongs to no well-formed sequence; text.size() when all do.
VALKEYCACHE_API std::size_t valid_utf8_prefix(std::string_view text) noexcept;

// `code_point` is a Unicode scalar value.
VALKEYCACHE_API void append_utf8(std::string& out, std::uint32_t code_point);

}  // namespace detail
}  // namespace valkeycache::inline v0
