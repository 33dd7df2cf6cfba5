// The helm: who holds it carries a client's work on, the I/O thread or a caller that waits.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/futex.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// A lock that one thread at most (the I/O thread) waits for and that others only try.
class Helm {
 public:
  [[nodiscard]] bool try_take() noexcept {
    auto state = State::free;
    return state_.load(std::memory_order_relaxed) == State::free &&
           state_.compare_exchange_strong(state, State::taken, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }
  void take() noexcept {
    while (!try_take()) {
      auto state = State::taken;
      if (state_.compare_exchange_strong(state, State::wanted, std::memory_order_relaxed) ||
          state == State::wanted) {
        futex_wait(state_, State::wanted, nullptr);
      }
    }
  }
  void release() noexcept {
    if (state_.exchange(State::free, std::memory_order_release) == State::wanted) {
      futex_wake_all(state_);
    }
  }

 private:
  enum class State : std::uint32_t { free, taken, wanted };
  std::atomic<State> state_{State::free};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
