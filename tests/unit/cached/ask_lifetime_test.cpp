// Threads, executors, coroutines, and handles that go while calls are under way.
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/fork_at_rest.hpp"
#include "support/valkey/fake_server.hpp"
#include "support/valkey/gate.hpp"
#include "unit/cached/ask_support.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using test::adds_up;
using test::answer_of;
using test::cached;
using test::fails_with;
using test::FakeLlm;
using test::FakeServer;
using test::fresh_cache;
using test::Gate;
using test::ok;
using test::patience;
using test::settled;
using test::wait_until;

// Runs tasks on a thread of its own.
class OneThread {
 public:
  OneThread() : thread_([this] { run(); }) {}
  ~OneThread() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

  [[nodiscard]] Executor executor() {
    return [this](Task task) {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
      changed_.notify_all();
    };
  }
  [[nodiscard]] std::thread::id id() const { return thread_.get_id(); }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return done_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool done_ = false;
  std::thread thread_;
};

TEST(AskThreads, AThousandAtOnce) {
  constexpr int threads = 8;
  constexpr int each = 125;
  const auto cache = fresh_cache();
  const auto model = std::make_shared<FakeLlm>([](const ChatRequest& request, const CallOptions&) {
    return make_ready_future<Completion>(answer_of("to " + request.as_triple()->prompt));
  });
  const auto llm = cached(cache, model);
  std::atomic<int> right{0};
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      std::vector<std::pair<std::string, Future<CachedAnswer>>> asked;
      for (int i = 0; i < each; ++i) {
        auto prompt = "question " + std::to_string((t * each + i) % 100);
        auto answer = llm.ask(prompt);
        asked.emplace_back(std::move(prompt), std::move(answer));
      }
      for (auto& [prompt, answer] : asked) {
        const auto result = answer.get(patience);
        if (result && result->response == "to " + prompt) ++right;
      }
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(right, threads * each);
  ASSERT_TRUE(settled(cache));
  ASSERT_TRUE(wait_until([&] { return adds_up(llm.stats()); }));
  EXPECT_EQ(llm.stats().calls, 1000U);
}

TEST(AskThreads, ContinuationsRunOnTheExecutor) {
  OneThread thread;
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model, {.advanced = {.executor = thread.executor()}});
  const auto where = [](const Result<CachedAnswer>&) {
    return std::this_thread::get_id();
  };
  EXPECT_EQ(llm.ask("x").then(where).get(patience).value(), thread.id());
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(llm.ask("x").then(where).get(patience).value(), thread.id()) << "a hit";
  EXPECT_EQ(llm.ask("").then(where).get(patience).value(), thread.id()) << "ready from the start";
}

TEST(AskThreads, AnExecutorOfTheCacheDoesNotHoldUpACall) {
  // Nobody ever runs what this executor is given: as with an event loop whose thread is in get().
  std::vector<Task> never_run;
  std::mutex mutex;
  const Executor busy = [&](Task task) {
    const std::lock_guard lock(mutex);
    never_run.push_back(std::move(task));
  };
  const auto cache = fresh_cache({.executor = busy});
  CachedLlmOptions options;
  options.advanced.executor = busy;
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")), options);
  EXPECT_TRUE(ok(llm.ask("x").get(patience)));
}

TEST(AskThreads, AnExecutorThatThrowsLosesNoAnswer) {
  const auto llm = cached(fresh_cache(), FakeLlm::saying(answer_of("a")),
                          {.advanced = {.executor = [](Task) {
                             throw std::runtime_error("queue full");
                           }}});
  const auto result =
      llm.ask("x").then([](Result<CachedAnswer> r) { return r.has_value(); }).get(patience);
  ASSERT_TRUE(ok(result));
  EXPECT_TRUE(*result);
}

Future<std::string> twice(const CachedLlm& llm) {
  const auto first = co_await llm.ask("x");
  if (!first) co_return first.error();
  const auto second = co_await llm.ask("y");
  if (!second) co_return second.error();
  co_return first->response + second->response;
}

TEST(AskThreads, Coroutines) {
  const auto llm = cached(fresh_cache(), FakeLlm::saying(answer_of("a")));
  EXPECT_EQ(twice(llm).get(patience).value(), "aa");
}

TEST(AskThreads, DroppedFuturesDetach) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  const auto llm = cached(cache, model);
  { const auto dropped = llm.ask("x"); }
  ASSERT_TRUE(model->wait_for_calls(1));
  model->answer(0, answer_of("a"));
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(llm.ask("x").get()->cached) << "the work went on";
}

// --- handles that go ---

TEST(AskLifetime, CallsWaitingForTheModelEndClosed) {
  const auto model = FakeLlm::manual();
  const auto cache = fresh_cache();
  std::optional<CachedLlm> llm = cached(cache, model);
  auto answer = llm->ask("x");
  auto with_deadline = llm->ask("y", {.timeout = 1h});
  ASSERT_TRUE(model->wait_for_calls(2));
  llm.reset();
  EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::closed));
  EXPECT_TRUE(fails_with(with_deadline.get(patience), ErrorCode::closed));
  // What comes now belongs to nobody.
  model->answer(0, answer_of("late"));
  model->answer(1, answer_of("late"));
}

TEST(AskLifetime, CallsWaitingForTheCacheEndClosed) {
  Gate let_go;
  FakeServer server([&](test::FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      if ((*command)[0] == "GET") let_go.wait();
      if (!connection.write((*command)[0] == "GET" ? "_\r\n" : "+PONG\r\n")) return;
    }
  });
  const auto model = FakeLlm::saying(answer_of("a"));
  auto cache = ValkeyCache::open(server.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
  std::optional<CachedLlm> llm = cached(cache, model, {.advanced = {.command_timeout = 1h}});
  auto answer = llm->ask("x");
  ASSERT_TRUE(wait_until([&] { return server.commands_after_handshake().size() == 2; }));
  llm.reset();
  let_go.open();
  EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::closed));
  EXPECT_EQ(model->calls(), 0U);
}

