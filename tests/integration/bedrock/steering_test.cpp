// A thread that is alone and waits carries its calls by itself; nobody else may be held up by that.
#include <atomic>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

#include <gtest/gtest.h>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "support/sanitized.hpp"

namespace valkeycache::test {
namespace {

std::string name_of_this_thread() {
  char name[16] = "";
  pthread_getname_np(pthread_self(), name, sizeof name);
  return name;
}

class BedrockSteering : public BedrockTest {
 protected:
  // Without a log hook, so that a call may be sent by its caller.
  [[nodiscard]] BedrockClient quiet_client() {
    auto quiet = options();
    quiet.log = {};
    return client(quiet);
  }
  static ChatRequest question() { return ChatRequest(guide_question).temperature(0.7); }

  // So many that this thread is taken for the only one, and is left to itself.
  void come_again_and_again(BedrockClient& bedrock) {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(ok(ask(bedrock)));
  }
};

TEST_F(BedrockSteering, ACallThatNobodyWaitsForIsAnsweredAllTheSame) {
  auto bedrock = quiet_client();
  for (int i = 0; i < 5; ++i) {
    come_again_and_again(bedrock);
    auto left_alone = bedrock.complete(question());
    EXPECT_TRUE(wait_until([&] { return left_alone.ready(); }));
    EXPECT_TRUE(ok(left_alone.get()));
  }
}

TEST_F(BedrockSteering, ACallThatNobodyWaitsForHasItsDeadline) {
  auto bedrock = quiet_client();
  for (int i = 0; i < 5; ++i) {
    come_again_and_again(bedrock);
    server_.hold();
    auto left_alone = bedrock.complete(question(), {.timeout = 50ms});
    EXPECT_TRUE(wait_until([&] { return left_alone.ready(); }));
    EXPECT_TRUE(fails_with(left_alone.get(), ErrorCode::timeout));
    server_.release();
  }
}

TEST_F(BedrockSteering, AContinuationRunsOnTheClientsThread) {
  auto bedrock = quiet_client();
  for (int i = 0; i < 5; ++i) {
    come_again_and_again(bedrock);
    server_.hold();  // a future that is ready already would go on here
    auto first = bedrock.complete(question()).then([](const Result<Completion>&) {
      return name_of_this_thread();
    });
    auto second = bedrock.complete(question());
    server_.release();
    EXPECT_TRUE(ok(second.get()));
    EXPECT_EQ(first.get(patience).value(), "vkc-bedrock");
  }
}

TEST_F(BedrockSteering, WhoTiresOfWaitingIsAnsweredLater) {
  auto bedrock = quiet_client();
  come_again_and_again(bedrock);
  server_.hold();
  auto answer = bedrock.complete(question());
  EXPECT_TRUE(fails_with(answer.get(20ms), ErrorCode::not_ready));
  server_.release();
  EXPECT_TRUE(wait_until([&] { return answer.ready(); }));
  EXPECT_TRUE(ok(answer.get()));
}

TEST_F(BedrockSteering, SomeWhoWaitInAnyOrder) {
  auto bedrock = quiet_client();
  come_again_and_again(bedrock);
  for (int i = 0; i < 5; ++i) {
    std::vector<Future<Completion>> answers(8);
    for (auto& answer : answers) answer = bedrock.complete(question());
    for (auto answer = answers.rbegin(); answer != answers.rend(); ++answer) {
      EXPECT_TRUE(ok(answer->get(patience)));
    }
  }
}

TEST_F(BedrockSteering, OneWhoWaitsForLongHoldsUpNobody) {
  auto bedrock = quiet_client();
  std::optional<Result<Completion>> late;
  Gate held;
  std::thread waiting([&] {
    come_again_and_again(bedrock);
    server_.hold();
    held.open();
    late = ask(bedrock);
  });
  ASSERT_TRUE(held.wait());
  ASSERT_TRUE(wait_until([this] { return server_.stats().in_flight == 1; }));
  auto hurried = bedrock.complete(question(), {.timeout = 30ms});
  EXPECT_TRUE(fails_with(hurried.get(patience), ErrorCode::timeout)) << "another's time goes by";
  std::stop_source stop;
  auto cancelled = bedrock.complete(question(), {.stop_token = stop.get_token()});
  ASSERT_TRUE(wait_until([this] { return server_.stats().in_flight == 2; }));
  stop.request_stop();
  EXPECT_TRUE(fails_with(cancelled.get(patience), ErrorCode::cancelled));
  server_.release();
  waiting.join();
  EXPECT_TRUE(ok(*late));
}

TEST_F(BedrockSteering, IsCancelledByAnother) {
  auto bedrock = quiet_client();
  come_again_and_again(bedrock);
  server_.hold();
  std::stop_source stop;
  std::thread canceller([&] {
    EXPECT_TRUE(wait_until([this] { return server_.stats().in_flight == 1; }));
    stop.request_stop();
  });
  auto answer = bedrock.complete(question(), {.stop_token = stop.get_token()});
  EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::cancelled));
  canceller.join();
  server_.release();
}

