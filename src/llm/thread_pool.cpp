#include "llm/thread_pool.hpp"

#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "base/io_thread.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::chrono::seconds idle_time{10};
thread_local bool is_pool_thread = false;

}  // namespace

bool ThreadPool::on_pool_thread() noexcept {
  return is_pool_thread;
}

bool ThreadPool::submit(Task& task) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= max_waiting) return false;
  // An idle thread may have been woken for an earlier task and not have taken it yet.
  if (idle_ <= waiting_.size() && threads_ < max_threads) {
    try {
      const AllSignalsBlocked blocked;
      std::thread([this] { work(); }).detach();
      ++threads_;
    } catch (const std::system_error&) {
      if (threads_ == 0) return false;
    }
  }
  waiting_.push_back(std::move(task));
  changed_.notify_one();
  return true;
}

void ThreadPool::work() noexcept {
  name_this_thread("vkc-llm");
  is_pool_thread = true;
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    const bool busy = changed_.wait_for(lock, idle_time, [this] { return !waiting_.empty(); });
    --idle_;
    if (!busy) break;
    auto task = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    task();
    task.reset();
    lock.lock();
  }
  --threads_;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
