#include "bedrock/retry_policy.hpp"

#include <algorithm>
#include <utility>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr int bucket_size = 500;
constexpr int retry_cost = 14;
constexpr int throttling_cost = 5;
constexpr int first_try_reward = 1;
constexpr RetryPolicy::Milliseconds transient_base{50};
constexpr RetryPolicy::Milliseconds throttling_base{1000};
constexpr RetryPolicy::Milliseconds max_delay{20000};
constexpr RetryPolicy::Milliseconds max_hint_beyond_delay{5000};

}  // namespace

RetryPolicy::RetryPolicy(int max_attempts, std::function<double()> random)
    : max_attempts_(max_attempts), random_(std::move(random)), tokens_(bucket_size) {}

std::optional<RetryPolicy::Milliseconds> RetryPolicy::next_delay(CallRetries& call, RetryKind kind,
                                                                 std::optional<Milliseconds> hint,
                                                                 Milliseconds remaining) {
  if (kind != RetryKind::throttling && kind != RetryKind::transient) return std::nullopt;
  if (!has_attempts_left(call)) return std::nullopt;
  const bool throttling = kind == RetryKind::throttling;
  const int cost = throttling ? throttling_cost : retry_cost;
  if (tokens_ < cost) return std::nullopt;

  const auto base = throttling ? throttling_base : transient_base;
  const int doublings = std::min(call.attempts - 1, 16);
  const auto longest = std::min(base * (1 << doublings), max_delay);
  auto delay = std::chrono::duration_cast<Milliseconds>(longest * std::clamp(random_(), 0.0, 1.0));
  if (hint) delay = std::max(delay, std::min(*hint, delay + max_hint_beyond_delay));
  if (delay >= remaining) return std::nullopt;

  tokens_ -= cost;
  call.last_cost = cost;
  ++call.attempts;
  return delay;
}

void RetryPolicy::succeeded(const CallRetries& call) noexcept {
  const int back = call.last_cost > 0 ? call.last_cost : first_try_reward;
  tokens_ = std::min(tokens_ + back, bucket_size);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
