#include "base/futex.hpp"

#if defined(__linux__)

#include <cerrno>
#include <ctime>

#include <sys/syscall.h>
#include <unistd.h>

#include <linux/futex.h>

namespace valkeycache::inline v0 {
namespace detail {

namespace {

bool wait(const void* word, std::uint32_t expected, std::uint32_t set,
          const SteadyTime* deadline) noexcept {
  timespec until{};
  if (deadline) {
    // FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, which is what steady_clock is.
    const auto since_epoch = deadline->time_since_epoch();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch);
    until.tv_sec = static_cast<std::time_t>(seconds.count());
    until.tv_nsec = static_cast<long>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch - seconds).count());
  }
  const long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected,
                          deadline ? &until : nullptr, nullptr, set);
  return !(rc == -1 && errno == ETIMEDOUT);
}

}  // namespace

bool futex_wait_word(const void* word, std::uint32_t expected,
                     const SteadyTime* deadline) noexcept {
  return wait(word, expected, FUTEX_BITSET_MATCH_ANY, deadline);
}

bool futex_wait_in_set(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                       std::uint32_t set, const SteadyTime* deadline) noexcept {
  return wait(&word, expected, set, deadline);
}

void futex_wake_set(const std::atomic<std::uint32_t>& word, std::uint32_t set) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAKE_BITSET_PRIVATE, 0x7fffffff, nullptr, nullptr, set);
}

void futex_wake_word(const void* word, int how_many) noexcept {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, how_many, nullptr, nullptr, 0);
}

}  // namespace detail
}  // namespace valkeycache::inline v0

#else  // A few shared condition variables serve where there is no futex.

#include <condition_variable>
#include <cstring>
#include <mutex>

namespace valkeycache::inline v0 {
namespace detail {
namespace {
struct Bucket {
  std::mutex mutex;
  std::condition_variable changed;
};
Bucket& bucket_of(const void* word) {
  static Bucket buckets[64];
  return buckets[(reinterpret_cast<std::uintptr_t>(word) >> 6) % 64];
}
}  // namespace

bool futex_wait_word(const void* word, std::uint32_t expected,
                     const SteadyTime* deadline) noexcept {
  auto& bucket = bucket_of(word);
  std::unique_lock lock(bucket.mutex);
  if (static_cast<const std::atomic<std::uint32_t>*>(word)->load() != expected) return true;
  if (!deadline) {
    bucket.changed.wait(lock);
    return true;
  }
  return bucket.changed.wait_until(lock, *deadline) == std::cv_status::no_timeout;
}

void futex_wake_word(const void* word, int) noexcept {
  auto& bucket = bucket_of(word);
  { const std::lock_guard lock(bucket.mutex); }
  bucket.changed.notify_all();
}

bool futex_wait_in_set(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                       std::uint32_t /*all wake together*/, const SteadyTime* deadline) noexcept {
  return futex_wait_word(&word, expected, deadline);
}
void futex_wake_set(const std::atomic<std::uint32_t>& word, std::uint32_t /*set*/) noexcept {
  futex_wake_word(&word, 0);
}

}  // namespace detail
}  // namespace valkeycache::inline v0

#endif
