// Base64 (RFC 4648, with padding) over OpenSSL.
#pragma once

#include <valkeycache/config.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

VALKEYCACHE_API void append_base64(std::string& out, std::string_view bytes);
// Takes only what append_base64() writes: nullopt for blanks, for missing padding, and for bits
// behind the last byte.
VALKEYCACHE_API std::optional<std::string> decode_base64(std::string_view text);

}  // namespace detail
}  // namespace valkeycache::inline v0
