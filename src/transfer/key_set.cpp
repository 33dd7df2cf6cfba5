#include "transfer/key_set.hpp"

#include <cstring>
#include <utility>

#include "base/crypto.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

std::uint64_t mark_of(std::string_view key) {
  const auto digest = sha256(key);
  std::uint64_t mark = 0;
  std::memcpy(&mark, digest.data(), sizeof mark);
  return mark == 0 ? 1 : mark;
}

}  // namespace

KeySet::KeySet() : slots_(1024) {}

bool KeySet::insert(std::string_view key) {
  // Full to three quarters at most. While it grows, old and new stand side by side for a moment.
  if ((size_ + 1) * 4 > slots_.size() * 3) {
    auto old = std::exchange(slots_, std::vector<std::uint64_t>(slots_.size() * 2));
    for (const auto mark : old) {
      if (mark != 0) place(mark);
    }
  }
  if (!place(mark_of(key))) return false;
  ++size_;
  return true;
}

bool KeySet::place(std::uint64_t mark) noexcept {
  const auto mask = slots_.size() - 1;
  for (auto at = static_cast<std::size_t>(mark) & mask;; at = (at + 1) & mask) {
    if (slots_[at] == mark) return false;
    if (slots_[at] != 0) continue;
    slots_[at] = mark;
    return true;
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
