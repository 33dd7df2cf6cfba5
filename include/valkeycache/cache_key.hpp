// CacheKey: a request's name in the cache.
//
// A key is a tuple of namespaces and a text. On the wire it is
//   prefix + join(namespaces, "/") + "/" + text      (prefix + text without namespaces)
// as in the Python original (langgraph-checkpoint-aws, cache/valkey/cache.py).
//
//   simple    a model, a temperature and one user prompt: the first 16 hex digits of
//             SHA-256("{model}|temp={temp}|{prompt.strip()}") in namespace "llm_responses", byte
//             for byte what the Python guide's cache_key() makes
//   complete  anything more: all 64 hex digits of SHA-256 over a domain tag, the model's identity
//             and the canonical JSON of the whole request, in a namespace of its own. A request
//             for InvokeModel has another domain tag: no Converse request shares its key
//
// Everything here is pure computation on the caller's thread.
#pragma once

#include <valkeycache/llm.hpp>
#include <valkeycache/result.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace valkeycache::inline v0 {

class CacheKeyBuilder;

namespace detail {
struct KeyData;
struct KeyAccess;
}  // namespace detail

// How requests are turned into keys.
struct KeyOptions {
  // Simple keys hash this instead of the model's id, as Python services do ("claude-sonnet").
  // Complete keys always hash the real one.
  std::string key_model = {};
  // Keeps users, prompt versions and samples apart. Any of them forces the complete form. A tenant
  // and an epoch become namespaces ("tenant=acme", "epoch=v2" below "llm_complete"), so that they
  // can be cleared by themselves; they must be valid UTF-8, not empty, without '/'.
  std::optional<std::string> tenant = {};
  std::optional<std::string> epoch = {};
  std::optional<std::uint64_t> variant = {};
  // Turns every digest into an HMAC-SHA-256, so that keys reveal nothing about guessable prompts
  // (the tenant's and epoch's names stay readable); forces the complete form. At least 16 bytes.
  // Keep it the same everywhere: another secret finds other entries.
  std::optional<std::string> secret = {};
  // The complete form even where the simple one would do.
  bool complete = false;
};

// An immutable value; copies share their data, concurrent use is safe.
class VALKEYCACHE_API CacheKey {
 public:
  static CacheKeyBuilder builder();

  // The key of a request, asked of a model with this identity. A model named by the request takes
  // precedence over the identity's. A simple key belongs to request.normalized(), a complete one to
  // the request as it is: send that.
  // Errors (invalid_argument): what request.error() tells, and what CacheKeyBuilder::build() calls
  // an error, save that the model may be unnamed.
  static Result<CacheKey> of(const ChatRequest& request, const CacheIdentity& identity = {},
                             const KeyOptions& options = {});

  // Names anything else worth keeping, such as a tool's result. A namespace that is empty or holds
  // '/', and a text that is empty or holds '/', are errors: they would make two keys one. Any other
  // bytes will do.
  static Result<CacheKey> raw(std::vector<std::string> namespaces, std::string text);

  [[nodiscard]] const std::string& text() const;
  // All 64 hex digits of the digest of what was hashed; of a raw key, of its namespaces and text.
  [[nodiscard]] const std::string& digest() const;
  [[nodiscard]] const std::vector<std::string>& namespaces() const noexcept;
  // True for the guide's form.
  [[nodiscard]] bool is_simple() const noexcept;
  // join(namespaces, "/") + "/" + text: the wire key less its prefix.
  [[nodiscard]] const std::string& path() const noexcept;

  // The exact content that was hashed: the answer to "why did this miss?". It holds the prompt, so
  // it never goes to hooks or logs.
  [[nodiscard]] std::string explain() const;

  friend bool operator==(const CacheKey& a, const CacheKey& b) noexcept { return a.equals(b); }

 private:
  friend class CacheKeyBuilder;
  friend struct detail::KeyAccess;
  [[nodiscard]] bool equals(const CacheKey& other) const noexcept;
  explicit CacheKey(std::shared_ptr<const detail::KeyData> data) noexcept
      : data_(std::move(data)) {}
  std::shared_ptr<const detail::KeyData> data_;
};

// The first difference between what two keys hashed, in words, with some context on both sides;
// empty when there is none. Holds parts of the prompts.
VALKEYCACHE_API std::string diff(const CacheKey& a, const CacheKey& b);

// Collects the parts of a key for one user prompt. The order of calls does not matter. An ordinary
// value. With a tenant, an epoch, a variant or a secret the key is that of
// CacheKey::of(ChatRequest::from_triple(...), {}, options).
class VALKEYCACHE_API CacheKeyBuilder {
 public:
  CacheKeyBuilder& model(std::string_view name);
  // Printed as Python's repr prints a float; the int overload prints without a fraction.
  CacheKeyBuilder& temperature(double value);
  CacheKeyBuilder& temperature(int value);
  // A number as JSON spells it, printed as Python prints what it reads there: "1" as 1, "0.70" as
  // 0.7.
  CacheKeyBuilder& temperature_text(std::string_view number);
  // Stripped at both ends of the 29 code points that Python's str.strip() strips.
  CacheKeyBuilder& prompt(std::string_view text);
  CacheKeyBuilder& key_model(std::string_view alias);
  CacheKeyBuilder& tenant(std::string_view name);
  CacheKeyBuilder& epoch(std::string_view name);
  CacheKeyBuilder& variant(std::uint64_t number);
  CacheKeyBuilder& secret(std::string_view bytes);

  // Errors (invalid_argument): invalid UTF-8; a '|' in the hashed model name of a simple key; no
  // prompt, no temperature, or neither a model nor a key_model given; a temperature that JSON
  // cannot spell (NaN, infinity) in a complete key; and whatever KeyOptions calls an error.
  [[nodiscard]] Result<CacheKey> build() const;

 private:
  std::optional<std::string> model_;
  std::optional<std::string> temperature_;  // as Python prints it; empty: not a number
  std::optional<std::string> prompt_;
  KeyOptions options_;
};

}  // namespace valkeycache::inline v0
