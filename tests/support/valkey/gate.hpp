// A door between threads: whoever waits goes on once it is open.
#pragma once

#include <condition_variable>
#include <mutex>

#include "support/valkey/wait.hpp"

namespace valkeycache::test {

class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] bool is_open() const {
    const std::lock_guard lock(mutex_);
    return open_;
  }
  // False when nobody opened it in time.
  bool wait(std::chrono::milliseconds timeout = patience) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [this] { return open_; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool open_ = false;
};

}  // namespace valkeycache::test
