#include "cached/near_answer.hpp"

#include <algorithm>

#include "base/utf8.hpp"
#include "key/key_data.hpp"
#include "key/python_text.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Of the digest, where somebody asks for them: all, and the sixteen of a simple key.
constexpr std::size_t shown_digits = 2 * sizeof(std::string) + 64 + 16;

std::size_t NearAnswer::bytes() const noexcept {
  const auto& data = KeyAccess::data(key);
  return sizeof(NearAnswer) + entry.response.size() + entry.content.size() + entry.model.size() +
         entry.stop_reason.size() + entry.events.size() + entry.extra.size() + sizeof(KeyData) +
         data.content.size() + data.path.size() + data.raw_text.size() + shown_digits;
}

bool NearAnswer::serves(const Sha256Digest& digest, const std::string& value,
                        const CallShared& shared) const noexcept {
  return KeyAccess::digest_bytes(key) == digest && format == shared.advanced().format &&
         secret == shared.advanced().key.secret &&
         value.size() <= shared.advanced().max_entry_bytes;
}

std::optional<PromptKey> PromptKey::of(const CallShared& shared, std::string_view prompt) {
  if (!shared.near || !shared.simple_parts) return std::nullopt;
  const auto stripped = python_strip(prompt);
  if (stripped.empty()) return std::nullopt;
  // What is not UTF-8 is refused later, and not found before: no key has its digest, unless it was
  // all stripped away.
  if (stripped.size() != prompt.size() && !is_valid_utf8(prompt)) return std::nullopt;
  PromptKey key;
  key.digest_ =
      simple_digest(shared.simple_parts->model, shared.simple_parts->temperature, stripped);
  constexpr char digits[] = "0123456789abcdef";
  auto* at = std::copy(space.begin(), space.end(), key.path_);
  for (std::size_t i = 0; i < text_size / 2; ++i) {
    *at++ = digits[key.digest_[i] >> 4];
    *at++ = digits[key.digest_[i] & 15];
  }
  return key;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
