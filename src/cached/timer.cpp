#include "cached/timer.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "base/io_thread.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct Timer::State {
  using TimePoint = std::chrono::steady_clock::time_point;
  std::mutex mutex;
  std::condition_variable changed;
  std::multimap<TimePoint, Task> tasks;
  bool closing = false;
};

Timer::Timer() : state_(std::make_shared<State>()) {}

Timer::~Timer() = default;

bool Timer::after(std::chrono::milliseconds delay, Task task) {
  const auto at = State::TimePoint::clock::now() + delay;
  const std::lock_guard lock(state_->mutex);
  if (state_->closing) return false;
  if (!thread_) {
    try {
      const AllSignalsBlocked blocked;
      thread_ = std::make_unique<std::thread>([state = state_] { run(state); });
    } catch (const std::system_error&) {
      return false;
    }
  }
  const auto placed = state_->tasks.emplace(at, std::move(task));
  if (placed == state_->tasks.begin()) state_->changed.notify_one();
  return true;
}

void Timer::run(const std::shared_ptr<State>& state) noexcept {
  name_this_thread("vkc-lease");
  const IoThreadScope scope;
  std::unique_lock lock(state->mutex);
  while (!state->closing) {
    if (state->tasks.empty()) {
      state->changed.wait(lock);
      continue;
    }
    const auto first = state->tasks.begin();
    const auto due = first->first;
    if (due > State::TimePoint::clock::now()) {
      state->changed.wait_until(lock, due);
      continue;
    }
    auto task = std::move(first->second);
    state->tasks.erase(first);
    lock.unlock();
    task();
    task.reset();
    lock.lock();
  }
}

void Timer::close() noexcept {
  std::multimap<State::TimePoint, Task> dropped;  // after the lock
  std::unique_ptr<std::thread> thread;
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
    dropped.swap(state_->tasks);
    thread = std::move(thread_);
    state_->changed.notify_one();
  }
  if (!thread) return;
  if (thread->get_id() == std::this_thread::get_id()) {
    thread->detach();
  } else {
    thread->join();
  }
}

void Timer::leak() {
  // Kept reachable, so that leak checkers see that it is meant.
  struct Kept {
    std::shared_ptr<State> state;
    std::unique_ptr<std::thread> thread;
  };
  static auto& kept = *new std::vector<Kept>;
  static auto& mutex = *new std::mutex;
  const std::lock_guard lock(mutex);
  kept.push_back({state_, std::move(thread_)});
}

}  // namespace detail
}  // namespace valkeycache::inline v0
