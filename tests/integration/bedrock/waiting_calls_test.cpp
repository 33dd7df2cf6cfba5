// What becomes of calls that end while they wait: for their turn, or for credentials. There may be
// any number of them, so nothing of them may stay behind.
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "bedrock/bedrock_loop.hpp"
#include "bedrock/converse.hpp"
#include "integration/bedrock/bedrock_fixture.hpp"

namespace valkeycache::test {
namespace {

// A client's loop without the client.
class BedrockWaitingCalls : public BedrockTest {
 protected:
  void SetUp() override { ASSERT_TRUE(detail::HttpEngine::initialize()); }
  void TearDown() override {
    if (!thread_.joinable()) return;
    loop_->close();
    thread_.join();
  }

  void start(BedrockOptions options, bool runs = true) {
    auto resolved = detail::resolve_options(
        std::move(options), [](std::string_view) -> std::optional<std::string> { return {}; });
    ASSERT_TRUE(ok(resolved));
    config_ = std::make_shared<const detail::BedrockConfig>(*std::move(resolved));
    loop_ = std::make_shared<detail::BedrockLoop>(config_, detail::BedrockSeams{});
    if (runs) run();
  }
  void run() {
    thread_ = std::thread([loop = loop_] { loop->run(); });
  }
  struct Submitted {
    std::weak_ptr<detail::BedrockCall> call;
    Future<Completion> answer;
  };
  Submitted submit(std::chrono::milliseconds timeout = 1min) {
    auto call = std::make_shared<detail::BedrockCall>(loop_->context());
    call->target = detail::model_target("", sonnet, detail::converse_operation);
    call->body = ChatRequest(guide_question).to_json();
    call->timeout = timeout;
    call->deadline = std::chrono::steady_clock::now() + timeout;
    Submitted submitted{call, call->promise.future()};
    FutureAccess::set_helper(submitted.answer, loop_.get());
    EXPECT_TRUE(loop_->submit(std::move(call)));
    return submitted;
  }
  void expect_that_others_are_forgotten() {
    auto cancelled = submit();
    loop_->cancel(cancelled.call.lock());
    EXPECT_TRUE(fails_with(cancelled.answer.get(), ErrorCode::cancelled));
    EXPECT_TRUE(wait_until([&] { return cancelled.call.expired(); }));
    auto late = submit(20ms);
    EXPECT_TRUE(fails_with(late.answer.get(), ErrorCode::timeout));
    EXPECT_TRUE(wait_until([&] { return late.call.expired(); }));
  }

  std::shared_ptr<const detail::BedrockConfig> config_;
  std::shared_ptr<detail::BedrockLoop> loop_;
  std::thread thread_;
};

// Nobody carries calls before the client's thread has begun, however eager he is.
TEST_F(BedrockWaitingCalls, ThoseFromBeforeTheThreadRunsAreAnsweredByIt) {
  start(options(), false);
  std::vector<Submitted> early;
  for (int i = 0; i < 10; ++i) early.push_back(submit());
  EXPECT_TRUE(fails_with(early.back().answer.get(10ms), ErrorCode::not_ready));
  run();
  for (auto& one : early) EXPECT_TRUE(ok(one.answer.get(patience)));
}

TEST_F(BedrockWaitingCalls, ThoseForTheirTurnAreForgottenWhenTheyEnd) {
  auto narrow = options();
  narrow.max_concurrent = 1;
  start(narrow);
  server_.hold();
  auto first = submit();
  EXPECT_TRUE(wait_until([this] { return server_.stats().in_flight == 1; }));

  expect_that_others_are_forgotten();
  EXPECT_FALSE(first.answer.ready());
  server_.release();
  EXPECT_TRUE(ok(first.answer.get()));
}

TEST_F(BedrockWaitingCalls, ThoseForCredentialsAreForgottenWhenTheyEnd) {
  const auto provider = std::make_shared<SlowProvider>();
  auto hanging = options();
  hanging.credentials.reset();
  hanging.credentials_provider = provider;
  start(hanging);
  auto first = submit();
  EXPECT_TRUE(provider->asked.wait());

  expect_that_others_are_forgotten();
  EXPECT_FALSE(first.answer.ready());
  provider->gate.open();
  EXPECT_TRUE(ok(first.answer.get()));
}

}  // namespace
}  // namespace valkeycache::test
