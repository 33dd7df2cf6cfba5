// Concurrency, cancellation, deadlines, and the end of things.
#include <atomic>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/io_thread.hpp"
#include "integration/bedrock/bedrock_fixture.hpp"
#include "integration/bedrock/threads_named.hpp"
#include "support/fork_at_rest.hpp"

namespace valkeycache::test {
namespace {

class BedrockLife : public BedrockTest {
 protected:
  std::vector<Future<Completion>> ask_many(BedrockClient& bedrock, int count,
                                           const CallOptions& call_options = {}) {
    std::vector<Future<Completion>> futures;
    for (int i = 0; i < count; ++i) {
      futures.push_back(bedrock.complete(ChatRequest("prompt " + std::to_string(i)), call_options));
    }
    return futures;
  }
  bool wait_in_flight(std::size_t count) {
    return wait_until([this, count] { return server_.stats().in_flight == count; });
  }
};

TEST_F(BedrockLife, ManyCallsOnOneThread) {
  auto roomy = options();
  roomy.max_concurrent = 500;
  auto bedrock = client(roomy);
  server_.hold();
  auto futures = ask_many(bedrock, 500);
  EXPECT_TRUE(wait_in_flight(500));
  EXPECT_EQ(threads_named("vkc-bedrock"), 1u);
  EXPECT_EQ(threads_named("vkc-credentials"), 0u) << "static credentials need no thread";
  server_.release();
  for (std::size_t i = 0; i < futures.size(); ++i) {
    const auto answer = futures[i].get();
    ASSERT_TRUE(ok(answer));
    EXPECT_NE(answer->text.find("prompt " + std::to_string(i)), std::string::npos);
  }
}

TEST_F(BedrockLife, ManyThreadsShareOneClient) {
  auto bedrock = client();
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&good, bedrock]() mutable {
      for (int j = 0; j < 20; ++j) good += bedrock.complete(ChatRequest("x")).get().has_value();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 160);
}

TEST_F(BedrockLife, CallsBeyondTheLimitWaitTheirTurn) {
  auto narrow = options();
  narrow.max_concurrent = 4;
  auto bedrock = client(narrow);
  server_.hold();
  auto futures = ask_many(bedrock, 20);
  EXPECT_TRUE(wait_in_flight(4));
  server_.release();
  for (auto& future : futures) EXPECT_TRUE(ok(future.get()));
  EXPECT_EQ(server_.stats().max_in_flight, 4u);
  EXPECT_EQ(server_.calls(), 20u);
}

TEST_F(BedrockLife, WaitingForATurnCountsAgainstTheDeadline) {
  auto narrow = options();
  narrow.max_concurrent = 1;
  auto bedrock = client(narrow);
  server_.hold();
  auto first = bedrock.complete(ChatRequest("first"));
  EXPECT_TRUE(wait_in_flight(1));
  const auto second = bedrock.complete(ChatRequest("second"), {.timeout = 50ms}).get();
  EXPECT_TRUE(fails_with(second, ErrorCode::timeout));
  EXPECT_FALSE(second.error().maybe_applied) << "it was never sent";
  server_.release();
  EXPECT_TRUE(ok(first.get()));
  EXPECT_EQ(server_.calls(), 1u);
}

TEST_F(BedrockLife, CancellingClosesTheExchange) {
  auto bedrock = client();
  server_.hold();
  std::stop_source stop;
  auto cancelled = bedrock.complete(ChatRequest("x"), {.stop_token = stop.get_token()});
  auto other = bedrock.complete(ChatRequest("y"));
  EXPECT_TRUE(wait_in_flight(2));
  stop.request_stop();
  const auto answer = cancelled.get();
  EXPECT_TRUE(fails_with(answer, ErrorCode::cancelled));
  EXPECT_TRUE(answer.error().maybe_applied);
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 1; }));
  server_.release();
  EXPECT_TRUE(ok(other.get())) << "other calls are untouched";
}

TEST_F(BedrockLife, CancelledBeforeItBegan) {
  auto bedrock = client();
  std::stop_source stop;
  stop.request_stop();
  const auto answer = ask(bedrock, {.stop_token = stop.get_token()});
  EXPECT_TRUE(fails_with(answer, ErrorCode::cancelled));
  EXPECT_FALSE(answer.error().maybe_applied);
  EXPECT_EQ(server_.calls(), 0u);
}

