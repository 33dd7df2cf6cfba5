// Where the handlers of a client's streams run: its executor, else one thread of its own.
#pragma once

#include <valkeycache/detail/future_state.hpp>
#include <valkeycache/hooks.hpp>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

namespace valkeycache::inline v0 {
namespace detail {

// Thread-safe; nothing but close() blocks. Tasks of the own thread run one after another, in order.
class StreamDelivery : public std::enable_shared_from_this<StreamDelivery> {
 public:
  explicit StreamDelivery(std::shared_ptr<const CallbackContext> context);
  ~StreamDelivery();
  StreamDelivery(const StreamDelivery&) = delete;
  StreamDelivery& operator=(const StreamDelivery&) = delete;

  // Hands the task to the executor or, where there is none or it throws, to the thread, which the
  // first one starts. On the client's thread the executor is called by the other one: it may run
  // the task at once. A task that can be run nowhere is destroyed.
  void post(Task task);

  // The client is being destroyed: streams that are not over shall end.
  [[nodiscard]] bool closed() const;
  // Waits for the thread to have done what was posted, but not longer than until `deadline`, and
  // not at all where `wait` is false; the thread then ends by itself.
  void close(bool wait, std::chrono::steady_clock::time_point deadline);

  [[nodiscard]] const CallbackContext& context() const noexcept { return *context_; }

 private:
  // False: the thread cannot take it.
  bool post_to_thread(Task& task);
  void post_to_executor(Task task);
  void run() noexcept;

  const std::shared_ptr<const CallbackContext> context_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool closed_ = false;
  bool over_ = false;  // the thread has done its last task
  std::thread thread_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
