// CRC-32 as zlib, Ethernet and AWS's event streams have it (polynomial 0xEDB88320, reflected).
#pragma once

#include <valkeycache/config.hpp>

#include <cstdint>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// Of `bytes`, or of what `before` is the CRC of with `bytes` after it.
std::uint32_t crc32(std::string_view bytes, std::uint32_t before = 0) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
