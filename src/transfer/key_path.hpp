// Keys as an export names them: by their path.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/result.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

// The key with this path, by the rules of CacheKey::raw(); nullopt: none can have it.
VALKEYCACHE_API std::optional<CacheKey> key_of_path(std::string_view path);

// What the paths under these namespaces begin with. Errors (invalid_argument): one that is empty or
// holds '/'.
VALKEYCACHE_API Result<std::string> path_prefix(const std::vector<std::string>& namespaces);

}  // namespace detail
}  // namespace valkeycache::inline v0
