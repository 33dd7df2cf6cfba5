// Leases between CachedLlms that share a cache, as processes do.
#include <valkeycache/cached_llm.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

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
using test::fresh_cache;
using test::ok;
using test::patience;
using test::settled;
using test::wait_until;

CachedLlmOptions leasing(std::chrono::milliseconds lease = 1h) {
  CachedLlmOptions options;
  options.advanced.lease = lease;
  options.advanced.lease_life = 10h;
  return options;
}

CacheKey lease_of(const CachedLlm& llm) {
  const auto key = llm.key_of("x").value();
  return CacheKey::raw(key.namespaces(), key.text() + ":lease").value();
}

bool held(const ValkeyCache& cache, const CachedLlm& llm) {
  return cache.get(lease_of(llm)).get().value().has_value();
}

// By the first of two, as two processes are, whose model is being asked.
class LeaseHeld : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(model->wait_for_calls(1)); }

  const ValkeyCache cache = fresh_cache();
  const std::shared_ptr<FakeLlm> model = FakeLlm::manual();
  const CachedLlm first = cached(cache, model, leasing());
  const CachedLlm second = cached(cache, model, leasing());
  Future<CachedAnswer> holding = first.ask("x");
};

TEST_F(LeaseHeld, TwoCachesOneCall) {
  EXPECT_TRUE(held(cache, first));
  std::vector<Future<CachedAnswer>> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(second.ask("x"));
  model->answer(0, answer_of("a"));
  EXPECT_EQ(holding.get(patience)->source, AnswerSource::model);
  for (auto& future : waiting) {
    const auto answer = future.get(patience);
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(answer->response, "a");
    EXPECT_EQ(answer->source, AnswerSource::shared);
    EXPECT_EQ(answer->usage.total_tokens, 0);
    EXPECT_EQ(answer->avoided_usage.total_tokens, 18);
  }
  EXPECT_EQ(model->calls(), 1U);
  ASSERT_TRUE(settled(cache));
  EXPECT_FALSE(held(cache, first));
  EXPECT_EQ(first.stats().stored, 1U);
  EXPECT_EQ(second.stats().model_calls, 0U);
  for (const auto* llm : {&first, &second}) EXPECT_TRUE(adds_up(llm->stats()));
}

TEST_F(LeaseHeld, AnAnswerThatIsNotStoredSendsTheOthersToTheModel) {
  auto waiting = second.ask("x");
  auto with_it = second.ask("x");
  model->answer(0, answer_of("cut", "max_tokens"));
  EXPECT_EQ(holding.get(patience)->response, "cut");
  ASSERT_TRUE(model->wait_for_calls(2)) << "without a lease";
  auto later = first.ask("x");
  ASSERT_TRUE(model->wait_for_calls(3)) << "so does who comes while the mark stands";
  model->answer(1, answer_of("b"));
  model->answer(2, answer_of("c"));
  EXPECT_EQ(waiting.get(patience)->response, "b");
  EXPECT_EQ(with_it.get(patience)->response, "b");
  EXPECT_EQ(later.get(patience)->response, "c");
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(second.stats().stored, 1U);
  EXPECT_EQ(first.stats().rejected_superseded, 1U) << "the first one stands";
  for (const auto* llm : {&first, &second}) EXPECT_TRUE(adds_up(llm->stats()));
}

TEST_F(LeaseHeld, APythonEntryThatComesMeanwhileIsLeftAlone) {
  auto waiting = second.ask("x");
  ASSERT_TRUE(wait_until([&] { return second.stats().misses == 1; }));
  const auto key = second.key_of("x").value();
  const std::string python = R"(json:{"response":"by Python"})";
  ASSERT_TRUE(ok(cache.set(key, python).get()));
  ASSERT_TRUE(wait_until([&] { return second.stats().foreign_format == 1; }));
  model->answer(0, answer_of("a"));
  ASSERT_TRUE(model->wait_for_calls(2));
  model->answer(1, answer_of("b"));
  EXPECT_EQ(holding.get(patience)->response, "a");
  EXPECT_EQ(waiting.get(patience)->response, "b");
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(cache.get(key).get().value(), python);
  EXPECT_EQ(first.stats().rejected_superseded, 1U);
  EXPECT_EQ(second.stats().rejected_foreign_entry, 1U);
  for (const auto* llm : {&first, &second}) EXPECT_TRUE(adds_up(llm->stats()));
}

