#include "valkey/pipeline.hpp"

#include <deque>
#include <string>

#include <gtest/gtest.h>

#include "probe_command.hpp"

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;
using detail::Command;
using detail::Pipeline;
using Effect = detail::Command::Effect;

class PipelineTest : public ::testing::Test {
 protected:
  Outcome& add(const std::string& key, Effect effect = Effect::none,
               detail::SteadyTime deadline = detail::SteadyTime::max()) {
    auto command = probe(outcomes_.emplace_back(), key, effect, deadline);
    last_ = command.get();
    pipeline_.add(std::move(command));
    return outcomes_.back();
  }
  // A command that is answered by two replies.
  Outcome& add_pair(const std::string& key) {
    auto command = probe(outcomes_.emplace_back(), key);
    command->request += detail::make_request({"PTTL", key});
    command->replies = 2;
    last_ = command.get();
    pipeline_.add(std::move(command));
    return outcomes_.back();
  }
  std::string send_all() {
    std::string all;
    for (auto bytes = pipeline_.to_send(); !bytes.empty(); bytes = pipeline_.to_send()) {
      all += bytes;
      pipeline_.sent(bytes.size());
    }
    return all;
  }
  static Error gone() {
    return {.code = ErrorCode::connection_lost, .message = "gone", .retryable = true};
  }

  const detail::SteadyTime now_ = detail::SteadyTime::clock::now();
  std::deque<Outcome> outcomes_;
  detail::Counters counters_;
  Pipeline pipeline_{{.value_bytes = 1000, .reply_bytes = 2000}, counters_, now_};
  Command* last_ = nullptr;
};

TEST_F(PipelineTest, SendsInOrderAndMatchesRepliesInOrder) {
  auto& a = add("a");
  auto& b = add("b");
  pipeline_.connected();
  EXPECT_EQ(send_all(), detail::make_request({"GET", "a"}) + detail::make_request({"GET", "b"}));
  EXPECT_EQ(pipeline_.feed(bulk("of a") + bulk("of b")), Pipeline::Fed::fine);
  EXPECT_EQ(a.published, 0) << "outcomes are published together, later";
  pipeline_.publish();
  EXPECT_EQ(a.reply->text, "of a");
  EXPECT_EQ(b.reply->text, "of b");
  EXPECT_EQ(a.published, 1);
  EXPECT_TRUE(pipeline_.idle());
  EXPECT_EQ(pipeline_.load(), 0U);
  EXPECT_EQ(pipeline_.load_bytes(), 0U);
}

TEST_F(PipelineTest, RepliesMayBeSplitAtEveryByte) {
  const auto bytes = bulk("of a") + std::string("$-1\r\n") + bulk("of c");
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    auto& a = add("a");
    auto& b = add("b");
    auto& c = add("c");
    pipeline_.connected();
    send_all();
    ASSERT_EQ(pipeline_.feed(std::string_view(bytes).substr(0, cut)), Pipeline::Fed::fine);
    ASSERT_EQ(pipeline_.feed(std::string_view(bytes).substr(cut)), Pipeline::Fed::fine);
    pipeline_.publish();
    EXPECT_EQ(a.reply->text, "of a");
    EXPECT_EQ(b.reply->type, detail::Reply::Type::nil);
    EXPECT_EQ(c.reply->text, "of c");
  }
}

TEST_F(PipelineTest, ACancelledCommandLeavesItsSlotSoThatRepliesDoNotShift) {
  add("a");
  auto* first = last_;
  auto& b = add("b");
  pipeline_.connected();
  send_all();
  pipeline_.fail(*first, {.code = ErrorCode::cancelled, .message = "c"});
  pipeline_.publish();
  EXPECT_EQ(outcomes_[0].error->code, ErrorCode::cancelled);
  EXPECT_EQ(pipeline_.slots_in_flight(), 2U);
  pipeline_.feed(bulk("of a") + bulk("of b"));
  pipeline_.publish();
  EXPECT_FALSE(outcomes_[0].reply);
  EXPECT_EQ(outcomes_[0].published, 1);
  EXPECT_EQ(b.reply->text, "of b");
}

