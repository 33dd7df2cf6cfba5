// What a lease is called beside its entry.
#pragma once

#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// What so ends is no entry: it is neither counted nor exported.
inline constexpr std::string_view lease_suffix = ":lease";

}  // namespace detail
}  // namespace valkeycache::inline v0
