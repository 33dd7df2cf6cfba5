// Work that is to be done later: polls for a lease and heartbeats of one.
#pragma once

#include <valkeycache/hooks.hpp>

#include <chrono>
#include <memory>
#include <thread>

namespace valkeycache::inline v0 {
namespace detail {

// Thread-safe. Its one thread starts with the first task; tasks must not block nor throw.
class Timer {
 public:
  Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  // close() must have come first.
  ~Timer();

  // False, with the task destroyed, when there is no thread to be had or it is closed.
  bool after(std::chrono::milliseconds delay, Task task);

  // Drops what has not begun, and waits for the thread unless this is it.
  void close() noexcept;
  // In the child of a fork(): leaves everything where it is.
  void leak();

 private:
  struct State;
  static void run(const std::shared_ptr<State>& state) noexcept;

  std::shared_ptr<State> state_;
  std::unique_ptr<std::thread> thread_;  // guarded by the state's mutex until close()
};

}  // namespace detail
}  // namespace valkeycache::inline v0
