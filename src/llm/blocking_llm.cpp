#include "llm/blocking_llm.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/fork.hpp"
#include "llm/call_timer.hpp"
#include "llm/process_instance.hpp"
#include "llm/thread_pool.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

Error error_model_closed() {
  return {.code = ErrorCode::closed, .message = "the model was destroyed during the call"};
}
Error error_too_late() {
  return {.code = ErrorCode::timeout,
          .message = "the call's time was up before it began",
          .retryable = true};
}
Error error_model_forked() {
  return {.code = ErrorCode::forked,
          .message = "the model was made before fork(); make one in the child"};
}
Error error_pool_full() {
  return {.code = ErrorCode::overloaded,
          .message = "too many calls wait for a thread",
          .retryable = true};
}

}  // namespace

struct BlockingLlm::State {
  explicit State(Function f) : function(std::move(f)) {}

  const std::uint64_t generation = fork_generation();
  Function function;
  std::mutex mutex;
  std::condition_variable idle;
  std::set<std::shared_ptr<Call>> calls;  // that wait or run
  std::size_t running = 0;
};

class BlockingLlm::Call final : public TimedCall {
 public:
  Call(std::shared_ptr<State> state, ChatRequest request)
      : state_(std::move(state)), request_(std::move(request)) {}

  Future<Completion> future() { return promise_.future(); }

  void end(Error error) noexcept override { answer(std::move(error)); }

  // On a thread of the pool.
  void run() noexcept {
    const auto self = std::static_pointer_cast<Call>(shared_from_this());
    {
      const std::lock_guard lock(state_->mutex);
      if (ended_) {
        state_->calls.erase(self);
        return;
      }
      ++state_->running;
    }
    auto result = call_into_result<Completion>(nullptr, state_->function, request_);
    process_instance<CallTimer>().disarm(*this);
    {
      const std::lock_guard lock(state_->mutex);
      state_->calls.erase(self);
      if (--state_->running == 0) state_->idle.notify_all();
    }
    answer(std::move(result));
  }

 private:
  void answer(Result<Completion> result) noexcept {
    if (!ended_.exchange(true)) promise_.set(std::move(result));
  }

  const std::shared_ptr<State> state_;
  const ChatRequest request_;
  Promise<Completion> promise_;
  std::atomic<bool> ended_{false};
};

BlockingLlm::BlockingLlm(CacheIdentity identity, Function function)
    : identity_(std::move(identity)), state_(std::make_shared<State>(std::move(function))) {}

BlockingLlm::~BlockingLlm() {
  if (state_->generation != fork_generation()) {
    keep_for_ever(std::move(state_));
    return;
  }
  std::set<std::shared_ptr<Call>> calls;
  {
    const std::lock_guard lock(state_->mutex);
    calls = state_->calls;
  }
  for (const auto& call : calls) {
    process_instance<CallTimer>().disarm(*call);
    call->end(error_model_closed());
  }
  calls.clear();
  if (ThreadPool::on_pool_thread() || on_io_thread()) return;
  Function function;  // destroyed here, after the lock
  std::unique_lock lock(state_->mutex);
  state_->idle.wait(lock, [this] { return state_->running == 0; });
  function = std::move(state_->function);
}

Future<Completion> BlockingLlm::complete(const ChatRequest& request, CallOptions options) {
  const auto refuse = [](Error error) {
    return make_ready_future<Completion>(std::move(error));
  };
  if (state_->generation != fork_generation()) return refuse(error_model_forked());
  if (const Error* error = request.error()) return refuse(*error);
  if (options.timeout && options.timeout->count() <= 0) return refuse(error_too_late());
  if (options.stop_token.stop_requested()) return refuse(error_cancelled());

  const auto call = std::make_shared<Call>(state_, request);
  auto future = call->future();
  {
    const std::lock_guard lock(state_->mutex);
    state_->calls.insert(call);
  }
  std::optional<std::chrono::steady_clock::time_point> deadline;
  if (options.timeout) {
    deadline = std::chrono::steady_clock::now() +
               std::min<std::chrono::milliseconds>(*options.timeout, std::chrono::hours{24 * 365});
  }
  process_instance<CallTimer>().arm(call, deadline, options.stop_token);
  Task task([call] { call->run(); });
  if (!process_instance<ThreadPool>().submit(task)) {
    process_instance<CallTimer>().disarm(*call);
    {
      const std::lock_guard lock(state_->mutex);
      state_->calls.erase(call);
    }
    call->end(error_pool_full());
  }
  return future;
}

CacheIdentity BlockingLlm::cache_identity() const {
  return identity_;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
