// A number that many threads add to and anybody reads.
#pragma once

#include <valkeycache/config.hpp>

#include <atomic>
#include <cstdint>

namespace valkeycache::inline v0 {
namespace detail {

class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