TEST(Lease, AFailureLetsAnotherTry) {
  const auto cache = fresh_cache();
  const auto failing = FakeLlm::manual();
  const auto model = FakeLlm::manual();
  const auto first = cached(cache, failing, leasing());
  const auto second = cached(cache, model, leasing());
  auto leading = first.ask("x");
  ASSERT_TRUE(failing->wait_for_calls(1));
  auto waiting = second.ask("x");
  failing->answer(0, Error{.code = ErrorCode::access_denied, .message = "no"});
  EXPECT_TRUE(fails_with(leading.get(patience), ErrorCode::access_denied));
  ASSERT_TRUE(model->wait_for_calls(1));
  EXPECT_TRUE(held(cache, second)) << "by the other one";
  model->answer(0, answer_of("a"));
  EXPECT_EQ(waiting.get(patience)->source, AnswerSource::model);
  for (const auto* llm : {&first, &second}) {
    EXPECT_TRUE(wait_until([&] { return settled(cache) && adds_up(llm->stats()); }));
  }
}

TEST(Lease, TheFlightKeepsItWhenAFollowerTriesAgain) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  const auto llm = cached(cache, model, leasing());
  auto leading = llm.ask("x");
  ASSERT_TRUE(model->wait_for_calls(1));
  auto follower = llm.ask("x");
  const auto token = cache.get(lease_of(llm)).get().value();
  model->answer(0, Error{.code = ErrorCode::throttled, .message = "later", .retryable = true});
  ASSERT_TRUE(model->wait_for_calls(2));
  EXPECT_EQ(cache.get(lease_of(llm)).get().value(), token);
  model->answer(1, answer_of("a"));
  EXPECT_TRUE(ok(follower.get(patience)));
  EXPECT_TRUE(fails_with(leading.get(patience), ErrorCode::throttled));
  ASSERT_TRUE(settled(cache));
  EXPECT_FALSE(held(cache, llm));
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST_F(LeaseHeld, WhoLostItOverwritesNothing) {
  ASSERT_TRUE(cache.erase(lease_of(first)).get().value());  // as its end does
  auto fast = second.ask("x");
  ASSERT_TRUE(model->wait_for_calls(2));
  model->answer(1, answer_of("new"));
  ASSERT_TRUE(ok(fast.get(patience)));
  ASSERT_TRUE(settled(cache));
  model->answer(0, answer_of("old"));
  EXPECT_EQ(holding.get(patience)->response, "old");
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(first.ask("x").get(patience)->response, "new");
  EXPECT_EQ(first.stats().rejected_superseded, 1U);
  EXPECT_TRUE(adds_up(first.stats()));
}

TEST(Lease, WhatIsNoAnswerIsReplacedIfItStillStandsThere) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model, leasing());
  const auto key = llm.key_of("x").value();
  ASSERT_TRUE(cache.set(key, "rubbish").get());
  EXPECT_EQ(llm.ask("x").get(patience)->source, AnswerSource::model);
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(llm.ask("x").get(patience)->cached);
  EXPECT_EQ(llm.stats().corrupt_entries, 1U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(Lease, IsExtendedWhileTheModelIsAsked) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  const auto llm = cached(cache, model, leasing(3000ms));
  auto answer = llm.ask("x");
  ASSERT_TRUE(model->wait_for_calls(1));
  // Time alone only takes from it.
  auto before = 1h + 0ms;
  EXPECT_TRUE(wait_until([&] {
    const auto left = cache.ttl(lease_of(llm)).get().value();
    const auto now = left ? left->duration() : 0ms;
    return now > std::exchange(before, now);
  }));
  model->answer(0, answer_of("a"));
  EXPECT_TRUE(ok(answer.get(patience)));
}

