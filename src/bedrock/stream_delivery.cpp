#include "bedrock/stream_delivery.hpp"

#include <system_error>
#include <utility>

#include "base/executor.hpp"
#include "base/io_thread.hpp"

namespace valkeycache::inline v0 {
namespace detail {

StreamDelivery::StreamDelivery(std::shared_ptr<const CallbackContext> context)
    : context_(std::move(context)) {}

// The thread keeps the object: either it was never started, or close() has seen to it.
StreamDelivery::~StreamDelivery() {
  if (thread_.joinable()) thread_.detach();
}

void StreamDelivery::post(Task task) {
  if (!context_->executor) {
    post_to_thread(task);
    return;
  }
  if (on_io_thread()) {
    Task handing_over([self = shared_from_this(), held = std::move(task)]() mutable {
      self->post_to_executor(std::move(held));
    });
    if (!post_to_thread(handing_over)) handing_over();
    return;
  }
  post_to_executor(std::move(task));
}

void StreamDelivery::post_to_executor(Task task) {
  give_to(context_->executor, std::move(task), [this](Task refused) {
    report(context_->log, LogLevel::error, "bedrock",
           "the executor threw; a stream's handler runs on a thread of the client's instead");
    if (refused) post_to_thread(refused);
  });
}

bool StreamDelivery::post_to_thread(Task& task) {
  const std::lock_guard lock(mutex_);
  if (over_) return false;
  if (!thread_.joinable()) {
    if (closed_) return false;
    try {
      const AllSignalsBlocked blocked;
      thread_ = std::thread([self = shared_from_this()] { self->run(); });
    } catch (const std::system_error&) {
      return false;
    }
  }
  tasks_.push_back(std::move(task));
  changed_.notify_all();
  return true;
}

void StreamDelivery::run() noexcept {
  name_this_thread("vkc-stream");
  const IoThreadScope io_thread;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return closed_ || !tasks_.empty(); });
    if (tasks_.empty()) break;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task.reset();
    lock.lock();
  }
  over_ = true;
  changed_.notify_all();
}

bool StreamDelivery::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void StreamDelivery::close(bool wait, std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  closed_ = true;
  changed_.notify_all();
  if (!thread_.joinable()) {
    over_ = true;
    return;
  }
  const bool done = wait && changed_.wait_until(lock, deadline, [this] { return over_; });
  auto thread = std::move(thread_);
  lock.unlock();
  if (done) {
    thread.join();
  } else {
    thread.detach();
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
