#include <valkeycache/future.hpp>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace valkeycache;

using Context = std::shared_ptr<const detail::CallbackContext>;

Context context_of(Executor executor, LogHook log = {}) {
  return std::make_shared<const detail::CallbackContext>(
      detail::CallbackContext{std::move(executor), std::move(log)});
}

// Keeps tasks until they are run by hand.
struct Queue {
  std::vector<Task> tasks;
  Context context() {
    return context_of([this](Task task) { tasks.push_back(std::move(task)); });
  }
  void run_all() {
    while (!tasks.empty()) {
      auto now = std::exchange(tasks, {});
      for (auto& task : now) task();
    }
  }
};

TEST(Executor, RunsContinuations) {
  Queue queue;
  Promise<int> promise(queue.context());
  int seen = 0;
  auto next = promise.future().then([&](Result<int> x) { seen = x.value(); });
  promise.set(3);
  EXPECT_EQ(seen, 0);
  ASSERT_EQ(queue.tasks.size(), 1U);
  queue.run_all();
  EXPECT_EQ(seen, 3);
  EXPECT_TRUE(next.get());
}

TEST(Executor, RunsThoseOfReadyFuturesToo) {
  Queue queue;
  Promise<int> promise(queue.context());
  auto future = promise.future();
  promise.set(3);
  auto next = future.then([](Result<int> x) { return x; });
  EXPECT_FALSE(next.ready());
  queue.run_all();
  EXPECT_EQ(next.get().value(), 3);
}

TEST(Executor, IsInheritedByTheChain) {
  Queue queue;
  Promise<int> promise(queue.context());
  auto next =
      promise.future().then([](Result<int> x) { return x.value() + 1; }).then([](Result<int> x) {
        return x.value() + 1;
      });
  promise.set(1);
  EXPECT_EQ(queue.tasks.size(), 1U);
  queue.tasks.front()();
  EXPECT_EQ(queue.tasks.size(), 2U);  // the second step came through it, too
  EXPECT_FALSE(next.ready());
  queue.tasks.back()();
  EXPECT_EQ(next.get().value(), 3);
}

TEST(Executor, GetDoesNotNeedIt) {
  Queue queue;
  Promise<int> promise(queue.context());
  auto future = promise.future();
  promise.set(1);
  EXPECT_EQ(future.get().value(), 1);
  EXPECT_TRUE(queue.tasks.empty());
}

TEST(Executor, OneThatThrowsIsReportedAndTheContinuationRunsHere) {
  std::vector<std::string> lines;
  Promise<int> promise(context_of([](Task) { throw std::runtime_error("full"); },
                                  [&](const LogRecord& r) { lines.emplace_back(r.message); }));
  auto next = promise.future().then([](Result<int> x) { return x; });
  promise.set(9);
  EXPECT_EQ(next.get().value(), 9);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("executor"), std::string::npos);
}

TEST(Executor, OneThatTakesTheTaskAndThrowsRunsItOnce) {
  std::vector<Task> kept;
  Promise<int> promise(context_of([&](Task task) {
    kept.push_back(std::move(task));
    throw std::runtime_error("late");
  }));
  int runs = 0;
  auto next = promise.future().then([&](Result<int>) { ++runs; });
  promise.set(1);
  EXPECT_TRUE(next.get());
  kept.front()();
  EXPECT_EQ(runs, 1);
}

TEST(Executor, OneThatDropsTheTaskAbandonsTheChain) {
  const auto owned = std::make_shared<int>(1);
  Promise<int> promise(context_of([](const Task&) {}));
  auto next = promise.future().then([owned](Result<int> x) { return x; });
  promise.set(1);
  EXPECT_EQ(next.get().error().code, ErrorCode::abandoned);
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(Executor, OneThatGoesAwayLaterAbandonsTheChain) {
  auto queue = std::make_unique<Queue>();
  Promise<int> promise(queue->context());
  auto next = promise.future().then([](Result<int> x) { return x; });
  promise.set(1);
  EXPECT_FALSE(next.ready());
  queue.reset();
  EXPECT_EQ(next.get().error().code, ErrorCode::abandoned);
}

// A thread with a queue, as programs have one.
class Loop {
 public:
  Loop() : thread_([this] { run(); }) {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() {
    post([this] { stopping_ = true; });
    thread_.join();
  }
  void post(Task task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }
  [[nodiscard]] std::thread::id id() const { return thread_.get_id(); }

 private:
  void run() {
    while (!stopping_) {
      Task task;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !tasks_.empty(); });
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool stopping_ = false;  // of the thread's own
  std::thread thread_;
};

TEST(Executor, HandsResultsFromManyThreadsToOne) {
  Loop loop;
  const auto context = context_of([&](Task task) { loop.post(std::move(task)); });
  int sum = 0;  // touched by the loop alone: a race would show
  constexpr int each = 300;
  std::vector<Future<void>> done(4 * each);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        Promise<int> promise(context);
        done[static_cast<std::size_t>(t * each + i)] = promise.future().then([&](Result<int> x) {
          EXPECT_EQ(std::this_thread::get_id(), loop.id());
          sum += x.value();
        });
        promise.set(1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (auto& future : done) EXPECT_TRUE(future.get());
  EXPECT_EQ(sum, 4 * each);
}

}  // namespace
