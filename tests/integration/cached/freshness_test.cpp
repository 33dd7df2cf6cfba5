// Freshness on a real Valkey: what it costs in commands, one refresh for two processes' worth of
// connections, and the age of what is near.
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "support/valkey/monitor.hpp"
#include "support/valkey/valkey_server.hpp"
#include "support/valkey/wait.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class CachedFreshness : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = std::make_unique<ValkeyServer>(); }
  static void TearDownTestSuite() { server_.reset(); }

  static ValkeyCache open(std::size_t near_bytes = 0, const ValkeyServer& server = *server_) {
    ValkeyCacheOptions options;
    options.prefix = testing::UnitTest::GetInstance()->current_test_info()->name();
    options.connect_timeout = options.command_timeout = patience;
    options.near_cache = {.max_bytes = near_bytes, .max_age = 10min, .heartbeat = 10min};
    auto cache = ValkeyCache::open(server.uri(), std::move(options)).value();
    EXPECT_TRUE(ok(cache.ping({.timeout = patience}).get()));
    return cache;
  }
  // A TTL of a moment, and an hour in which the entry is stale.
  static CachedLlmOptions soon_stale() {
    CachedLlmOptions options;
    options.ttl = 300ms;
    options.advanced.stale_while_revalidate = 1h;
    return options;
  }
  CachedLlm over(const ValkeyCache& cache, CachedLlmOptions options) {
    options.advanced.command_timeout = options.advanced.store_timeout = patience;
    return {cache,
            make_llm({.model = "m"},
                     [this](const ChatRequest&) -> Result<Completion> {
                       const auto call = ++model_calls_;
                       wait_until([&] { return answering_.load(); });
                       if (failing_) {
                         return Error{
                             .code = ErrorCode::throttled, .message = "later", .retryable = true};
                       }
                       return Completion{.text = "answer " + std::to_string(call),
                                         .stop_reason = "end_turn"};
                     }),
            std::move(options)};
  }
  // Asks until an answer comes from there.
  static CachedAnswer until(const CachedLlm& llm, AnswerSource source) {
    CachedAnswer last;
    EXPECT_TRUE(wait_until([&] {
      last = llm.ask("q").get(patience).value();
      return last.source == source;
    }));
    return last;
  }

  static std::unique_ptr<ValkeyServer> server_;
  std::atomic<int> model_calls_{0};
  std::atomic<bool> answering_{true}, failing_{false};
};
std::unique_ptr<ValkeyServer> CachedFreshness::server_;

TEST_F(CachedFreshness, CostsACommandOnlyWhereItIsAskedFor) {
  const auto cache = open();
  const auto plain = over(cache, {.ttl = 1h});
  const auto fresh = over(cache, soon_stale());
  ASSERT_TRUE(ok(plain.ask("q").get(patience)));
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  const auto key = cache.wire_key(plain.key_of("q").value());
  Monitor monitor(*server_);
  using Lines = std::vector<std::string>;
  EXPECT_TRUE(plain.ask("q").get(patience)->cached);
  EXPECT_EQ(monitor.lines(), Lines{"GET " + key});
  monitor.clear();
  EXPECT_TRUE(plain.ask("q", {.max_age = 1h}).get(patience)->cached);
  EXPECT_EQ(monitor.lines(), (Lines{"PTTL " + key, "GET " + key}));
  monitor.clear();
  EXPECT_TRUE(fresh.ask("q").get(patience)->cached);
  EXPECT_EQ(monitor.lines(), (Lines{"PTTL " + key, "GET " + key}));
}

TEST_F(CachedFreshness, TwoCachesRefreshOnce) {
  const auto here = open(), there = open();
  const auto first = over(here, soon_stale()), second = over(there, soon_stale());
  ASSERT_TRUE(ok(first.ask("q").get(patience)));
  ASSERT_TRUE(ok(here.flush(patience).get()));
  answering_ = false;  // the refresh takes its time
  until(first, AnswerSource::stale);
  until(second, AnswerSource::stale);
  std::vector<std::thread> callers;
  for (const auto* llm : {&first, &second}) {
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back([llm] {
        for (int asked = 0; asked < 50; ++asked) {
          const auto answer = llm->ask("q").get(patience);
          ASSERT_TRUE(ok(answer));
          EXPECT_EQ(answer->response, "answer 1");
          EXPECT_EQ(answer->source, AnswerSource::stale);
          EXPECT_GE(answer->age, 300ms);
        }
      });
    }
  }
  for (auto& caller : callers) caller.join();
  EXPECT_TRUE(wait_until([&] { return model_calls_ == 2; }));
  ASSERT_TRUE(ok(here.flush(patience).get()));
  ASSERT_TRUE(ok(there.flush(patience).get()));
  EXPECT_EQ(first.stats().refreshes + second.stats().refreshes, 1U);
  answering_ = true;
  for (const auto* llm : {&first, &second}) {
    EXPECT_TRUE(wait_until([&] { return llm->ask("q").get(patience)->response != "answer 1"; }));
  }
}

