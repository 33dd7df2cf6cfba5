// How deeply JSON bytes nest, told without recursion: asked before a recursive parser sees bytes
// from elsewhere (nlohmann/json overflows an 8 MB stack near 100,000 levels).
#pragma once

#include <valkeycache/config.hpp>

#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// What this project reads from others: answers, entries, requests.
inline constexpr int max_json_depth = 128;

// True when no more than `max` arrays and objects are open at once anywhere. `[1]` has depth 1.
// The bytes need not be well-formed: a parser that stops at the first fault never sees more depth
// than is counted here.
VALKEYCACHE_API bool json_depth_within(std::string_view json, int max) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
