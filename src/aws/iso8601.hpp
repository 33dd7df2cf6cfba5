// Points in time as AWS writes them: "2026-01-02T03:04:05Z".
#pragma once

#include <valkeycache/config.hpp>

#include <chrono>
#include <optional>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// Date and time of ISO 8601 in the extended form, with seconds, perhaps a fraction (passed over),
// and "Z" or an offset ("+01:00", "+0100"). Nothing for any other text. What lies beyond the year
// 2200 counts as its beginning, which every clock can hold.
std::optional<std::chrono::system_clock::time_point> parse_iso8601(std::string_view text) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
