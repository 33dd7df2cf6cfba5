#include <valkeycache/future.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/io_thread.hpp"

namespace {

using namespace valkeycache;
using namespace std::chrono_literals;
using detail::IoThreadScope;

Error refused() {
  return {.code = ErrorCode::throttled, .message = "slow down"};
}
template <class T>
ErrorCode code_of(const Result<T>& result) {
  EXPECT_FALSE(result);
  return result ? ErrorCode{} : result.error().code;
}

static_assert(!std::is_copy_constructible_v<Future<int>>);
static_assert(std::is_nothrow_move_constructible_v<Future<int>>);
static_assert(!std::is_copy_constructible_v<Promise<int>>);

// --- get

TEST(Future, GetGivesTheResultOnce) {
  Promise<std::string> promise;
  auto future = promise.future();
  EXPECT_TRUE(future.valid());
  EXPECT_FALSE(future.ready());
  EXPECT_TRUE(promise.set(Result<std::string>("x")));
  EXPECT_TRUE(future.ready());
  EXPECT_EQ(future.get().value(), "x");
  EXPECT_FALSE(future.valid());
  EXPECT_FALSE(future.ready());
  EXPECT_EQ(code_of(future.get()), ErrorCode::consumed);
  EXPECT_EQ(code_of(future.get(1ms)), ErrorCode::consumed);
}

TEST(Future, OfNothingAndOfMoveOnlyThings) {
  Promise<void> done;
  auto future = done.future();
  done.set(Result<void>());
  EXPECT_TRUE(future.get());
  Promise<std::unique_ptr<int>> owner;
  auto owned = owner.future();
  owner.set(std::make_unique<int>(4));
  EXPECT_EQ(*owned.get().value(), 4);
}

TEST(Future, DefaultMadeAndMovedFromAreConsumed) {
  Future<int> none;
  EXPECT_FALSE(none.valid());
  EXPECT_EQ(code_of(none.get()), ErrorCode::consumed);
  auto ready = make_ready_future<int>(1);
  const auto moved = std::move(ready);
  EXPECT_TRUE(moved.valid());
  EXPECT_EQ(code_of(ready.get()),  // NOLINT(bugprone-use-after-move): defined
            ErrorCode::consumed);
}

TEST(Future, TheFirstSetWins) {
  Promise<int> promise;
  auto future = promise.future();
  EXPECT_TRUE(promise.set(1));
  EXPECT_FALSE(promise.set(2));
  EXPECT_FALSE(promise.set(refused()));
  EXPECT_EQ(future.get().value(), 1);
}

TEST(Future, AnUnkeptPromiseIsAbandoned) {
  Future<int> future;
  {
    Promise<int> promise;
    future = promise.future();
  }
  const auto result = future.get();
  EXPECT_EQ(code_of(result), ErrorCode::abandoned);
  EXPECT_TRUE(result.error().maybe_applied);

  Promise<int> replaced;
  auto first = replaced.future();
  replaced = Promise<int>();
  EXPECT_EQ(code_of(first.get()), ErrorCode::abandoned);
  auto second = replaced.future();
  auto& self = replaced;
  replaced = std::move(self);
  EXPECT_FALSE(second.ready());
  Promise<int> taker(std::move(replaced));
  EXPECT_FALSE(replaced.set(1));  // NOLINT(bugprone-use-after-move): defined
  EXPECT_TRUE(taker.set(2));
  EXPECT_EQ(second.get().value(), 2);
}

TEST(Future, GetWithATimeoutLeavesItValid) {
  Promise<int> promise;
  auto future = promise.future();
  EXPECT_EQ(code_of(future.get(1ms)), ErrorCode::not_ready);
  EXPECT_EQ(code_of(future.get(0ms)), ErrorCode::not_ready);
  EXPECT_EQ(code_of(future.get(-5s)), ErrorCode::not_ready);
  EXPECT_EQ(code_of(future.get(std::chrono::duration<double>(0.001))), ErrorCode::not_ready);
  EXPECT_TRUE(future.valid());
  promise.set(3);
  EXPECT_EQ(future.get(0ms).value(), 3);
  EXPECT_FALSE(future.valid());
}

TEST(Future, GetWithAnEndlessTimeoutWaits) {
  for (int i = 0; i < 3; ++i) {
    Promise<int> promise;
    auto future = promise.future();
    std::thread setter([&] { promise.set(3); });
    EXPECT_EQ((i == 0   ? future.get(std::chrono::hours::max())
               : i == 1 ? future.get(std::chrono::nanoseconds::max())
                        : future.get(std::chrono::duration<double>(1e30)))
                  .value(),
              3);
    setter.join();
  }
}

TEST(Future, AfterATimeoutItCanStillBeContinued) {
  Promise<int> promise;
  auto future = promise.future();
  EXPECT_EQ(code_of(future.get(1ms)), ErrorCode::not_ready);
  auto next = std::move(future).then([](Result<int> x) { return x.value() + 1; });
  promise.set(3);
  EXPECT_EQ(next.get().value(), 4);
}

TEST(Future, GetOnAnIoThreadRefusesToWait) {
  Promise<int> promise;
  auto future = promise.future();
  {
    const IoThreadScope scope;
    EXPECT_TRUE(detail::on_io_thread());
    EXPECT_EQ(code_of(future.get()), ErrorCode::would_deadlock);
    EXPECT_EQ(code_of(future.get(1h)), ErrorCode::would_deadlock);
    EXPECT_TRUE(future.valid());
    { const IoThreadScope nested; }
    EXPECT_TRUE(detail::on_io_thread());
    std::thread([] { EXPECT_FALSE(detail::on_io_thread()); }).join();
  }
  EXPECT_FALSE(detail::on_io_thread());
  promise.set(1);
  const IoThreadScope scope;
  EXPECT_EQ(future.get().value(), 1);  // nothing to wait for
}

TEST(Future, ADroppedOneDetaches) {
  Promise<std::shared_ptr<int>> promise;
  const auto value = std::make_shared<int>(1);
  { const auto dropped = promise.future(); }
  EXPECT_TRUE(promise.set(value));
  { const Promise<std::shared_ptr<int>> gone = std::move(promise); }
  EXPECT_EQ(value.use_count(), 1);
}

// --- then

TEST(Then, MapsValuesAndErrors) {
  EXPECT_EQ(make_ready_future<int>(2)
                .then([](Result<int> x) { return std::to_string(x.value()); })
                .get()
                .value(),
            "2");
  EXPECT_EQ(code_of(make_ready_future<int>(refused()).then([](Result<int> x) { return x; }).get()),
            ErrorCode::throttled);
  EXPECT_EQ(code_of(make_ready_future<int>(1)
                        .then([](Result<int>) -> Result<std::string> { return refused(); })
                        .get()),
            ErrorCode::throttled);
  int seen = 0;
  Future<void> done = make_ready_future<int>(5).then([&](Result<int> x) { seen = x.value(); });
  EXPECT_TRUE(done.get());
  EXPECT_EQ(seen, 5);
}

TEST(Then, RunsOnceWhenTheResultComes) {
  Promise<int> promise;
  int runs = 0;
  auto next = promise.future().then([&](Result<int> x) {
    ++runs;
    return x.value() * 2;
  });
  EXPECT_EQ(runs, 0);
  promise.set(21);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(next.get().value(), 42);
}

TEST(Then, RunsWhereTheResultIsSet) {
  Promise<int> promise;
  std::thread::id where;
  auto next = promise.future().then([&](Result<int>) { where = std::this_thread::get_id(); });
  std::thread::id setter_id;
  std::thread setter([&] {
    setter_id = std::this_thread::get_id();
    promise.set(1);
  });
  setter.join();
  EXPECT_TRUE(next.get());
  EXPECT_EQ(where, setter_id);
}

TEST(Then, OfAReadyFutureRunsHere) {
  std::thread::id where;
  auto next =
      make_ready_future<int>(1).then([&](Result<int>) { where = std::this_thread::get_id(); });
  EXPECT_TRUE(next.ready());
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST(Then, ConsumesTheFuture) {
  auto future = make_ready_future<int>(1);
  auto next = future.then([](Result<int> x) { return x; });
  EXPECT_FALSE(future.valid());
  EXPECT_EQ(code_of(future.get()), ErrorCode::consumed);
  EXPECT_EQ(code_of(future.then([](Result<int> x) { return x; }).get()), ErrorCode::consumed);
  EXPECT_TRUE(next.get());
}

TEST(Then, ChainsAndIsNotStoppedByDroppingTheEnd) {
  Promise<int> promise;
  std::vector<int> seen;
  {
    const auto dropped = promise.future()
                             .then([&](Result<int> x) {
                               seen.push_back(x.value());
                               return x.value() + 1;
                             })
                             .then([&](Result<int> x) {
                               seen.push_back(x.value());
                               return x.value() + 1;
                             })
                             .then([&](Result<int> x) { seen.push_back(x.value()); });
  }
  promise.set(1);
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
}

TEST(Then, AnAbandonedPromiseIsToldToIt) {
  Future<int> next;
  {
    Promise<int> promise;
    next = promise.future().then([](Result<int> x) { return x; });
  }
  EXPECT_EQ(code_of(next.get()), ErrorCode::abandoned);
}

TEST(Then, TakesMoveOnlyCallablesAndResults) {
  auto next = make_ready_future<std::unique_ptr<int>>(std::make_unique<int>(1))
                  .then([extra = std::make_unique<int>(2)](Result<std::unique_ptr<int>> x) {
                    *x.value() += *extra;
                    return std::move(x).value();
                  });
  EXPECT_EQ(**next.get(), 3);
}

TEST(Then, WhatTheCallbackOwnsGoesWithIt) {
  const auto owned = std::make_shared<int>(1);
  Promise<int> promise;
  auto next = promise.future().then([owned](Result<int> x) { return x; });
  EXPECT_EQ(owned.use_count(), 2);
  promise.set(1);
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_TRUE(next.get());
}

// --- callbacks that throw

struct Log {
  std::vector<std::string> lines;
  std::vector<LogLevel> levels;
  std::shared_ptr<const detail::CallbackContext> context(Executor executor = {}) {
    return std::make_shared<const detail::CallbackContext>(
        detail::CallbackContext{std::move(executor), [this](const LogRecord& record) {
                                  lines.emplace_back(record.message);
                                  levels.push_back(record.level);
                                  EXPECT_EQ(record.component, "future");
                                }});
  }
};

TEST(Then, ACallbackThatThrowsIsAnErrorAndIsLogged) {
  Log log;
  Promise<int> promise(log.context());
  auto next =
      promise.future().then([](Result<int>) -> int { throw std::runtime_error("the prompt"); });
  promise.set(1);
  const auto result = next.get();
  EXPECT_EQ(code_of(result), ErrorCode::callback_failed);
  EXPECT_EQ(result.error().message.find("prompt"), std::string::npos);
  ASSERT_EQ(log.lines.size(), 1U);
  EXPECT_EQ(log.lines[0].find("prompt"), std::string::npos);
  EXPECT_EQ(log.levels[0], LogLevel::error);
}

TEST(Then, OneThatThrowsSomethingOddIsAnErrorToo) {
  auto next = make_ready_future<int>(1).then([](Result<int>) -> int { throw 7; });
  EXPECT_EQ(code_of(next.get()), ErrorCode::callback_failed);
}

TEST(Then, ValueOfAnErrorIsAFailedCallback) {
  auto next = make_ready_future<int>(refused()).then([](Result<int> x) { return x.value(); });
  EXPECT_EQ(code_of(next.get()), ErrorCode::callback_failed);
}

TEST(Then, AFailedCallbackBreaksNothingBehindIt) {
  auto next = make_ready_future<int>(1)
                  .then([](Result<int>) -> int { throw std::runtime_error("x"); })
                  .then([](Result<int> x) { return x ? 0 : 7; });
  EXPECT_EQ(next.get().value(), 7);
}

TEST(LogHook, OneThatThrowsIsNobodysFailure) {
  Promise<int> promise(std::make_shared<const detail::CallbackContext>(
      detail::CallbackContext{{}, [](const LogRecord&) {
                                throw std::runtime_error("x");
                              }}));
  auto next = promise.future().then([](Result<int>) -> int { throw std::runtime_error("y"); });
  promise.set(1);
  EXPECT_EQ(code_of(next.get()), ErrorCode::callback_failed);
}

// --- continuations that hold an I/O thread

TEST(Hold, IsToldToTheLogOnAnIoThreadOnly) {
  Log log;
  const auto run = [&] {
    Promise<int> promise(log.context());
    auto next = promise.future()
                    .then([](Result<int> x) {
                      std::this_thread::sleep_for(12ms);
                      return x;
                    })
                    .then([](Result<int> x) { return x; });
    promise.set(1);
    EXPECT_TRUE(next.get());
  };
  run();
  EXPECT_TRUE(log.lines.empty());
  {
    const IoThreadScope scope;
    run();
  }
  ASSERT_EQ(log.lines.size(), 1U);
  EXPECT_EQ(log.levels[0], LogLevel::warning);
  EXPECT_NE(log.lines[0].find("held the library's I/O thread"), std::string::npos);
}

// --- for code of the library

TEST(FutureAccess, OnReadyRunsPastTheExecutor) {
  int tasks = 0;
  const auto context = std::make_shared<const detail::CallbackContext>(
      detail::CallbackContext{[&](Task) { ++tasks; }, {}});
  Promise<int> promise(context);
  int seen = 0;
  FutureAccess::on_ready(promise.future(), [&](Result<int> x) { seen = x.value(); });
  promise.set(4);
  EXPECT_EQ(seen, 4);
  Promise<int> early(context);
  auto ready = early.future();
  early.set(5);
  FutureAccess::on_ready(std::move(ready), [&](Result<int> x) { seen = x.value(); });
  EXPECT_EQ(seen, 5);
  EXPECT_EQ(tasks, 0);
  FutureAccess::on_ready(Future<int>(),
                         [&](Result<int> x) { EXPECT_EQ(code_of(x), ErrorCode::consumed); });
}

}  // namespace
