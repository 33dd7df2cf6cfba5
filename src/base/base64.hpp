// Base64 (RFC 4648, with padding) over OpenSSL.
#pragma once

#include <valkeycache/config.hpp>

#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

VALKEYCACHE_API void append_base64(std::string& out, std::string_view bytes);

}  // namespace detail
}  // namespace valkeycache::inline v0
