// How much memory this process has taken of its allocator.
#pragma once

#include <cstddef>
#include <optional>

#include <malloc.h>

#include "support/sanitized.hpp"

namespace valkeycache::test {

// Bytes in use by all threads; nothing where the allocator does not tell.
inline std::optional<std::size_t> heap_in_use() {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  if (!sanitized) {
    const auto heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
  }
#endif
  return std::nullopt;
}

}  // namespace valkeycache::test
