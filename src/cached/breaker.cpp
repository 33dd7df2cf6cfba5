#include "cached/breaker.hpp"

#include <string>

namespace valkeycache::inline v0 {
namespace detail {

Verdict judge_lookup(const Error& error) noexcept {
  switch (error.code) {
    case ErrorCode::timeout:
    case ErrorCode::connect_failed:
    case ErrorCode::tls_failed:
    case ErrorCode::connection_lost:
    case ErrorCode::protocol_error:
    case ErrorCode::authentication:
    case ErrorCode::server_unavailable:
    case ErrorCode::permission:
      return Verdict::failing;
    case ErrorCode::server_error:
      return error.server_code == "WRONGTYPE" ? Verdict::neutral : Verdict::failing;
    default:
      return Verdict::neutral;
  }
}

Verdict judge_store(const Error& error) noexcept {
  switch (error.code) {
    case ErrorCode::timeout:
    case ErrorCode::connect_failed:
    case ErrorCode::tls_failed:
    case ErrorCode::connection_lost:
    case ErrorCode::protocol_error:
    case ErrorCode::authentication:
      return Verdict::failing;
    default:
      return Verdict::neutral;
  }
}

Breaker::Decision Breaker::decide(TimePoint now) {
  if (!is_open()) return Decision::use;
  const std::lock_guard lock(mutex_);
  if (!is_open()) return Decision::use;
  if (now < until_) return Decision::skip;
  // Also when it is half-open already: that probe's end got lost.
  state_.store(State::half_open, std::memory_order_release);
  until_ = now + open_for_;
  return Decision::probe;
}

bool Breaker::failed(const Error& error, TimePoint now) {
  if (failures_to_open_ <= 0) return false;
  const std::lock_guard lock(mutex_);
  if (is_open()) return false;
  last_ = error;
  if (failures_.fetch_add(1, std::memory_order_relaxed) + 1 < failures_to_open_) return false;
  state_.store(State::open, std::memory_order_release);
  until_ = now + open_for_;
  trips_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Breaker::succeeded() noexcept {
  // The load keeps a healthy cache's callers from sharing a written cache line.
  if (failures_.load(std::memory_order_relaxed) == 0 || is_open()) return;
  failures_.store(0, std::memory_order_relaxed);
}

bool Breaker::probed(bool well, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (state_.load(std::memory_order_relaxed) != State::half_open) return false;
  if (well) {
    failures_.store(0, std::memory_order_relaxed);
    state_.store(State::closed, std::memory_order_release);
    return true;
  }
  state_.store(State::open, std::memory_order_release);
  until_ = now + open_for_;
  return false;
}

Error Breaker::reason() const {
  const std::lock_guard lock(mutex_);
  Error error = last_;
  error.message = "the cache is left alone for now, since it failed " +
                  std::to_string(failures_to_open_) +
                  " times in a row; the last time: " + error.message;
  error.retryable = true;
  error.maybe_applied = false;
  return error;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
