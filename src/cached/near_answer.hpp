// NearAnswer: an entry of the near cache, decoded and verified once, and the way to it that makes
// neither a request nor a key.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/entry.hpp>
#include <valkeycache/valkey_cache.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.hpp"
#include "cached/shared.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What is kept beside the entry's bytes. It is good for whoever asks with the same key and would
// have decoded with the same rules.
struct NearAnswer {
  Entry entry;
  CacheKey key;
  EntryFormat format;
  std::optional<std::string> secret;

  [[nodiscard]] std::size_t bytes() const noexcept;
  // Whether decoding `value` would give this again for a key of this digest.
  [[nodiscard]] bool serves(const Sha256Digest& digest, const std::string& value,
                            const CallShared& shared) const noexcept;
};

// The path and the digest of a bare prompt's simple key, from its parts.
class PromptKey {
 public:
  // None where ask(prompt) does not make simple keys of these parts, or would refuse them.
  static std::optional<PromptKey> of(const CallShared& shared, std::string_view prompt);

  [[nodiscard]] const Sha256Digest& digest() const noexcept { return digest_; }
  [[nodiscard]] std::string_view path() const noexcept { return {path_, sizeof path_}; }

 private:
  PromptKey() = default;
  Sha256Digest digest_{};
  static constexpr std::string_view space = "llm_responses/";
  static constexpr std::size_t text_size = 16;
  char path_[space.size() + text_size];
};

}  // namespace detail
}  // namespace valkeycache::inline v0