TEST_F(PipelineTest, ACommandCancelledWhileWaitingIsNeverSent) {
  add("a");
  auto* first = last_;
  auto& b = add("b");
  pipeline_.fail(*first, {.code = ErrorCode::cancelled, .message = "c"});
  pipeline_.publish();
  pipeline_.connected();
  EXPECT_EQ(send_all(), detail::make_request({"GET", "b"}));
  pipeline_.feed(bulk("of b"));
  pipeline_.publish();
  EXPECT_EQ(b.reply->text, "of b");
}

TEST_F(PipelineTest, ADeadlineEndsTheCommandAndKeepsTheOrder) {
  auto& a = add("a", Effect::change, now_ + 10ms);
  auto& b = add("b", Effect::none, now_ + 10s);
  pipeline_.connected();
  send_all();
  pipeline_.expire(now_ + 9ms, nullptr);
  EXPECT_FALSE(pipeline_.has_outcomes()) << "never early";
  pipeline_.expire(now_ + 15ms, nullptr);
  pipeline_.publish();
  EXPECT_EQ(a.error->code, ErrorCode::timeout);
  EXPECT_TRUE(a.error->maybe_applied) << "it was sent, and it writes";
  pipeline_.feed("+OK\r\n" + bulk("of b"));
  pipeline_.publish();
  EXPECT_EQ(b.reply->text, "of b");
  EXPECT_EQ(counters_.timeouts.get(), 1U);
}

TEST_F(PipelineTest, ADeadlineBeforeAConnectionTellsWhyThereIsNone) {
  auto& a = add("a", Effect::store, now_ + 10ms);
  const auto why = gone();
  pipeline_.expire(now_ + 20ms, &why);
  pipeline_.publish();
  EXPECT_EQ(a.error->code, ErrorCode::connection_lost);
  EXPECT_FALSE(a.error->maybe_applied);
  EXPECT_FALSE(pipeline_.has_stores());
}

TEST_F(PipelineTest, AfterALossReadsAreSentAgainOnceAndWritesEndAsMaybeApplied) {
  auto& read = add("r");
  auto& write = add("w", Effect::change);
  auto& later = add("l", Effect::change);
  pipeline_.connected();
  // The third command's bytes stay behind in the socket's buffer that was full.
  const auto first_two =
      detail::make_request({"GET", "r"}).size() + detail::make_request({"SET", "w", "v"}).size();
  ASSERT_GT(pipeline_.to_send().size(), first_two);
  pipeline_.sent(first_two);
  pipeline_.disconnected(gone());
  pipeline_.publish();
  EXPECT_FALSE(read.error);
  EXPECT_EQ(write.error->code, ErrorCode::connection_lost);
  EXPECT_TRUE(write.error->maybe_applied);
  EXPECT_FALSE(later.error) << "not one byte of it was sent";

  pipeline_.connected();
  EXPECT_EQ(send_all(),
            detail::make_request({"GET", "r"}) + detail::make_request({"SET", "l", "v"}));
  pipeline_.disconnected(gone());
  pipeline_.publish();
  EXPECT_EQ(read.error->code, ErrorCode::connection_lost) << "once is enough";
  EXPECT_TRUE(later.error->maybe_applied);
  EXPECT_TRUE(pipeline_.idle());
}

TEST_F(PipelineTest, AnAbandonedSlotDoesNotSurviveItsConnection) {
  add("a");
  pipeline_.connected();
  send_all();
  pipeline_.fail(*last_, {.code = ErrorCode::cancelled, .message = "c"});
  pipeline_.disconnected(gone());
  pipeline_.publish();
  auto& b = add("b");
  pipeline_.connected();
  send_all();
  pipeline_.feed(bulk("of b"));
  pipeline_.publish();
  EXPECT_EQ(b.reply->text, "of b");
}

TEST_F(PipelineTest, AReplyThatNobodyAskedForIsReported) {
  pipeline_.connected();
  EXPECT_EQ(pipeline_.feed("+OK\r\n"), Pipeline::Fed::unsolicited);
}