TEST_F(CachedFreshness, AFailedRefreshHoldsTheOthersBack) {
  const auto here = open(), there = open();
  auto options = soon_stale();
  options.advanced.refresh_lease = 1h;
  options.advanced.lease_life = 2h;
  const auto first = over(here, options), second = over(there, options);
  ASSERT_TRUE(ok(first.ask("q").get(patience)));
  ASSERT_TRUE(ok(here.flush(patience).get()));
  failing_ = true;
  until(first, AnswerSource::stale);
  EXPECT_TRUE(wait_until([&] { return first.stats().refresh_errors == 1; }));
  ASSERT_TRUE(ok(here.flush(patience).get()));
  const auto key = first.key_of("q").value();
  const auto lease = CacheKey::raw(key.namespaces(), key.text() + ":lease").value();
  EXPECT_TRUE(wait_until([&] { return here.get(lease).get().value() == "-"; }));
  EXPECT_GT(here.ttl(lease).get().value()->duration(), 59min);
  until(second, AnswerSource::stale);
  ASSERT_TRUE(ok(there.flush(patience).get()));
  EXPECT_EQ(second.stats().refreshes, 0U);
  EXPECT_EQ(model_calls_, 2);
  failing_ = false;
  ASSERT_TRUE(here.erase(lease).get().value());  // as its end does
  EXPECT_TRUE(wait_until([&] { return second.ask("q").get(patience)->response == "answer 3"; }));
}

// It reads well: asking the model for what cannot be stored would cost a call for each hit.
TEST_F(CachedFreshness, AServerThatIsFullIsNotRefreshed) {
  const ValkeyServer server({.config = {"maxmemory-policy noeviction"}});
  const auto cache = open(0, server);
  const auto llm = over(cache, soon_stale());
  ASSERT_TRUE(ok(llm.ask("q").get(patience)));
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  server.command({"CONFIG", "SET", "maxmemory", "1"});
  until(llm, AnswerSource::stale);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(llm.ask("q").get(patience)->source, AnswerSource::stale);
    ASSERT_TRUE(ok(cache.flush(patience).get()));
  }
  EXPECT_EQ(llm.stats().refreshes, 0U);
  EXPECT_EQ(model_calls_, 1);
  server.command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_TRUE(wait_until([&] { return llm.ask("q").get(patience)->response == "answer 2"; }));
}

TEST_F(CachedFreshness, WhatIsNearKnowsItsAge) {
  const auto cache = open(1 << 20);
  auto options = soon_stale();
  options.ttl = 2s;
  const auto llm = over(cache, options);
  ASSERT_TRUE(ok(llm.ask("q").get(patience)));
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  const auto stored = std::chrono::steady_clock::now();
  auto answer = until(llm, AnswerSource::near);
  EXPECT_LE(answer.age, 2s);
  answering_ = false;
  answer = until(llm, AnswerSource::stale);
  EXPECT_GE(answer.age, 2s);
  // By the entry's age, not by when the tier got it.
  EXPECT_GT(std::chrono::steady_clock::now() - stored, 1s);
  // The tier reckons from before it asked, so it may see the end a moment before Valkey does.
  EXPECT_TRUE(wait_until([&] {
    EXPECT_EQ(llm.ask("q").get(patience)->source, AnswerSource::stale);
    return model_calls_ == 2;
  }));
  // The rest comes out of the tier: the process that refreshes asks nobody.
  Monitor monitor(*server_);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(llm.ask("q").get(patience)->source, AnswerSource::stale);
  }
  for (const auto& line : monitor.lines()) {
    EXPECT_FALSE(line.starts_with("GET") || line.starts_with("SET")) << line;
  }
  answering_ = true;
  EXPECT_TRUE(wait_until([&] { return llm.ask("q").get(patience)->response == "answer 2"; }));
  EXPECT_EQ(model_calls_, 2);
}

TEST_F(CachedFreshness, WhatIsNearMayBeTooOldForACaller) {
  const auto cache = open(1 << 20);
  const auto llm = over(cache, {.ttl = 1h});
  ASSERT_TRUE(ok(llm.ask("q").get(patience)));
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  until(llm, AnswerSource::near);
  EXPECT_EQ(llm.ask("q", {.max_age = 1h}).get(patience)->source, AnswerSource::near);
  EXPECT_TRUE(wait_until(
      [&] { return llm.ask("q", {.max_age = 20ms}).get(patience)->response == "answer 2"; }));
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  EXPECT_EQ(llm.ask("q").get(patience)->response, "answer 2");
}

TEST_F(CachedFreshness, AModelThatFailsIsStoodInFor) {
  const auto cache = open();
  CachedLlmOptions options;
  options.ttl = 100ms;
  options.advanced.stale_if_error = 1h;
  const auto llm = over(cache, options);
  ASSERT_TRUE(ok(llm.ask("q").get(patience)));
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  failing_ = true;
  const auto answer = until(llm, AnswerSource::stale);
  EXPECT_EQ(answer.response, "answer 1");
  ASSERT_TRUE(answer.model_error);
  EXPECT_EQ(answer.model_error->code, ErrorCode::throttled);
  failing_ = false;
  const auto fresh = llm.ask("q").get(patience);
  EXPECT_EQ(fresh->source, AnswerSource::model);
}

}  // namespace
