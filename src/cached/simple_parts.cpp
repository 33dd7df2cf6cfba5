#include "cached/simple_parts.hpp"

#include "cached/pinned.hpp"
#include "key/key_data.hpp"

namespace valkeycache::inline v0 {
namespace detail {

std::optional<SimpleParts> SimpleParts::of(const CachedLlmOptions& options,
                                           const CacheIdentity& identity) {
  const auto& key = options.advanced.key;
  if (forces_complete(key)) return std::nullopt;
  const auto triple =
      ChatRequest("a prompt").temperature(options.advanced.temperature).normalized().as_triple();
  if (!triple) return std::nullopt;
  // What is passed by is not even looked for: another program may have stored it.
  if (options.advanced.deterministic_only && options.advanced.temperature != 0) return std::nullopt;
  if (is_prompt_without_version(identity.model)) return std::nullopt;
  const auto& model = key.key_model.empty() ? identity.model : key.key_model;
  if (!simple_key(model, triple->temperature, triple->prompt)) return std::nullopt;
  return SimpleParts{.model = model, .temperature = triple->temperature};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