TEST(Lease, IsNotExtendedBeyondItsLife) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  auto options = leasing(300ms);
  options.advanced.lease_life = 600ms;
  const auto llm = cached(cache, model, options);
  const auto other = cached(cache, model, options);
  auto slow = llm.ask("x");
  ASSERT_TRUE(model->wait_for_calls(1));
  EXPECT_TRUE(wait_until([&] { return !held(cache, llm); })) << "the model is asked still";
  auto next = other.ask("x");
  ASSERT_TRUE(model->wait_for_calls(2));
  model->answer(1, answer_of("b"));
  model->answer(0, answer_of("a"));
  EXPECT_EQ(slow.get(patience)->response, "a");
  EXPECT_EQ(next.get(patience)->response, "b");
}

// Whichever step of it fails: those who asked wait for nothing, and nobody is refused.
TEST(Lease, AValkeyThatFailsMeansAskingTheModel) {
  for (const bool takes : {false, true}) {
    test::FakeServer server(test::answering([takes](const test::Command& command) -> std::string {
      if (command[0] == "GET") return "_\r\n";
      if (command[0] == "SET" && takes) return "+OK\r\n";
      return "-OOM no\r\n";
    }));
    const auto cache = ValkeyCache::open(server.uri()).value();
    const auto model = FakeLlm::saying(answer_of("a"));
    const auto llm = cached(cache, model, leasing());
    for (int i = 0; i < 3; ++i) {
      const auto answer = llm.ask("x").get(patience);
      ASSERT_TRUE(ok(answer));
      EXPECT_EQ(answer->source, AnswerSource::model);
    }
    EXPECT_EQ(model->calls(), 3U);
    EXPECT_TRUE(wait_until([&] { return settled(cache) && adds_up(llm.stats()); }));
  }
}

TEST_F(LeaseHeld, EachWhoWaitsHasItsOwnDeadlineAndToken) {
  std::stop_source stop;
  auto cancelled = second.ask("x", {.stop_token = stop.get_token()});
  auto patient = second.ask("x");
  stop.request_stop();
  EXPECT_TRUE(fails_with(cancelled.get(patience), ErrorCode::cancelled));
  EXPECT_FALSE(patient.ready());
  model->answer(0, answer_of("a"));
  EXPECT_EQ(patient.get(patience)->source, AnswerSource::shared);
  EXPECT_EQ(model->calls(), 1U);
  EXPECT_TRUE(wait_until([&] { return settled(cache) && adds_up(second.stats()); }))
      << adds_up(second.stats()).message();
}

TEST_F(LeaseHeld, AShortDeadlineLeavesHalfOfItToTheModel) {
  const auto begin = std::chrono::steady_clock::now();
  auto hurried = second.ask("x", {.timeout = 6s});
  EXPECT_TRUE(model->wait_for_calls(2)) << "without the lease";
  // A pause of up to 250 ms that would go beyond the half is not begun.
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 2750ms) << "but it waits first";
  model->answer(1, answer_of("mine"));
  model->answer(0, answer_of("theirs"));
  EXPECT_TRUE(ok(holding.get(patience)));
  EXPECT_TRUE(ok(hurried.get(patience)));
}

// The one who leads has all the time of the world, and the model's lease is somebody else's.
TEST_F(LeaseHeld, AHurriedFollowerLeavesHalfOfItsOwnTimeToTheModel) {
  auto patient = second.ask("x");
  auto hurried = second.ask("x", {.timeout = 4s});
  EXPECT_TRUE(model->wait_for_calls(2)) << "without the lease";
  EXPECT_FALSE(hurried.ready());
  model->answer(1, answer_of("mine"));
  EXPECT_EQ(hurried.get(patience)->response, "mine");
  EXPECT_EQ(patient.get(patience)->response, "mine");
  model->answer(0, answer_of("theirs"));
  EXPECT_TRUE(ok(holding.get(patience)));
}