TEST(AskLifetime, TheLastHandlesGoWhileALookupHangs) {
  FakeServer mute([](test::FakeConnection& connection) {
    if (connection.read_after_handshake()) {
      connection.write("+PONG\r\n");
      connection.swallow();
    }
  });
  Future<CachedAnswer> answer;
  {
    auto cache = ValkeyCache::open(mute.uri()).value();
    ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
    const auto llm =
        cached(std::move(cache), FakeLlm::manual(), {.advanced = {.command_timeout = 1h}});
    answer = llm.ask("x");
  }
  EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::closed));
}

TEST(AskLifetime, AHitNeedsNoHandle) {
  Gate let_go;
  const auto model = FakeLlm::saying(answer_of("a"));
  std::string stored;
  {
    const auto cache = fresh_cache();
    const auto llm = cached(cache, model);
    ASSERT_TRUE(ok(llm.ask("x").get()));
    ASSERT_TRUE(settled(cache));
    stored = cache.get(llm.key_of("x").value()).get().value().value();
  }
  FakeServer server([&](test::FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      if ((*command)[0] == "GET") let_go.wait();
      if (!connection.write((*command)[0] == "GET" ? test::bulk(stored) : "+PONG\r\n")) return;
    }
  });
  const auto cache = ValkeyCache::open(server.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
  std::optional<CachedLlm> llm = cached(cache, model, {.advanced = {.command_timeout = 1h}});
  auto answer = llm->ask("x");
  llm.reset();
  let_go.open();
  const auto result = answer.get(patience);
  ASSERT_TRUE(ok(result));
  EXPECT_TRUE(result->cached);
}

TEST(AskLifetime, ACallbackMayDropTheLastHandle) {
  for (const bool hit : {false, true}) {
    auto cache = std::make_unique<ValkeyCache>(fresh_cache());
    auto llm = std::make_shared<CachedLlm>(cached(*cache, FakeLlm::saying(answer_of("a"))));
    if (hit) {
      ASSERT_TRUE(ok(llm->ask("x").get()));
      ASSERT_TRUE(settled(*cache));
    }
    auto& asked = *llm;
    auto next = asked.ask("x").then(
        [llm = std::move(llm), cache = std::move(cache)](const Result<CachedAnswer>& r) mutable {
          cache.reset();
          llm.reset();
          return r.has_value();
        });
    const auto result = next.get(patience);
    ASSERT_TRUE(ok(result));
    EXPECT_TRUE(*result);
  }
}

TEST(AskLifetime, ACallbackOfACancelledCallMayDropTheLastHandle) {
  const auto model = FakeLlm::manual();
  std::stop_source stop;
  auto llm = std::make_shared<CachedLlm>(cached(fresh_cache(), model));
  auto& asked = *llm;
  auto next = asked.ask("x", {.stop_token = stop.get_token()})
                  .then([llm = std::move(llm)](const Result<CachedAnswer>& r) mutable {
                    llm.reset();
                    return r.has_value();
                  });
  ASSERT_TRUE(model->wait_for_calls(1));
  stop.request_stop();
  const auto result = next.get(patience);
  ASSERT_TRUE(ok(result));
  EXPECT_FALSE(*result);
}

TEST(AskLifetime, CopiesShareOneCore) {
  const auto cache = fresh_cache();
  std::optional<CachedLlm> first = cached(cache, FakeLlm::saying(answer_of("a")));
  const CachedLlm second = *first;
  ASSERT_TRUE(ok(first->ask("x").get()));
  first.reset();
  EXPECT_TRUE(ok(second.ask("y").get()));
  EXPECT_EQ(second.stats().calls, 2U);
  EXPECT_TRUE(settled(cache));
}

TEST(AskLifetime, HandlesComeAndGoOnManyThreads) {
  std::vector<std::thread> workers;
  std::atomic<int> ended{0};
  constexpr int threads = 4;
  constexpr int rounds = 50;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        const auto model = FakeLlm::manual();
        std::stop_source stop;
        Future<CachedAnswer> answer;
        {
          const auto llm = cached(fresh_cache(), model);
          answer = llm.ask("x", {.timeout = 1h, .stop_token = stop.get_token()});
          if (i % 3 == 0) {
            EXPECT_TRUE(model->wait_for_calls(1));
          }
          if (i % 3 == 1) stop.request_stop();
        }
        if (!answer.get(patience)) ++ended;
      }
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(ended, threads * rounds);
}

// The child of a fork() has neither the threads nor the connection.
TEST(AskLifetime, TheChildOfAForkGetsAnError) {
  auto cache = std::make_unique<ValkeyCache>(fresh_cache());
  const auto model = FakeLlm::manual();
  auto llm = std::make_unique<CachedLlm>(cached(*cache, model));
  auto pending = llm->ask("x", {.timeout = 1h});
  ASSERT_TRUE(model->wait_for_calls(1));
  const auto child = test::fork_at_rest();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto answer = llm->ask("y").get();
    const bool refused = !answer && answer.error().code == ErrorCode::forked;
    llm.reset();  // joins nothing, locks nothing, sends nothing
    cache.reset();
    _exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  model->answer(0, answer_of("a"));
  EXPECT_TRUE(ok(pending.get(patience))) << "the parent goes on";
}

}  // namespace
}  // namespace valkeycache
