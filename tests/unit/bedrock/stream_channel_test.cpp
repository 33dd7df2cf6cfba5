// A stream's queue between two threads: its bound, its order, its ends.
#include "bedrock/stream_channel.hpp"

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "support/valkey/gate.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache {
namespace {

using detail::CallbackContext;
using detail::StreamChannel;
using detail::StreamDelivery;
using test::fails_with;
using test::ok;

// Tasks that run when a test says so.
class Tasks {
 public:
  Executor executor() {
    return [this](Task task) {
      tasks_.push_back(std::move(task));
    };
  }
  // Runs those that there are, and those that come of them.
  int run() {
    int count = 0;
    for (; !tasks_.empty(); ++count) {
      auto task = std::move(tasks_.front());
      tasks_.erase(tasks_.begin());
      task();
    }
    return count;
  }
  std::vector<Task> tasks_;
};

class StreamChannelTest : public testing::Test {
 protected:
  std::shared_ptr<StreamChannel> make(Executor executor, StreamHandler handler) {
    const auto context =
        std::make_shared<const CallbackContext>(CallbackContext{.executor = std::move(executor)});
    delivery_ = std::make_shared<StreamDelivery>(context);
    Promise<Completion> promise(context);
    future_ = promise.future();
    return std::make_shared<StreamChannel>(StreamChannel::Setup{.promise = std::move(promise),
                                                                .handler = std::move(handler),
                                                                .stop = stop_.get_token(),
                                                                .delivery = delivery_,
                                                                .on_room = [this] { ++rooms_; },
                                                                .on_give_up =
                                                                    [this] {
                                                                      ++given_up_;
                                                                    }});
  }
  void TearDown() override {
    if (delivery_) delivery_->close(true, std::chrono::steady_clock::now() + test::patience);
  }
  static std::vector<StreamEvent> text(std::string text) {
    std::vector<StreamEvent> events(1);
    events[0].text = std::move(text);
    return events;
  }
  static Completion completion() { return {.text = "all", .stop_reason = "end_turn"}; }