TEST_F(LeaseHeld, WhoIsHandedAFlightHasThePatienceOfThoseWhoAreLeft) {
  std::stop_source stop;
  auto leading = second.ask("x", {.timeout = 1h, .stop_token = stop.get_token()});
  auto patient = second.ask("x");
  auto hurried = second.ask("x", {.timeout = 4s});
  stop.request_stop();
  EXPECT_TRUE(fails_with(leading.get(patience), ErrorCode::cancelled));
  EXPECT_TRUE(model->wait_for_calls(2));
  model->answer(1, answer_of("mine"));
  for (auto* const asked : {&hurried, &patient}) {
    EXPECT_EQ(asked->get(patience)->response, "mine");
  }
  model->answer(0, answer_of("theirs"));
  EXPECT_TRUE(ok(holding.get(patience)));
}

TEST_F(LeaseHeld, WhoHasLeftHurriesNobody) {
  auto patient = second.ask("x");
  std::stop_source stop;
  auto hurried = second.ask("x", {.timeout = 2s, .stop_token = stop.get_token()});
  stop.request_stop();
  EXPECT_TRUE(fails_with(hurried.get(patience), ErrorCode::cancelled));
  // Each pause is half of the one before at the least, so that this is longer than his half.
  const auto begin = std::chrono::steady_clock::now();
  const auto looks = cache.stats().gets;
  ASSERT_TRUE(wait_until([&] {
    return cache.stats().gets > looks + 2 && std::chrono::steady_clock::now() > begin + 1500ms;
  })) << "it looks on";
  EXPECT_EQ(model->calls(), 1U);
  model->answer(0, answer_of("theirs"));
  EXPECT_EQ(patient.get(patience)->source, AnswerSource::shared);
  EXPECT_TRUE(ok(holding.get(patience)));
}

// Whose half is over before the one who leads would look again.
TEST(Lease, AFollowerInAGreatHurryEndsThePause) {
  bool ended = false;
  for (int attempt = 0; attempt < 10 && !ended; ++attempt) {
    const auto cache = fresh_cache();
    const auto model = FakeLlm::manual();
    const auto first = cached(cache, model, leasing());
    const auto second = cached(cache, model, leasing());
    auto holding = first.ask("x");
    ASSERT_TRUE(model->wait_for_calls(1));
    auto patient = second.ask("x");
    // Until it pauses for 125 ms at the least, and has just begun to.
    for (int look = 0; look < 10; ++look) {
      const auto looks = cache.stats().gets;
      ASSERT_TRUE(wait_until([&] { return cache.stats().gets != looks; }));
    }
    const auto looks = cache.stats().gets;
    auto hurried = second.ask("x", {.timeout = 100ms});
    ASSERT_TRUE(wait_until([&] { return model->calls() == 2 || hurried.ready(); }));
    if (model->calls() == 2) {
      // A slow machine may have looked once more.
      ended = cache.stats().gets == looks;
      model->answer(1, answer_of("mine"));
      EXPECT_EQ(patient.get(patience)->response, "mine");
    }  // else it was so slow that there was no time left
    model->answer(0, answer_of("theirs"));
    EXPECT_TRUE(ok(holding.get(patience)));
  }
  EXPECT_TRUE(ended);
}

// There is no entry then, and nobody need wait for the next one in turn.
TEST(Lease, AStoreThatFailsSendsAllOthersToTheModel) {
  const auto cache = fresh_cache({.max_value_bytes = 64});
  const auto model = FakeLlm::manual();
  const auto first = cached(cache, model, leasing());
  const auto second = cached(cache, model, leasing());
  const auto third = cached(cache, model, leasing());
  auto leading = first.ask("x");
  ASSERT_TRUE(model->wait_for_calls(1));
  auto waiting = second.ask("x");
  auto too = third.ask("x");
  model->answer(0, answer_of(std::string(100, 'a')));
  EXPECT_TRUE(ok(leading.get(patience)));
  ASSERT_TRUE(model->wait_for_calls(3)) << "both at once";
  model->answer(1, answer_of("b"));
  model->answer(2, answer_of("c"));
  EXPECT_TRUE(ok(waiting.get(patience)));
  EXPECT_TRUE(ok(too.get(patience)));
  EXPECT_TRUE(wait_until([&] { return first.stats().store_errors == 1; }));
  EXPECT_TRUE(adds_up(first.stats()));
}

