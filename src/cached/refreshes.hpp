// Which keys this process refreshes just now, so that of many stale hits one refreshes.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <utility>

#include "base/crypto.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Thread-safe. Takes no memory while nothing is refreshed, and at most `most` keys' worth of those
// under way beside those that rest for a moment.
class Refreshes {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Refreshes(std::size_t most) noexcept : most_(most) {}

  // The leave to refresh one key. The registry must outlive it.
  class Ticket {
   public:
    Ticket() noexcept = default;
    Ticket(Ticket&& other) noexcept
        : all_(std::exchange(other.all_, nullptr)), key_(other.key_), rest_(other.rest_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (all_) all_->end(key_, rest_);
    }
    explicit operator bool() const noexcept { return all_ != nullptr; }
    // When it ends nobody begins for so long.
    void rest_after(std::chrono::milliseconds rest) noexcept { rest_ = rest; }

   private:
    friend class Refreshes;
    Ticket(Refreshes& all, const Sha256Digest& key) noexcept : all_(&all), key_(key) {}
    Refreshes* all_ = nullptr;
    Sha256Digest key_{};
    std::chrono::milliseconds rest_{0};
  };

  // None: somebody does already, did a moment ago, or there are too many.
  [[nodiscard]] Ticket begin(const Sha256Digest& key);

 private:
  void end(const Sha256Digest& key, std::chrono::milliseconds rest) noexcept;

  const std::size_t most_;
  std::mutex mutex_;
  std::size_t under_way_ = 0;
  // Until when nobody begins; Clock::time_point::max(): under way.
  std::map<Sha256Digest, Clock::time_point> keys_;
  std::size_t sweep_at_ = 64;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
