// Whether all calls come from one thread, and who steers for it.
#pragma once

#include <valkeycache/config.hpp>

#include <atomic>
#include <cstdint>

#include "base/io_thread.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Thread-safe. A thread is alone once it has made `after` calls in a row.
class LoneCaller {
 public:
  explicit LoneCaller(std::uint32_t after) noexcept : after_(after) {}

  // The calling thread makes a call. False: the last one was another's.
  bool note() noexcept {
    const auto* const me = mark();
    if (last_.load(std::memory_order_relaxed) != me) {
      last_.store(me, std::memory_order_relaxed);
      streak_.store(0, std::memory_order_relaxed);
      return false;
    }
    const auto streak = streak_.load(std::memory_order_relaxed);
    if (streak < after_) streak_.store(streak + 1, std::memory_order_relaxed);
    return true;
  }
  // The calling thread is.
  [[nodiscard]] bool alone() const noexcept {
    return streak_.load(std::memory_order_relaxed) >= after_ &&
           last_.load(std::memory_order_relaxed) == mark();
  }

 private:
  static const void* mark() noexcept {
    static thread_local char mark;
    return &mark;
  }

  const std::uint32_t after_;
  std::atomic<const void*> last_{nullptr};
  std::atomic<std::uint32_t> streak_{0};
};

// While a thread holds a client's helm without being its I/O thread: what it calls meanwhile (a log
// hook) must not wait for the other thread, which waits for the helm.
class VALKEYCACHE_API Steering {
 public:
  explicit Steering(const void* client) noexcept;
  ~Steering();
  Steering(const Steering&) = delete;
  Steering& operator=(const Steering&) = delete;

  // Whether the calling thread steers this one, perhaps among others; any.
  [[nodiscard]] static bool steers(const void* client) noexcept;
  [[nodiscard]] static bool steers_any() noexcept;

 private:
  const void* const client_;
  const Steering* const outer_;
  IoThreadScope scope_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