TEST_F(PipelineTest, AReplyThatCannotBeTheCommandsPutsAllThatFollowInDoubt) {
  auto& a = add("a");
  auto& b = add("b");
  pipeline_.connected();
  send_all();
  EXPECT_EQ(pipeline_.feed(":5\r\n" + bulk("of a")), Pipeline::Fed::malformed);
  pipeline_.disconnected(gone());
  pipeline_.publish();
  EXPECT_TRUE(a.reply);
  EXPECT_FALSE(b.reply) << "it would be another's";
  pipeline_.connected();
  EXPECT_EQ(send_all(), detail::make_request({"GET", "b"}));
}

TEST_F(PipelineTest, PushesAreNoReplies) {
  auto& a = add("a");
  pipeline_.connected();
  send_all();
  EXPECT_EQ(pipeline_.feed(">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n" + bulk("of a")),
            Pipeline::Fed::fine);
  pipeline_.publish();
  EXPECT_EQ(a.reply->text, "of a");
}

TEST_F(PipelineTest, AReplyOverTheLimitEndsItsCommandAndSparesTheOthers) {
  auto& large = add("large");
  auto& other = add("other");
  pipeline_.connected();
  send_all();
  EXPECT_EQ(pipeline_.feed("$1001\r\nx"), Pipeline::Fed::too_large);
  pipeline_.disconnected(gone());
  pipeline_.publish();
  EXPECT_EQ(large.error->code, ErrorCode::too_large);
  EXPECT_FALSE(other.error);
  pipeline_.connected();
  EXPECT_EQ(send_all(), detail::make_request({"GET", "other"}));
}

TEST_F(PipelineTest, ClosingSparesStoresOnly) {
  auto& read = add("r");
  auto& store = add("s", Effect::store);
  pipeline_.connected();
  send_all();
  auto& waiting = add("x");
  pipeline_.fail_all_but_stores({.code = ErrorCode::closed, .message = "closed"});
  pipeline_.publish();
  EXPECT_EQ(read.error->code, ErrorCode::closed);
  EXPECT_EQ(waiting.error->code, ErrorCode::closed);
  EXPECT_FALSE(store.error);
  EXPECT_TRUE(pipeline_.has_stores());
  pipeline_.feed(bulk("of r") + "+OK\r\n");
  pipeline_.publish();
  EXPECT_TRUE(store.reply);
  EXPECT_TRUE(pipeline_.idle());
}

TEST_F(PipelineTest, StoreEpochsTellWhichStoresAreDone) {
  add("a", Effect::store);
  const auto first = pipeline_.close_store_epoch();
  add("b", Effect::store);
  const auto second = pipeline_.close_store_epoch();
  pipeline_.connected();
  send_all();
  EXPECT_FALSE(pipeline_.stores_done_until(first));
  pipeline_.feed("+OK\r\n");
  EXPECT_TRUE(pipeline_.stores_done_until(first));
  EXPECT_FALSE(pipeline_.stores_done_until(second));
  pipeline_.feed("-OOM no\r\n");
  EXPECT_TRUE(pipeline_.stores_done_until(second)) << "well or badly";
}

TEST_F(PipelineTest, LoadCountsAbandonedSlotsUntilTheirRepliesCome) {
  add("a");
  pipeline_.connected();
  send_all();
  pipeline_.fail(*last_, {.code = ErrorCode::timeout, .message = "t"});
  EXPECT_EQ(pipeline_.load(), 1U);
  EXPECT_TRUE(pipeline_.idle()) << "nobody waits for it";
  pipeline_.feed("$-1\r\n");
  EXPECT_EQ(pipeline_.load(), 0U);
  EXPECT_EQ(pipeline_.load_bytes(), 0U);
}

TEST_F(PipelineTest, ACommandMayHaveTwoReplies) {
  auto& pair = add_pair("a");
  auto& b = add("b");
  pipeline_.connected();
  EXPECT_EQ(send_all(), detail::make_request({"GET", "a"}) + detail::make_request({"PTTL", "a"}) +
                            detail::make_request({"GET", "b"}));
  pipeline_.feed(bulk("of a"));
  EXPECT_FALSE(pipeline_.has_outcomes());
  EXPECT_EQ(pipeline_.slots_in_flight(), 2U);
  pipeline_.feed("+ttl\r\n" + bulk("of b"));
  pipeline_.publish();
  ASSERT_EQ(pair.early.size(), 1U);
  EXPECT_EQ(pair.early[0].text, "of a");
  EXPECT_EQ(pair.reply->text, "ttl");
  EXPECT_EQ(pair.published, 1);
  EXPECT_EQ(b.reply->text, "of b");
  EXPECT_EQ(pipeline_.load(), 0U);
}

