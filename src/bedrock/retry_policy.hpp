// When a failed attempt is made again: AWS's "standard" retry mode, rules of 2026. Sans-I/O.
#pragma once

#include <valkeycache/config.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

namespace valkeycache::inline v0 {
namespace detail {

enum class RetryKind : std::uint8_t {
  never,
  throttling,         // the service asks for less
  transient,          // 5xx and lost connections
  renew_credentials,  // once, with new credentials; costs no wait
  correct_clock,      // once, with the service's time; costs no wait
};

// What a call has used up so far.
struct CallRetries {
  int attempts = 1;  // begun, the first one included
  int last_cost = 0;
};

// Shared by the calls of one client; one thread at a time.
class RetryPolicy {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // `random` gives numbers from 0 to 1.
  RetryPolicy(int max_attempts, std::function<double()> random);

  [[nodiscard]] bool has_attempts_left(const CallRetries& call) const noexcept {
    return call.attempts < max_attempts_;
  }

  // After a failure of the given kind (throttling or transient): how long to wait before the next
  // attempt, which is then counted. Nothing when there shall be none: attempts or tokens are used
  // up, or the wait would last for `remaining` or longer.
  // delay = random * min(base * 2^n, 20 s) with a base of 50 ms, for throttling 1 s; the service's
  // hint lengthens it, by 5 s at most.
  std::optional<Milliseconds> next_delay(CallRetries& call, RetryKind kind,
                                         std::optional<Milliseconds> hint, Milliseconds remaining);

  // Gives tokens back.
  void succeeded(const CallRetries& call) noexcept;

  [[nodiscard]] int max_attempts() const noexcept { return max_attempts_; }
  [[nodiscard]] int tokens() const noexcept { return tokens_; }

 private:
  int max_attempts_;
  std::function<double()> random_;
  int tokens_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
