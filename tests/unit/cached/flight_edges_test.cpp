// Flights at their edges: memory, deadlines, variants, models that throw, strict, fork().
#include <valkeycache/cached_llm.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/fork_at_rest.hpp"
#include "support/heap.hpp"
#include "support/valkey/fake_server.hpp"
#include "support/valkey/gate.hpp"
#include "unit/cached/ask_support.hpp"

namespace valkeycache {
namespace {

using test::adds_up;
using test::answer_of;
using test::cached;
using test::fails_with;
using test::FakeLlm;
using test::fresh_cache;
using test::ok;
using test::patience;

// Each caller costs the same, however many wait, and nothing when all have gone.
TEST(FlightEdges, MemoryIsInProportionToTheCallers) {
  if (!test::heap_in_use()) GTEST_SKIP() << "this allocator does not tell";
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model, {.no_store = true});
  std::size_t asked = 0;
  const auto taken_by = [&](std::size_t callers) {
    std::vector<Future<CachedAnswer>> answers(callers);
    const auto before = *test::heap_in_use();
    for (auto& answer : answers) answer = llm.ask("What is Valkey?");
    EXPECT_TRUE(model->wait_for_calls(++asked));
    const auto during = *test::heap_in_use();
    model->answer(asked - 1, answer_of("a"));
    for (auto& answer : answers) EXPECT_TRUE(ok(answer.get(patience)));
    answers.clear();
    const auto after = *test::heap_in_use();
    EXPECT_LE(after, before + callers * 32 + 100'000) << "all of it was given back";
    return static_cast<double>(during - before) / static_cast<double>(callers);
  };
  taken_by(100);
  const auto few = taken_by(1000);
  const auto many = taken_by(10000);
  EXPECT_LT(many, 4096) << "bytes for each";
  EXPECT_LE(many, few * 1.5) << "the thousand cost " << few << " bytes each";
}

TEST(FlightEdges, TheLeadersDeadlineHandsTheFlightOn) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  const auto llm = cached(cache, model);
  auto leader = llm.ask("x", {.timeout = std::chrono::seconds(1)});
  auto follower = llm.ask("x");
  ASSERT_TRUE(model->wait_for_calls(1));
  EXPECT_TRUE(fails_with(leader.get(patience), ErrorCode::timeout));
  EXPECT_FALSE(model->options(0).stop_token.stop_requested());
  model->answer(0, answer_of("a"));
  EXPECT_EQ(follower.get(patience)->response, "a");
  EXPECT_EQ(model->calls(), 1U);
  ASSERT_TRUE(test::settled(cache));
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(FlightEdges, VariantsFlyApart) {
  const auto cache = fresh_cache();
  const auto model = FakeLlm::manual();
  std::vector<CachedLlm> llms;
  std::vector<Future<CachedAnswer>> answers;
  for (std::uint64_t variant = 0; variant < 2; ++variant) {
    CachedLlmOptions options;
    options.advanced.key.variant = variant;
    llms.push_back(cached(cache, model, options));
    answers.push_back(llms.back().ask("x"));
    answers.push_back(llms.back().ask("x"));
  }
  ASSERT_TRUE(model->wait_for_calls(2));
  model->answer(0, answer_of("a"));
  model->answer(1, answer_of("b"));
  std::string said;
  for (auto& answer : answers) said += answer.get(patience).value().response;
  EXPECT_TRUE(said == "aabb" || said == "bbaa") << said;
  EXPECT_EQ(model->calls(), 2U);
}

TEST(FlightEdges, AModelThatThrowsFailsAllWhoWait) {
  test::Gate go;
  const auto model =
      std::make_shared<FakeLlm>([](const ChatRequest&, const CallOptions&) -> Future<Completion> {
        throw std::runtime_error("no");
      });
  test::FakeServer server([&](test::FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      const bool get = (*command)[0] == "GET";
      if (get) go.wait();
      if (!connection.write(get ? "_\r\n" : "+OK\r\n")) return;
    }
  });
  const auto cache = ValkeyCache::open(server.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
  const auto llm = cached(cache, model);
  std::vector<Future<CachedAnswer>> answers;
  for (int i = 0; i < 5; ++i) answers.push_back(llm.ask("x"));
  go.open();
  for (auto& answer : answers) {
    EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::callback_failed));
  }
  EXPECT_EQ(model->calls(), 1U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(FlightEdges, StrictFailsAllWhoWait) {
  test::Gate go;
  test::FakeServer server([&](test::FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      const bool get = (*command)[0] == "GET";
      if (get) go.wait();
      if (!connection.write(get ? "-NOPERM no\r\n" : "+OK\r\n")) return;
    }
  });
  const auto cache = ValkeyCache::open(server.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model, {.advanced = {.strict = true}});
  std::vector<Future<CachedAnswer>> answers;
  for (int i = 0; i < 5; ++i) answers.push_back(llm.ask("x"));
  go.open();
  for (auto& answer : answers) {
    EXPECT_TRUE(fails_with(answer.get(patience), ErrorCode::permission));
  }
  EXPECT_EQ(model->calls(), 0U);
  EXPECT_EQ(llm.stats().cache_errors, 5U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

// A flight that is open at a fork() is the parent's.
TEST(FlightEdges, Fork) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model);
  auto leading = llm.ask("x");
  auto following = llm.ask("x");
  ASSERT_TRUE(model->wait_for_calls(1));
  const auto child = test::fork_at_rest();
  if (child == 0) {
    auto answer = llm.ask("x").get();
    auto pending = following.get();
    const bool refused = !answer && answer.error().code == ErrorCode::forked && !pending &&
                         pending.error().code == ErrorCode::forked;
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  model->answer(0, answer_of("a"));
  EXPECT_TRUE(ok(leading.get(patience)));
  EXPECT_EQ(following.get(patience)->source, AnswerSource::shared);
}

}  // namespace
}  // namespace valkeycache