TEST_F(BedrockLife, CancelledWhileItWaitsForItsTurn) {
  auto narrow = options();
  narrow.max_concurrent = 1;
  auto bedrock = client(narrow);
  server_.hold();
  auto first = bedrock.complete(ChatRequest("first"));
  EXPECT_TRUE(wait_in_flight(1));
  std::stop_source stop;
  auto second = bedrock.complete(ChatRequest("second"), {.stop_token = stop.get_token()});
  stop.request_stop();
  EXPECT_TRUE(fails_with(second.get(), ErrorCode::cancelled));
  server_.release();
  EXPECT_TRUE(ok(first.get()));
}

TEST_F(BedrockLife, CancelledWhileItBacksOff) {
  random_ = 1;
  auto bedrock = client();
  server_.add_fault(faults::throttled(60s));
  std::stop_source stop;
  auto future = bedrock.complete(ChatRequest("x"), {.stop_token = stop.get_token()});
  EXPECT_TRUE(wait_until([this] { return log_.count("attempt 1 of 3") == 1; }));
  stop.request_stop();
  EXPECT_TRUE(fails_with(future.get(), ErrorCode::cancelled));
  EXPECT_EQ(server_.calls(), 1u);
}

TEST_F(BedrockLife, CancellingAfterTheAnswerIsNothing) {
  auto bedrock = client();
  std::stop_source stop;
  EXPECT_TRUE(ok(ask(bedrock, {.stop_token = stop.get_token()})));
  stop.request_stop();
  EXPECT_TRUE(ok(ask(bedrock)));
}

TEST_F(BedrockLife, ADroppedFutureDetaches) {
  auto bedrock = client();
  { auto dropped = bedrock.complete(ChatRequest("x")); }
  EXPECT_TRUE(wait_until([this] { return server_.stats().answers == 1; }));
}

TEST_F(BedrockLife, TheEndOfTheClientEndsItsCalls) {
  std::vector<Future<Completion>> futures;
  server_.hold();
  {
    auto narrow = options();
    narrow.max_concurrent = 2;
    auto bedrock = client(narrow);
    auto copy = bedrock;
    futures = ask_many(bedrock, 5);
    EXPECT_TRUE(wait_in_flight(2));
  }
  for (auto& future : futures) {
    EXPECT_TRUE(future.ready());
    EXPECT_TRUE(fails_with(future.get(), ErrorCode::closed));
  }
  EXPECT_TRUE(wait_until([] { return threads_named("vkc-bedrock") == 0; }));
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 2; }));
}

// For as long as it lives nothing more can be opened.
class NoDescriptors {
 public:
  NoDescriptors() {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

TEST_F(BedrockLife, NoDescriptorsNoClient) {
  ASSERT_TRUE(ok(try_client(options())));  // what is made once per process is made
  const auto refused = [this] {
    const NoDescriptors none;
    return try_client(options());
  }();
  EXPECT_TRUE(fails_with(refused, ErrorCode::overloaded));
  EXPECT_TRUE(refused.error().retryable);
  EXPECT_TRUE(ok(try_client(options())));
}

TEST_F(BedrockLife, AMovedFromClientSaysSo) {
  auto bedrock = client();
  const auto taken = std::move(bedrock);
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::closed));  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(bedrock.cache_identity().scope, "");             // NOLINT(bugprone-use-after-move)
}

TEST_F(BedrockLife, ContinuationsRunOnTheThreadOfTheClient) {
  auto bedrock = client();
  server_.hold();
  auto nested = bedrock.complete(ChatRequest("x")).then([&](Result<Completion> answer) {
    EXPECT_TRUE(ok(answer));
    EXPECT_TRUE(detail::on_io_thread());
    // To wait here would be to wait for oneself.
    return fails_with(bedrock.complete(ChatRequest("y")).get(), ErrorCode::would_deadlock) &&
           threads_named("vkc-bedrock") == 1;
  });
  EXPECT_TRUE(wait_in_flight(1));
  server_.release();
  EXPECT_TRUE(nested.get().value());
}

TEST_F(BedrockLife, ContinuationsRunOnTheExecutor) {
  std::mutex mutex;
  std::vector<Task> tasks;
  auto with_executor = options();
  with_executor.executor = [&](Task task) {
    const std::lock_guard lock(mutex);
    tasks.push_back(std::move(task));
  };
  auto bedrock = client(with_executor);
  const auto here = std::this_thread::get_id();
  bool same_thread = false;
  auto future = bedrock.complete(ChatRequest("x")).then([&](Result<Completion> answer) {
    same_thread = std::this_thread::get_id() == here;
    return answer.has_value();
  });
  EXPECT_TRUE(wait_until([&] {
    const std::lock_guard lock(mutex);
    return !tasks.empty();
  }));
  for (auto& task : tasks) task();
  EXPECT_TRUE(future.get().value());
  EXPECT_TRUE(same_thread);
}