TEST(Lease, DestroyingGivesItBack) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  std::optional<CachedLlm> first = cached(cache, model, leasing());
  const auto second = cached(cache, model, leasing());
  auto leading = first->ask("x");
  ASSERT_TRUE(model->wait_for_calls(1));
  auto waiting = second.ask("x");
  first.reset();
  EXPECT_TRUE(fails_with(leading.get(patience), ErrorCode::closed));
  ASSERT_TRUE(model->wait_for_calls(2));
  EXPECT_TRUE(held(cache, second)) << "by the other one";
  model->answer(1, answer_of("b"));
  EXPECT_EQ(waiting.get(patience)->response, "b");
}

// Keeps the answer to SET back, and has the tokens that were sent.
class SlowToLend {
 public:
  [[nodiscard]] std::string uri() const { return server_.uri(); }
  void lend() { gate_.open(); }
  [[nodiscard]] bool was_asked() const { return asked_.wait(); }
  // The lease goes back by the token by which it was taken.
  [[nodiscard]] bool gets_it_back() const { return back_.wait(); }

 private:
  std::string answer(const test::Command& command) {
    if (command[0] == "GET") return "_\r\n";
    if (command[0] == "SET" && command[1].ends_with(":lease")) {
      token_ = command[2];
      asked_.open();
      gate_.wait();
      return "+OK\r\n";
    }
    if (command[0] == "EVAL" || command[0] == "EVALSHA") {
      if (std::find(command.begin(), command.end(), token_) != command.end()) back_.open();
      return ":1\r\n";
    }
    return "+OK\r\n";
  }

  std::string token_;
  test::Gate gate_, asked_, back_;
  test::FakeServer server_{
      test::answering([this](const test::Command& command) { return answer(command); })};
};

TEST(Lease, DestroyingGivesBackWhatIsBeingTaken) {
  SlowToLend server;
  const auto cache = ValkeyCache::open(server.uri()).value();
  std::optional<CachedLlm> llm = cached(cache, FakeLlm::manual(), leasing());
  auto answer = llm->ask("x");
  ASSERT_TRUE(server.was_asked());
  llm.reset();
  server.lend();
  EXPECT_TRUE(server.gets_it_back());
  EXPECT_FALSE(answer.get(patience));
}

TEST(Lease, WhatMayHaveBeenTakenIsGivenBack) {
  SlowToLend server;
  const auto cache = ValkeyCache::open(server.uri()).value();
  auto options = leasing();
  options.advanced.command_timeout = 150ms;
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")), options);
  auto answer = llm.ask("x");
  ASSERT_TRUE(server.was_asked());
  EXPECT_EQ(answer.get(patience)->source, AnswerSource::model) << "it did not wait for that";
  server.lend();
  EXPECT_TRUE(server.gets_it_back());
}

TEST(Lease, DestroyingEndsThoseWhoWait) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  const auto first = cached(cache, model, leasing());
  std::optional<CachedLlm> second = cached(cache, model, leasing());
  auto leading = first.ask("x");
  ASSERT_TRUE(model->wait_for_calls(1));
  auto waiting = second->ask("x");
  auto too = second->ask("x");
  second.reset();
  EXPECT_TRUE(fails_with(waiting.get(patience), ErrorCode::closed));
  EXPECT_TRUE(fails_with(too.get(patience), ErrorCode::closed));
  model->answer(0, answer_of("a"));
  EXPECT_TRUE(ok(leading.get(patience)));
}

TEST(Lease, NoneForRefreshAndNoStoreAndCacheOnly) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model, leasing());
  ASSERT_TRUE(cache.set(lease_of(llm), "somebody's").get());
  EXPECT_TRUE(fails_with(llm.ask("x", {.cache_only = true}).get(patience), ErrorCode::cache_miss));
  EXPECT_EQ(llm.ask("x", {.no_store = true}).get(patience)->source, AnswerSource::model);
  EXPECT_EQ(llm.ask("x", {.refresh = true}).get(patience)->source, AnswerSource::model);
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(llm.ask("x").get(patience)->cached) << "refresh stored all the same";
  EXPECT_TRUE(adds_up(llm.stats()));
}

}  // namespace
}  // namespace valkeycache
