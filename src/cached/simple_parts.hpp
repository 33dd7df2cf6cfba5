// What the simple keys of bare prompts have in common, so that a prompt's key can be made without
// its request.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/llm.hpp>

#include <optional>
#include <string>

namespace valkeycache::inline v0 {
namespace detail {

struct SimpleParts {
  std::string model;
  std::string temperature;  // as Python prints it

  // None where keys are not simple, and where for whatever reason no prompt is cached: who has
  // these parts need not ask for a BypassReason.
  static std::optional<SimpleParts> of(const CachedLlmOptions& options,
                                       const CacheIdentity& identity);
};

}  // namespace detail
}  // namespace valkeycache::inline v0