TEST_F(BedrockLife, TheLastHandleMayGoInACallback) {
  Gate done;
  // Nobody waits for the thread then, nor for what it may have to tell.
  auto without_log = options();
  without_log.log = {};
  {
    auto bedrock = std::make_shared<BedrockClient>(client(without_log));
    server_.hold();
    auto& handle = *bedrock;
    auto call = handle.complete(ChatRequest("x"))
                    .then([&done, bedrock = std::move(bedrock)](Result<Completion> answer) mutable {
                      EXPECT_TRUE(ok(answer));
                      bedrock.reset();
                      done.open();
                    });
    EXPECT_TRUE(wait_in_flight(1));
    server_.release();
  }
  EXPECT_TRUE(done.wait());
  EXPECT_TRUE(wait_until([] { return threads_named("vkc-bedrock") == 0; }));
}

TEST_F(BedrockLife, ASlowContinuationIsReported) {
  auto bedrock = client();
  server_.hold();
  auto future = bedrock.complete(ChatRequest("x")).then([](const Result<Completion>&) {
    std::this_thread::sleep_for(30ms);
  });
  EXPECT_TRUE(wait_in_flight(1));
  server_.release();
  EXPECT_TRUE(ok(future.get()));
  EXPECT_TRUE(wait_until([this] { return log_.count("held the Bedrock thread") == 1; }));
}

TEST_F(BedrockLife, AThrowingContinuationBreaksNothing) {
  auto bedrock = client();
  auto future = bedrock.complete(ChatRequest("x")).then([](const Result<Completion>&) -> int {
    throw std::runtime_error("hunter2");
  });
  EXPECT_TRUE(fails_with(future.get(), ErrorCode::callback_failed));
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(log_.count("hunter2"), 0u);
}

// --- credentials that take their time -----------------------------------------------------------

TEST_F(BedrockLife, ProviderMayBlock) {
  const auto provider = std::make_shared<SlowProvider>();
  auto slow = options();
  slow.credentials.reset();
  slow.credentials_provider = provider;
  auto bedrock = client(slow);
  const auto late = bedrock.complete(ChatRequest("x"), {.timeout = 50ms}).get();
  EXPECT_TRUE(fails_with(late, ErrorCode::timeout));
  EXPECT_NE(late.error().message.find("credentials"), std::string::npos);
  auto patient = bedrock.complete(ChatRequest("y"));
  provider->gate.open();
  EXPECT_TRUE(ok(patient.get()));
  EXPECT_EQ(server_.calls(), 1u);
}

TEST_F(BedrockLife, AProviderThatHangsHoldsUpNobody) {
  const auto provider = std::make_shared<SlowProvider>();
  auto slow = options();
  slow.credentials.reset();
  slow.credentials_provider = provider;
  Future<Completion> future;
  {
    auto bedrock = client(slow);
    future = bedrock.complete(ChatRequest("x"));
    EXPECT_TRUE(provider->asked.wait());
  }
  EXPECT_TRUE(fails_with(future.get(), ErrorCode::closed));
  provider->gate.open();
  EXPECT_TRUE(wait_until([] { return threads_named("vkc-credentials") == 0; }));
}

// --- fork ---------------------------------------------------------------------------------------

TEST_F(BedrockLife, AChildProcessMayNeitherUseNorHarmIt) {
  auto bedrock = std::make_unique<BedrockClient>(client());
  ASSERT_TRUE(ok(ask(*bedrock)));
  server_.hold();
  auto under_way = bedrock->complete(ChatRequest("x"));
  EXPECT_TRUE(wait_in_flight(1));
  const pid_t child = fork_at_rest();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto answer = bedrock->complete(ChatRequest("y")).get();
    const bool forked = !answer && answer.error().code == ErrorCode::forked;
    bedrock.reset();  // joins nothing and sends nothing
    _exit(forked ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  server_.release();
  EXPECT_TRUE(ok(under_way.get()));
  EXPECT_TRUE(ok(ask(*bedrock))) << "the parent goes on";
  EXPECT_EQ(server_.stats().connections, 1u);
}

}  // namespace
}  // namespace valkeycache::test
