// What a CacheKey holds, for the rooms that need more than its public face.
#pragma once

#include <valkeycache/cache_key.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/crypto.hpp"

namespace valkeycache::inline v0 {
namespace detail {

enum class KeyForm : std::uint8_t { simple, complete, raw };

// The digits of a digest, written when they are first asked for: a look-up needs the first sixteen
// at most, and those stand in its path. Thread-safe.
class LazyHex {
 public:
  LazyHex() = default;
  LazyHex(const LazyHex&) = delete;
  LazyHex& operator=(const LazyHex&) = delete;
  ~LazyHex() { delete text_.load(std::memory_order_relaxed); }

  // `bytes` are the same in all calls.
  [[nodiscard]] const std::string& of(std::span<const std::uint8_t> bytes) const {
    const auto* text = text_.load(std::memory_order_acquire);
    if (!text) {
      auto made = std::make_unique<const std::string>(hex(bytes));
      if (text_.compare_exchange_strong(text, made.get(), std::memory_order_acq_rel)) {
        text = made.release();
      }
    }
    return *text;
  }

 private:
  mutable std::atomic<const std::string*> text_{nullptr};
};

struct KeyData {
  KeyForm form = KeyForm::raw;
  bool keyed = false;  // the digest is an HMAC under the caller's secret
  Sha256Digest digest{};
  std::string path = {};
  // What was hashed. Of a simple key the model's name is its first `model_size` bytes and the
  // prompt its last `prompt_size`.
  std::string content = {};
  std::size_t model_size = 0;
  std::size_t prompt_size = 0;
  std::vector<std::string> own_namespaces = {};  // of all but simple keys, which share theirs
  std::string raw_text = {};

  [[nodiscard]] const std::string& digest_hex() const { return digest_hex_.of(digest); }
  [[nodiscard]] const std::string& text() const {
    switch (form) {
      case KeyForm::simple:
        return simple_text_.of(simple_part());
      case KeyForm::complete:
        return digest_hex();
      case KeyForm::raw:
        break;
    }
    return raw_text;
  }
  // What a simple key shows of its digest: 16 digits, as the Python guide does.
  [[nodiscard]] std::span<const std::uint8_t> simple_part() const noexcept {
    return std::span(digest).first<8>();
  }

 private:
  LazyHex digest_hex_;
  LazyHex simple_text_;
};

struct KeyAccess {
  static CacheKey make(std::shared_ptr<const KeyData> data) noexcept {
    return CacheKey(std::move(data));
  }
  // What a moved-from key refers to is empty.
  static const KeyData& data(const CacheKey& key) noexcept {
    static const KeyData empty{};
    return key.data_ ? *key.data_ : empty;
  }
  // The 32 bytes that key.digest() shows in hex.
  static const Sha256Digest& digest_bytes(const CacheKey& key) noexcept { return data(key).digest; }
};

inline constexpr std::string_view complete_tag = "valkeycache/complete/v1\n";
// Of a request for InvokeModel; the rest is as in a complete key.
inline constexpr std::string_view invoke_tag = "valkeycache/invoke/v1\n";
inline constexpr std::string_view raw_tag = "valkeycache/raw/v1\n";

[[nodiscard]] inline bool forces_complete(const KeyOptions& options) noexcept {
  return options.complete || options.tenant || options.epoch || options.variant || options.secret;
}

// The digest of the simple key of a triple without making the key, for a look-up in memory. The
// parts are what makes the key's content: a temperature as Python prints it, a stripped prompt.
// They are not checked: a digest of what CacheKey refuses is that of no key, save that a '|' in the
// model must be refused before.
VALKEYCACHE_API Sha256Digest simple_digest(std::string_view model, std::string_view temperature,
                                           std::string_view prompt);

// The simple key itself, of parts as above, which are checked.
VALKEYCACHE_API Result<CacheKey> simple_key(std::string_view model, std::string_view temperature,
                                            std::string_view prompt);

}  // namespace detail
}  // namespace valkeycache::inline v0