TEST_F(BedrockSteering, TheEndOfTheClientEndsTheWait) {
  std::optional<BedrockClient> bedrock = quiet_client();
  come_again_and_again(*bedrock);
  server_.hold();
  auto answer = bedrock->complete(question());
  std::thread destroyer([&] {
    EXPECT_TRUE(wait_until([this] { return server_.stats().in_flight == 1; }));
    bedrock.reset();
  });
  EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::closed));
  destroyer.join();
}

// What the hook does with the client must not wait for who waits for the hook.
TEST_F(BedrockSteering, ACallFromWithinACallbackIsRefusedRatherThanStuck) {
  std::atomic<int> refused{0};
  auto careless = options();
  std::optional<BedrockClient> bedrock;
  std::atomic<bool> asks{false};
  careless.header_callback = [&]() -> std::vector<std::pair<std::string, std::string>> {
    if (asks.exchange(false)) {
      const auto nested = bedrock->complete(question()).get();
      refused += !nested && nested.error().code == ErrorCode::would_deadlock ? 1 : 0;
    }
    return {};
  };
  bedrock = client(careless);
  for (int i = 0; i < 10; ++i) {
    come_again_and_again(*bedrock);
    asks = true;
    EXPECT_TRUE(ok(ask(*bedrock)));
  }
  EXPECT_EQ(refused, 10);
}

// It may hold a lock that the callback takes.
TEST_F(BedrockSteering, CompleteCallsNothingOfTheUsers) {
  static thread_local bool completing = false;
  std::atomic<int> inside{0}, called{0};
  auto with_callback = options();
  with_callback.header_callback = [&]() -> std::vector<std::pair<std::string, std::string>> {
    ++called;
    inside += completing ? 1 : 0;
    return {};
  };
  auto bedrock = client(with_callback);
  come_again_and_again(bedrock);
  for (int i = 0; i < 20; ++i) {
    completing = true;
    auto answer = bedrock.complete(question());
    completing = false;
    EXPECT_TRUE(ok(answer.get()));
  }
  EXPECT_EQ(called, 40);
  EXPECT_EQ(inside, 0);
}

TEST_F(BedrockSteering, ManyThreadsInAllWays) {
  auto bedrock = quiet_client();
  std::atomic<int> wrong{0}, answered{0};
  std::vector<std::thread> threads;
  for (unsigned number = 0; number < 3; ++number) {
    threads.emplace_back([&, number] {
      std::mt19937 random(number);
      for (int i = 0; i < (sanitized ? 60 : 200); ++i) {
        // Alone for a while, now and then.
        const int calls = random() % 4 == 0 ? 8 : 1;
        for (int call = 0; call < calls; ++call) {
          std::stop_source stop;
          auto answer = bedrock.complete(question(), {.stop_token = stop.get_token()});
          switch (random() % 4) {
            case 0:
              stop.request_stop();
              break;
            case 1:
              answer = answer.then([](Result<Completion> result) { return result; });
              break;
            case 2: {
              auto early = answer.get(std::chrono::microseconds(random() % 300));
              if (early) {
                ++answered;
                continue;
              }
              if (early.error().code != ErrorCode::not_ready) ++wrong;
              break;
            }
            default:
              break;
          }
          const auto result = answer.get(patience);
          if (result) {
            ++answered;
          } else if (result.error().code != ErrorCode::cancelled || !stop.stop_requested()) {
            ++wrong;
          }
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(answered, 0);
}

}  // namespace
}  // namespace valkeycache::test