  std::stop_source stop_;
  std::shared_ptr<StreamDelivery> delivery_;
  Future<Completion> future_;
  std::atomic<int> rooms_{0};
  std::atomic<int> given_up_{0};
};

TEST_F(StreamChannelTest, HandsOverInOrderAndEndsAfterTheLast) {
  Tasks tasks;
  std::string seen;
  const auto channel =
      make(tasks.executor(), [&](const StreamEvent& event) { seen += event.text; });
  channel->push(text("a"));
  channel->push(text("b"));
  EXPECT_EQ(tasks.tasks_.size(), 1u) << "one turn for what waits";
  channel->end(completion());
  EXPECT_EQ(seen, "") << "nothing happens on the thread that pushes";
  EXPECT_FALSE(future_.ready());
  tasks.run();
  EXPECT_EQ(seen, "ab");
  EXPECT_TRUE(ok(future_.get()));
  EXPECT_EQ(given_up_, 0);
}

TEST_F(StreamChannelTest, IsFullAtItsBoundAndTellsOfRoomAtHalfOfIt) {
  Tasks tasks;
  const auto channel = make(tasks.executor(), [](const StreamEvent&) {});
  int pushed = 0;
  while (channel->has_room()) {
    channel->push(text(std::string(1000, 'x')));
    ++pushed;
  }
  EXPECT_GE(channel->queued_bytes(), StreamChannel::max_queued_bytes);
  EXPECT_LT(channel->queued_bytes(), StreamChannel::max_queued_bytes + 2000);
  EXPECT_GT(pushed, 200);
  EXPECT_EQ(rooms_, 0);
  auto first = std::move(tasks.tasks_.front());
  tasks.tasks_.clear();
  first();  // some, then another turn
  EXPECT_EQ(rooms_, 0);
  EXPECT_EQ(tasks.tasks_.size(), 1u);
  EXPECT_FALSE(channel->has_room() && channel->queued_bytes() > StreamChannel::max_queued_bytes);
  tasks.run();
  EXPECT_EQ(channel->queued_bytes(), 0u);
  EXPECT_TRUE(channel->has_room());
  channel->end(completion());
  tasks.run();
  EXPECT_TRUE(ok(future_.get()));
}

TEST_F(StreamChannelTest, TellsOfRoomOnce) {
  Tasks tasks;
  const auto channel = make(tasks.executor(), [](const StreamEvent&) {});
  while (channel->has_room()) channel->push(text(std::string(1000, 'x')));
  tasks.run();
  EXPECT_EQ(rooms_, 1);
  channel->push(text("more"));
  tasks.run();
  EXPECT_EQ(rooms_, 1) << "nobody was waiting";
  channel->end(completion());
  tasks.run();
}

TEST_F(StreamChannelTest, WhatTheServiceSaysLastComesAfterTheEvents) {
  Tasks tasks;
  std::string seen;
  const auto channel =
      make(tasks.executor(), [&](const StreamEvent& event) { seen += event.text; });
  channel->push(text("a"));
  channel->end(Error{.code = ErrorCode::model_error, .message = "it ended"});
  tasks.run();
  EXPECT_EQ(seen, "a");
  EXPECT_TRUE(fails_with(future_.get(), ErrorCode::model_error));
}

TEST_F(StreamChannelTest, TheEndOfTheCallDropsWhatWaits) {
  for (const auto code : {ErrorCode::cancelled, ErrorCode::timeout, ErrorCode::closed}) {
    Tasks tasks;
    std::string seen;
    const auto channel =
        make(tasks.executor(), [&](const StreamEvent& event) { seen += event.text; });
    channel->push(text("a"));
    channel->end(Error{.code = code, .message = "it ended"});
    tasks.run();
    EXPECT_EQ(seen, "");
    EXPECT_TRUE(fails_with(future_.get(), code));
  }
}

TEST_F(StreamChannelTest, AHandlerThatThrowsEndsIt) {
  Tasks tasks;
  int calls = 0;
  const auto channel = make(tasks.executor(), [&](const StreamEvent&) {
    ++calls;
    throw std::runtime_error("hunter2");
  });
  channel->push(text("a"));
  channel->push(text("b"));
  tasks.run();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(given_up_, 1);
  EXPECT_FALSE(future_.ready()) << "the exchange is under way still";
  channel->push(text("c"));
  channel->end(Error{.code = ErrorCode::cancelled, .message = "it ended"});
  tasks.run();
  EXPECT_EQ(calls, 1);
  const auto result = future_.get();
  EXPECT_TRUE(fails_with(result, ErrorCode::callback_failed));
  EXPECT_TRUE(result.error().maybe_applied);
}

TEST_F(StreamChannelTest, StoppingIsSeenBetweenTwoEvents) {
  Tasks tasks;
  int calls = 0;
  const auto channel = make(tasks.executor(), [&](const StreamEvent&) {
    ++calls;
    stop_.request_stop();
  });
  channel->push(text("a"));
  channel->push(text("b"));
  channel->end(completion());
  tasks.run();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(fails_with(future_.get(), ErrorCode::cancelled));
}

TEST_F(StreamChannelTest, AnExecutorThatDropsItsTasksAbandonsIt) {
  Tasks tasks;
  const auto channel = make(tasks.executor(), [](const StreamEvent&) { FAIL(); });
  channel->push(text("a"));
  tasks.tasks_.clear();
  EXPECT_EQ(given_up_, 1);
  channel->end(Error{.code = ErrorCode::cancelled, .message = "it ended"});
  EXPECT_TRUE(tasks.tasks_.empty());
  EXPECT_TRUE(fails_with(future_.get(), ErrorCode::abandoned));
}

TEST_F(StreamChannelTest, TheLastTurnMayBeDroppedToo) {
  Tasks tasks;
  const auto channel = make(tasks.executor(), [](const StreamEvent&) {});
  channel->end(completion());
  tasks.tasks_.clear();
  EXPECT_TRUE(fails_with(future_.get(), ErrorCode::abandoned));
}

TEST_F(StreamChannelTest, AnExecutorThatThrowsIsReplaced) {
  test::Gate handled;
  const auto channel = make([](Task) { throw std::runtime_error("full"); },
                            [&](const StreamEvent&) { handled.open(); });
  channel->push(text("a"));
  EXPECT_TRUE(handled.wait());
  channel->end(completion());
  EXPECT_TRUE(ok(future_.get()));
}

TEST_F(StreamChannelTest, TheHandlerIsGoneOnceTheFutureIsReady) {
  auto owner = std::make_shared<int>(2);
  const std::weak_ptr<int> owned = owner;
  const auto other = make({}, [owner = std::move(owner)](const StreamEvent&) {});
  other->push(text("a"));
  other->end(completion());
  EXPECT_TRUE(ok(future_.get()));
  EXPECT_TRUE(owned.expired());
}

TEST_F(StreamChannelTest, TheOwnThreadRunsStreamsInTurns) {
  std::atomic<int> sum{0};
  const auto context = std::make_shared<const CallbackContext>();
  delivery_ = std::make_shared<StreamDelivery>(context);
  std::vector<std::shared_ptr<StreamChannel>> channels;
  std::vector<Future<Completion>> futures;
  for (int i = 0; i < 20; ++i) {
    Promise<Completion> promise(context);
    futures.push_back(promise.future());
    channels.push_back(std::make_shared<StreamChannel>(
        StreamChannel::Setup{.promise = std::move(promise),
                             .handler = [&](const StreamEvent&) { ++sum; },
                             .stop = {},
                             .delivery = delivery_,
                             .on_room = [] {},
                             .on_give_up =
                                 [] {
                                 }}));
  }
  std::vector<std::thread> threads;
  for (const auto& channel : channels) {
    threads.emplace_back([channel] {
      for (int i = 0; i < 200; ++i) channel->push(text("x"));
      channel->end(completion());
    });
  }
  for (auto& thread : threads) thread.join();
  for (auto& future : futures) EXPECT_TRUE(ok(future.get()));
  EXPECT_EQ(sum, 4000);
}

TEST_F(StreamChannelTest, TheEndOfTheClientEndsIt) {
  test::Gate entered;
  test::Gate go_on;
  int calls = 0;
  const auto channel = make({}, [&](const StreamEvent&) {
    ++calls;
    entered.open();
    go_on.wait();
  });
  channel->push(text("a"));
  channel->push(text("b"));
  channel->end(completion());
  EXPECT_TRUE(entered.wait());
  // Does not wait for the handler where it must not.
  delivery_->close(false, std::chrono::steady_clock::now());
  go_on.open();
  EXPECT_TRUE(fails_with(future_.get(), ErrorCode::closed));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace valkeycache
