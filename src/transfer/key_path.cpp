#include "transfer/key_path.hpp"

#include <utility>

namespace valkeycache::inline v0 {
namespace detail {

std::optional<CacheKey> key_of_path(std::string_view path) {
  std::vector<std::string> namespaces;
  for (auto slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/')) {
    namespaces.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash + 1);
  }
  auto key = CacheKey::raw(std::move(namespaces), std::string(path));
  if (!key) return std::nullopt;
  return *std::move(key);
}

Result<std::string> path_prefix(const std::vector<std::string>& namespaces) {
  std::string prefix;
  for (const auto& part : namespaces) {
    if (part.empty() || part.find('/') != std::string::npos) {
      return Error{.code = ErrorCode::invalid_argument,
                   .message = "a namespace is empty or holds '/'"};
    }
    prefix += part;
    prefix += '/';
  }
  return prefix;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
