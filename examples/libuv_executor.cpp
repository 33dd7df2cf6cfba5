// Continuations on a libuv loop. uv_async_send() is the one function of libuv's that other threads
// may call: tasks go into a queue, and it wakes the loop to run them.
#include <valkeycache/cached_llm.hpp>

#include <cstdlib>
#include <deque>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <uv.h>

using namespace valkeycache;
using namespace std::chrono_literals;

namespace {

class UvExecutor {
 public:
  explicit UvExecutor(uv_loop_t* loop) {
    uv_async_init(loop, &wake_,
                  [](uv_async_t* handle) { static_cast<UvExecutor*>(handle->data)->run_tasks(); });
    wake_.data = this;
  }
  UvExecutor(const UvExecutor&) = delete;
  UvExecutor& operator=(const UvExecutor&) = delete;

  void post(Task task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    uv_async_send(&wake_);
  }
  // Lets the loop end. On its own thread, when no more tasks will come.
  void close() { uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr); }

 private:
  void run_tasks() {
    std::deque<Task> tasks;  // run without the lock: a task may post another one
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
    }
    for (auto& task : tasks) task();
  }

  uv_async_t wake_{};
  std::mutex mutex_;
  std::deque<Task> tasks_;
};

}  // namespace

int main() {
  uv_loop_t* loop = uv_default_loop();
  UvExecutor executor(loop);

  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "valkey://localhost:6379", {.ttl = 1h}).value();
  const auto model = make_text_llm({.model = "echo"}, [](const ChatRequest& request) {
    return "you said: " + request.as_triple().value_or(ChatRequest::Triple{}).prompt;
  });
  CachedLlmOptions options;
  options.advanced.executor = [&executor](Task task) {
    executor.post(std::move(task));
  };
  const CachedLlm llm{cache, model, options};

  int open = 3;  // no lock: all of it happens on this thread
  const auto here = std::this_thread::get_id();
  for (int i = 1; i <= 3; ++i) {
    (void)llm.ask("question " + std::to_string(i)).then([&](Result<CachedAnswer> answer) {
      std::cout << answer.value().response
                << (std::this_thread::get_id() == here ? ", on the loop" : ", elsewhere") << '\n';
      if (--open == 0) executor.close();
    });
  }
  uv_run(loop, UV_RUN_DEFAULT);
  uv_loop_close(loop);
}