TEST_F(PipelineTest, BothRepliesOfAnAbandonedPairAreDiscardedWhenEverItWasAbandoned) {
  for (const int replies_before : {0, 1}) {
    auto& pair = add_pair("a");
    auto* const command = last_;
    auto& b = add("b");
    pipeline_.connected();
    send_all();
    if (replies_before == 1) pipeline_.feed(bulk("of a"));
    pipeline_.fail(*command, {.code = ErrorCode::cancelled, .message = "c"});
    if (replies_before == 0) pipeline_.feed(bulk("of a"));
    pipeline_.feed("+ttl\r\n" + bulk("of b"));
    pipeline_.publish();
    EXPECT_FALSE(pair.reply);
    EXPECT_EQ(pair.error->code, ErrorCode::cancelled);
    EXPECT_EQ(pair.published, 1);
    EXPECT_EQ(b.reply->text, "of b") << replies_before;
    EXPECT_EQ(pipeline_.load(), 0U);
  }
}

TEST_F(PipelineTest, APairThatLostItsConnectionBetweenItsRepliesIsAskedForAgainWhole) {
  auto& pair = add_pair("a");
  pipeline_.connected();
  const auto both = send_all();
  pipeline_.feed(bulk("old"));
  pipeline_.disconnected(gone());
  pipeline_.connected();
  EXPECT_EQ(send_all(), both);
  pipeline_.feed(bulk("new") + "+ttl\r\n");
  pipeline_.publish();
  EXPECT_EQ(pair.early.back().text, "new");
  EXPECT_EQ(pair.reply->text, "ttl");
  EXPECT_FALSE(pair.error);
}

TEST_F(PipelineTest, AnEarlyReplyThatCannotBeThePairsPutsAllThatFollowInDoubt) {
  auto& pair = add_pair("a");
  auto& b = add("b");
  pipeline_.connected();
  send_all();
  EXPECT_EQ(pipeline_.feed(":5\r\n" + bulk("of a") + bulk("of b")), Pipeline::Fed::malformed);
  pipeline_.disconnected(gone());
  pipeline_.publish();
  EXPECT_EQ(pair.error->code, ErrorCode::protocol_error);
  EXPECT_FALSE(b.reply);
}

TEST_F(PipelineTest, AnErrorAmongTwoRepliesIsTheCommandsToCount) {
  add_pair("a");
  pipeline_.connected();
  send_all();
  pipeline_.feed(bulk("of a") + "-NOPERM no\r\n");
  EXPECT_EQ(counters_.errors.get(), 0U);
}

TEST_F(PipelineTest, WhatBecomesOfTheLibrarysOwnQuestionsIsNoCallersError) {
  auto now = now_;
  for (const bool internal : {true, false}) {
    const auto errors = counters_.errors.get();
    const auto timeouts = counters_.timeouts.get();
    std::vector<Outcome*> all;
    const auto ask = [&](detail::SteadyTime deadline = detail::SteadyTime::max()) {
      all.push_back(&add("a", Effect::change, deadline));
      last_->internal = internal;
    };
    ask(now + 5ms);
    pipeline_.expire(now += 10ms, nullptr);  // waiting
    pipeline_.connected();
    ask();
    send_all();
    pipeline_.feed("-ERR no\r\n");
    ask(now + 5ms);
    send_all();
    pipeline_.expire(now += 10ms, nullptr);  // in flight
    ask();
    send_all();
    pipeline_.disconnected(gone());
    pipeline_.publish();
    for (const auto* outcome : all) EXPECT_EQ(outcome->published, 1);
    EXPECT_EQ(counters_.errors.get() - errors, internal ? 0U : 4U);
    EXPECT_EQ(counters_.timeouts.get() - timeouts, internal ? 0U : 2U);
  }
}

}  // namespace
}  // namespace valkeycache::testing
