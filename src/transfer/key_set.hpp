// KeySet: which keys have been seen, by 64 bits of each one's digest. Takes 16 bytes for a key at
// most, whatever its length; of a million keys two are taken for one with a chance of 3 in 10^8.
#pragma once

#include <valkeycache/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

class VALKEYCACHE_API KeySet {
 public:
  KeySet();
  // False: it was there.
  bool insert(std::string_view key);
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  bool place(std::uint64_t mark) noexcept;

  std::vector<std::uint64_t> slots_;  // 0: empty; a power of two of them
  std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
