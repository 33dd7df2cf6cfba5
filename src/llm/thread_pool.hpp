// Threads for functions that block.
#pragma once

#include <valkeycache/hooks.hpp>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>

namespace valkeycache::inline v0 {
namespace detail {

// At most 64 threads, made as tasks come and gone after some idle seconds; further tasks wait their
// turn. Get it by process_instance<ThreadPool>(). Thread-safe.
class ThreadPool {
 public:
  static constexpr std::size_t max_threads = 64;
  static constexpr std::size_t max_waiting = 65536;

  ThreadPool() = default;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Runs the task soon. False, with the task untouched, when too many wait or there is no thread to
  // be had at all. A task must not throw.
  bool submit(Task& task);

  // True on threads of a pool.
  static bool on_pool_thread() noexcept;

 private:
  void work() noexcept;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> waiting_;
  std::size_t threads_ = 0;
  std::size_t idle_ = 0;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
