// Waiting for an atomic to change, with a deadline (std::atomic::wait has none in C++20).
#pragma once

#include <valkeycache/config.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace valkeycache::inline v0 {
namespace detail {

using SteadyTime = std::chrono::steady_clock::time_point;

// Blocks while *word == expected; also returns spuriously. False once the deadline has passed.
VALKEYCACHE_API bool futex_wait_word(const void* word, std::uint32_t expected,
                                     const SteadyTime* deadline) noexcept;
VALKEYCACHE_API void futex_wake_word(const void* word, int how_many) noexcept;
// The same for waiters that name a set, and are woken by one that shares a bit with theirs.
bool futex_wait_in_set(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                       std::uint32_t set, const SteadyTime* deadline) noexcept;
void futex_wake_set(const std::atomic<std::uint32_t>& word, std::uint32_t set) noexcept;

template <class Word>
bool futex_wait(const std::atomic<Word>& word, Word expected, const SteadyTime* deadline) noexcept {
  static_assert(sizeof(std::atomic<Word>) == sizeof(std::uint32_t));
  return futex_wait_word(&word, static_cast<std::uint32_t>(expected), deadline);
}
template <class Word>
void futex_wake_all(const std::atomic<Word>& word) noexcept {
  static_assert(sizeof(std::atomic<Word>) == sizeof(std::uint32_t));
  futex_wake_word(&word, 0x7fffffff);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
