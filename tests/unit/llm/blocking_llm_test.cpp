#include "llm/blocking_llm.hpp"

#include <valkeycache/llm.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <latch>
#include <memory>
#include <semaphore>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/io_thread.hpp"
#include "llm/thread_pool.hpp"

namespace {

using namespace valkeycache;
using namespace std::chrono_literals;

// Functions that wait at it until it opens.
class Gate {
 public:
  void open(std::ptrdiff_t count = 1) { gate_.release(count); }
  void wait() { gate_.acquire(); }

 private:
  std::counting_semaphore<> gate_{0};
};

ErrorCode code_of(Result<Completion> answer) {
  EXPECT_FALSE(answer);
  return answer ? ErrorCode{} : answer.error().code;
}

TEST(BlockingLlm, CallsRunSideBySide) {
  constexpr int calls = 16;
  std::latch all(calls);  // each waits for all the others
  const auto llm = make_text_llm({}, [&](const ChatRequest&) {
    all.arrive_and_wait();
    return std::string("x");
  });
  std::vector<Future<Completion>> futures;
  for (int i = 0; i < calls; ++i) futures.push_back(llm->complete(ChatRequest("a"), {}));
  for (auto& future : futures) EXPECT_TRUE(future.get());
}

TEST(BlockingLlm, CompleteDoesNotBlockAndRunsElsewhere) {
  Gate gate;
  std::thread::id where;
  const auto llm = make_text_llm({}, [&](const ChatRequest&) {
    where = std::this_thread::get_id();
    gate.wait();
    return std::string("x");
  });
  auto future = llm->complete(ChatRequest("a"), {});
  EXPECT_EQ(future.get(1ms).error().code, ErrorCode::not_ready);
  gate.open();
  EXPECT_TRUE(future.get());
  EXPECT_NE(where, std::this_thread::get_id());
}

std::ptrdiff_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

TEST(BlockingLlm, NeverMoreThanItsThreads) {
  if (!std::filesystem::exists("/proc/self/task")) GTEST_SKIP() << "no list of threads here";
  constexpr std::ptrdiff_t calls = 200;
  Gate gate;
  const auto llm = make_text_llm({}, [&](const ChatRequest&) {
    gate.wait();
    return std::string("x");
  });
  std::vector<Future<Completion>> futures;
  for (std::ptrdiff_t i = 0; i < calls; ++i) {
    futures.push_back(llm->complete(ChatRequest("a"), {}));
  }
  // Threads begin inside complete(). Beside the pool there may be this one, the timer, a
  // sanitizer's.
  const auto limit = static_cast<std::ptrdiff_t>(detail::ThreadPool::max_threads);
  EXPECT_GE(threads_of_this_process(), limit);
  EXPECT_LE(threads_of_this_process(), limit + 3);
  gate.open(calls);
  for (auto& future : futures) EXPECT_TRUE(future.get());
}

TEST(BlockingLlm, TooManyWaitingCallsAreRefused) {
  constexpr auto threads = detail::ThreadPool::max_threads;
  constexpr auto waiting = detail::ThreadPool::max_waiting;
  std::latch busy(static_cast<std::ptrdiff_t>(threads));
  std::atomic<std::size_t> started{0};
  std::atomic<bool> open{false};
  const auto llm = make_text_llm({}, [&](const ChatRequest&) {
    if (started++ < threads) busy.count_down();
    open.wait(false);
    return std::string("x");
  });
  const ChatRequest request("a");
  std::vector<Future<Completion>> futures;
  for (std::size_t i = 0; i < threads; ++i) futures.push_back(llm->complete(request, {}));
  busy.wait();
  for (std::size_t i = 0; i < waiting; ++i) futures.push_back(llm->complete(request, {}));
  EXPECT_EQ(code_of(llm->complete(request, {}).get()), ErrorCode::overloaded);
  open = true;
  open.notify_all();
  for (auto& future : futures) ASSERT_TRUE(future.get());
  EXPECT_TRUE(llm->complete(request, {}).get());
}

TEST(BlockingLlm, TheDeadlineEndsACallWhoseFunctionGoesOn) {
  Gate gate;
  std::atomic<bool> returned{false};
  auto llm = make_text_llm({}, [&](const ChatRequest&) {
    gate.wait();
    returned = true;
    return std::string("x");
  });
  const auto answer = llm->complete(ChatRequest("a"), {.timeout = 10ms}).get();
  EXPECT_EQ(code_of(answer), ErrorCode::timeout);
  EXPECT_TRUE(answer.error().retryable);
  EXPECT_FALSE(returned);
  gate.open();
}

TEST(BlockingLlm, AnAnswerInTimeIsNoTimeout) {
  const auto llm = make_text_llm({}, [](const ChatRequest&) { return std::string("x"); });
  EXPECT_TRUE(llm->complete(ChatRequest("a"), {.timeout = 1h}).get());
  EXPECT_TRUE(llm->complete(ChatRequest("a"), {.timeout = std::chrono::milliseconds::max()}).get());
}

TEST(BlockingLlm, AStopEndsACallButNotOnTheStoppersThread) {
  Gate gate;
  const auto llm = make_text_llm({}, [&](const ChatRequest&) {
    gate.wait();
    return std::string("x");
  });
  std::stop_source stop;
  std::thread::id where;
  auto future = llm->complete(ChatRequest("a"), {.stop_token = stop.get_token()})
                    .then([&](Result<Completion> answer) {
                      where = std::this_thread::get_id();
                      EXPECT_TRUE(detail::on_io_thread());
                      return answer;
                    });
  stop.request_stop();
  EXPECT_EQ(code_of(future.get()), ErrorCode::cancelled);
  EXPECT_NE(where, std::this_thread::get_id());
  gate.open();
}

TEST(BlockingLlm, ACallCancelledWhileItWaitsNeverRuns) {
  constexpr auto threads = static_cast<std::ptrdiff_t>(detail::ThreadPool::max_threads);
  Gate gate;
  std::latch busy(threads);
  std::atomic<bool> ran{false};
  const auto llm = make_text_llm({}, [&](const ChatRequest& request) {
    if (request.model() == "late") {
      ran = true;
    } else if (request.model() == "block") {
      busy.count_down();
      gate.wait();
    }
    return std::string("x");
  });
  std::vector<Future<Completion>> blocking;
  for (std::ptrdiff_t i = 0; i < threads; ++i) {
    blocking.push_back(llm->complete(ChatRequest("a").model("block"), {}));
  }
  busy.wait();
  std::stop_source stop;
  auto late = llm->complete(ChatRequest("a").model("late"), {.stop_token = stop.get_token()});
  stop.request_stop();
  EXPECT_EQ(code_of(late.get()), ErrorCode::cancelled);
  auto last = llm->complete(ChatRequest("a").model("last"), {});  // comes behind it
  gate.open(threads);
  EXPECT_TRUE(last.get());
  for (auto& future : blocking) EXPECT_TRUE(future.get());
  EXPECT_FALSE(ran);
}

TEST(BlockingLlm, DestructionEndsCallsAndWaitsForFunctions) {
  Gate gate;
  std::latch running(1);
  std::atomic<bool> returned{false};
  auto llm = make_text_llm({}, [&](const ChatRequest&) {
    running.count_down();
    gate.wait();
    returned = true;
    return std::string("x");
  });
  auto future = llm->complete(ChatRequest("a"), {});
  running.wait();
  std::atomic<bool> destroyed{false};
  std::thread destroyer([&] {
    llm.reset();
    EXPECT_TRUE(returned);
    destroyed = true;
  });
  EXPECT_EQ(code_of(future.get()), ErrorCode::closed);
  EXPECT_FALSE(destroyed);
  gate.open();
  destroyer.join();
  EXPECT_TRUE(destroyed);
}

TEST(BlockingLlm, MayBeDestroyedByItsOwnContinuation) {
  Gate gate;
  auto owned = std::make_shared<int>(1);
  auto llm = make_text_llm({}, [&gate, owned = std::move(owned)](const ChatRequest&) {
    gate.wait();  // until there is a continuation
    return std::to_string(*owned);
  });
  auto& model = *llm;
  auto future = model.complete(ChatRequest("a"), {})
                    .then([llm = std::move(llm)](Result<Completion> answer) mutable {
                      EXPECT_TRUE(detail::ThreadPool::on_pool_thread());
                      llm.reset();
                      return answer;
                    });
  gate.open();
  EXPECT_EQ(future.get().value().text, "1");
}

TEST(BlockingLlm, ALibraryThreadThatDestroysItWaitsForNoFunction) {
  for (const bool on_pool : {true, false}) {
    struct Gates {
      Gate first;
      Gate second;
    };
    const auto gates = std::make_shared<Gates>();  // shared with a function that is left behind
    auto llm = make_text_llm({}, [gates](const ChatRequest& request) {
      (request.model() == "first" ? gates->first : gates->second).wait();
      return std::string("x");
    });
    auto running = llm->complete(ChatRequest("a").model("second"), {});
    if (on_pool) {
      auto& model = *llm;
      auto done = model.complete(ChatRequest("a").model("first"), {})
                      .then([llm = std::move(llm)](Result<Completion>) mutable { llm.reset(); });
      gates->first.open();
      EXPECT_TRUE(done.get());
    } else {
      const detail::IoThreadScope scope;
      llm.reset();
    }
    EXPECT_EQ(code_of(running.get()), ErrorCode::closed);  // though its function goes on
    gates->second.open();
  }
}

TEST(BlockingLlm, ManyCallsFromManyThreads) {
  const auto llm = make_text_llm({}, [](const ChatRequest& request) { return request.model(); });
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const auto name = std::to_string(t) + '/' + std::to_string(i);
        std::stop_source stop;
        auto future = llm->complete(
            ChatRequest("a").model(name),
            {.timeout = i % 3 == 0 ? 1ms : 1000000ms, .stop_token = stop.get_token()});
        if (i % 5 == 0) stop.request_stop();
        const auto answer = future.get();
        if (answer) {
          EXPECT_EQ(answer->text, name);
        } else {
          EXPECT_TRUE(answer.error().code == ErrorCode::timeout ||
                      answer.error().code == ErrorCode::cancelled);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
