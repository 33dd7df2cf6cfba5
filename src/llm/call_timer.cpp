#include "llm/call_timer.hpp"

#include <system_error>
#include <thread>
#include <utility>

#include "base/errors.hpp"
#include "base/io_thread.hpp"

namespace valkeycache::inline v0 {
namespace detail {

void TimedCall::Cancel::operator()() const noexcept {
  call->timer_->cancel(*call);
}

void CallTimer::arm(const std::shared_ptr<TimedCall>& call,
                    std::optional<std::chrono::steady_clock::time_point> deadline,
                    const std::stop_token& stop) {
  if (!deadline && !stop.stop_possible()) return;
  {
    const std::lock_guard lock(mutex_);
    if (!running_) {
      try {
        const AllSignalsBlocked blocked;
        std::thread([this] { run(); }).detach();
      } catch (const std::system_error&) {
        return;
      }
      running_ = true;
    }
    call->timer_ = this;
    call->armed_ = true;
    if (deadline) {
      const auto at = deadlines_.emplace(*deadline, call);
      call->deadline_ = at;
      if (at == deadlines_.begin()) changed_.notify_one();
    }
  }
  // Runs the callback at once when it was triggered meanwhile, hence without the lock.
  if (stop.stop_possible()) call->on_stop_.emplace(stop, TimedCall::Cancel{call.get()});
}

void CallTimer::disarm(TimedCall& call) noexcept {
  std::shared_ptr<TimedCall> removed;  // dropped after the lock
  const std::lock_guard lock(mutex_);
  call.armed_ = false;
  if (auto at = std::exchange(call.deadline_, std::nullopt)) {
    removed = std::move((*at)->second);
    deadlines_.erase(*at);
  }
}

void CallTimer::cancel(TimedCall& call) noexcept {
  std::shared_ptr<TimedCall> removed;
  const std::lock_guard lock(mutex_);
  if (!std::exchange(call.armed_, false)) return;
  auto shared = call.weak_from_this().lock();
  if (auto at = std::exchange(call.deadline_, std::nullopt)) {
    removed = std::move((*at)->second);
    deadlines_.erase(*at);
  }
  if (!shared) return;  // nobody waits for it any more
  cancelled_.push_back(std::move(shared));
  changed_.notify_one();
}

void CallTimer::run() noexcept {
  name_this_thread("vkc-llm-timer");
  const IoThreadScope scope;
  std::vector<std::pair<std::shared_ptr<TimedCall>, Error>> ended;
  std::unique_lock lock(mutex_);
  for (;;) {
    for (auto& call : cancelled_) ended.emplace_back(std::move(call), error_cancelled_under_way());
    cancelled_.clear();
    const auto now = std::chrono::steady_clock::now();
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      auto call = std::move(deadlines_.begin()->second);
      deadlines_.erase(deadlines_.begin());
      call->deadline_.reset();
      call->armed_ = false;
      ended.emplace_back(std::move(call), error_timeout_under_way());
    }
    if (!ended.empty()) {
      lock.unlock();
      for (auto& [call, error] : ended) call->end(std::move(error));
      ended.clear();
      lock.lock();
    } else if (deadlines_.empty()) {
      changed_.wait(lock);
    } else {
      const auto next = deadlines_.begin()->first;
      changed_.wait_until(lock, next);
    }
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
