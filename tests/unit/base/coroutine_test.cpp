#include <valkeycache/future.hpp>

#include <coroutine>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace valkeycache;

Error refused() {
  return {.code = ErrorCode::throttled, .message = "slow down"};
}

Future<int> twice(Future<int> future) {
  const Result<int> value = co_await std::move(future);
  if (!value) co_return value.error();
  co_return *value * 2;
}

TEST(Coroutine, AwaitsAReadyFutureAtOnce) {
  auto future = twice(make_ready_future<int>(4));
  EXPECT_TRUE(future.ready());
  EXPECT_EQ(future.get().value(), 8);
}

TEST(Coroutine, ResumesWhenTheResultComes) {
  Promise<int> promise;
  auto future = twice(promise.future());
  EXPECT_FALSE(future.ready());
  promise.set(5);
  EXPECT_EQ(future.get().value(), 10);
}

TEST(Coroutine, HandsErrorsOn) {
  Promise<int> promise;
  auto future = twice(promise.future());
  promise.set(refused());
  EXPECT_EQ(future.get().error().code, ErrorCode::throttled);
  EXPECT_EQ(twice(Future<int>()).get().error().code, ErrorCode::consumed);
}

TEST(Coroutine, Nests) {
  Promise<int> promise;
  auto future = twice(twice(twice(promise.future())));
  promise.set(1);
  EXPECT_EQ(future.get().value(), 8);
}

TEST(Coroutine, AnAbandonedPromiseIsAnErrorInside) {
  Future<int> future;
  {
    Promise<int> promise;
    future = twice(promise.future());
  }
  EXPECT_EQ(future.get().error().code, ErrorCode::abandoned);
}

Future<std::string> throwing(Future<int> future) {
  const auto value = co_await std::move(future);
  if (value.value() > 0) throw std::runtime_error("the prompt");
  co_return "fine";
}

TEST(Coroutine, AnExceptionThatLeavesItIsAnError) {
  const auto result = throwing(make_ready_future<int>(1)).get();
  EXPECT_EQ(result.error().code, ErrorCode::callback_failed);
  EXPECT_EQ(result.error().message.find("prompt"), std::string::npos);
  EXPECT_EQ(throwing(make_ready_future<int>(refused())).get().error().code,
            ErrorCode::callback_failed);
  EXPECT_EQ(throwing(make_ready_future<int>(0)).get().value(), "fine");
}

Future<void> remember(Future<int> future, int& into) {
  into = (co_await std::move(future)).value();
}

TEST(Coroutine, OfNothing) {
  Promise<int> promise;
  int seen = 0;
  auto done = remember(promise.future(), seen);
  promise.set(7);
  EXPECT_TRUE(done.get());
  EXPECT_EQ(seen, 7);
}

TEST(Coroutine, LoopsOverManyReadyFuturesWithoutDeepening) {
  const auto sum = []() -> Future<long> {
    long total = 0;
    for (int i = 0; i < 200'000; ++i) total += (co_await make_ready_future<int>(1)).value();
    co_return total;
  };
  EXPECT_EQ(sum().get().value(), 200'000);
}

TEST(Coroutine, ADroppedFutureLetsItRunOn) {
  Promise<int> promise;
  int seen = 0;
  { const auto dropped = remember(promise.future(), seen); }
  promise.set(3);
  EXPECT_EQ(seen, 3);
}

TEST(Coroutine, IsResumedByTheExecutor) {
  std::vector<Task> tasks;
  const auto context = std::make_shared<const detail::CallbackContext>(
      detail::CallbackContext{[&](Task task) { tasks.push_back(std::move(task)); }, {}});
  Promise<int> promise(context);
  auto future = twice(promise.future());
  promise.set(2);
  EXPECT_FALSE(future.ready());
  ASSERT_EQ(tasks.size(), 1U);
  tasks.front()();
  EXPECT_EQ(future.get().value(), 4);
}

TEST(Coroutine, OneWhoseExecutorWentAwayIsAbandonedAndDestroyed) {
  const auto owned = std::make_shared<int>(1);
  Promise<int> promise(std::make_shared<const detail::CallbackContext>(
      detail::CallbackContext{[](const Task&) {}, {}}));
  const auto holding = [](Future<int> inner, std::shared_ptr<int> kept) -> Future<int> {
    const auto value = co_await std::move(inner);
    co_return *kept + value.value();
  };
  auto future = holding(promise.future(), owned);
  auto outer = twice(std::move(future));
  EXPECT_EQ(owned.use_count(), 2);
  promise.set(1);
  EXPECT_EQ(outer.get().error().code, ErrorCode::abandoned);
  EXPECT_EQ(owned.use_count(), 1);
}

// A coroutine type of a program's own, which owns its frame.
struct Detached {
  struct promise_type {
    Detached get_return_object() {
      return Detached{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
  explicit Detached(std::coroutine_handle<promise_type> h) : handle(h) {}
  Detached(Detached&& other) noexcept : handle(std::exchange(other.handle, {})) {}
  Detached& operator=(Detached&&) = delete;
  ~Detached() {
    if (handle) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;
};

TEST(Coroutine, OtherKindsMayAwaitToo) {
  Promise<int> promise;
  int seen = 0;
  const auto own = [](Future<int> future, int& into) -> Detached {
    into = (co_await std::move(future)).value();
  };
  const auto running = own(promise.future(), seen);
  promise.set(6);
  EXPECT_EQ(seen, 6);
  EXPECT_TRUE(running.handle.done());
}

TEST(Coroutine, OtherKindsAreLeftToTheirOwnersWhenTheExecutorGoes) {
  Promise<int> promise(std::make_shared<const detail::CallbackContext>(
      detail::CallbackContext{[](const Task&) {}, {}}));
  const auto own = [](Future<int> future) -> Detached {
    (void)co_await std::move(future);
  };
  const auto running = own(promise.future());
  promise.set(6);
  EXPECT_FALSE(running.handle.done());  // and is destroyed once, by its owner
}

}  // namespace
