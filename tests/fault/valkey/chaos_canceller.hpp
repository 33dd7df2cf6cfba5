// Triggers stop tokens on a thread that has nothing to do with the calls.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace valkeycache::test {

class Canceller {
 public:
  Canceller() = default;
  ~Canceller() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Canceller(const Canceller&) = delete;
  Canceller& operator=(const Canceller&) = delete;

  void cancel(std::stop_source source) {
    {
      const std::lock_guard lock(mutex_);
      sources_.push_back(std::move(source));
    }
    changed_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !sources_.empty(); });
      const auto sources = std::exchange(sources_, {});
      if (sources.empty()) return;
      lock.unlock();
      for (auto source : sources) source.request_stop();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::stop_source> sources_;
  bool ending_ = false;
  std::thread thread_{[this] {
    run();
  }};
};

}  // namespace valkeycache::test
