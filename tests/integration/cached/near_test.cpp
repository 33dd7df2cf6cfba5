// CachedLlm over a cache with a near tier: what is near is answered at once, and parsed once.
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "support/valkey/monitor.hpp"
#include "support/valkey/valkey_server.hpp"
#include "support/valkey/wait.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class CachedNear : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = std::make_unique<ValkeyServer>(); }
  static void TearDownTestSuite() { server_.reset(); }

  ValkeyCache open(ValkeyCacheOptions options = {}) const {
    options.prefix = testing::UnitTest::GetInstance()->current_test_info()->name();
    options.ttl = 1h;
    options.connect_timeout = options.command_timeout = patience;
    options.reconnect_base = 1ms;
    options.reconnect_cap = 20ms;
    options.near_cache = {.max_bytes = 1 << 20, .max_age = 10min, .heartbeat = 10min};
    auto cache = ValkeyCache::open(server_->uri(), std::move(options)).value();
    EXPECT_TRUE(ok(cache.ping({.timeout = patience}).get()));
    return cache;
  }
  CachedLlm over(const ValkeyCache& cache, CachedLlmOptions options = {}) {
    options.advanced.command_timeout = options.advanced.store_timeout = patience;
    return {cache,
            make_text_llm(
                {.model = "m"},
                [this](const ChatRequest&) { return "answer " + std::to_string(++model_calls_); }),
            std::move(options)};
  }
  // Asks until the answer comes from the tier.
  template <class Question>
  static CachedAnswer near(const CachedLlm& llm, const ValkeyCache& cache,
                           const Question& question) {
    CachedAnswer last;
    EXPECT_TRUE(wait_until([&] {
      last = llm.ask(question).get().value();
      static_cast<void>(cache.flush(patience).get());
      return last.source == AnswerSource::near;
    }));
    return last;
  }
  static std::unique_ptr<ValkeyServer> server_;
  std::atomic<int> model_calls_{0};
};
std::unique_ptr<ValkeyServer> CachedNear::server_;

TEST_F(CachedNear, AHitOfTheTierSaysSoAndIsTheWholeAnswer) {
  const auto cache = open();
  const auto llm = over(cache);
  const auto asked = llm.ask("q").get().value();
  EXPECT_EQ(asked.source, AnswerSource::model);
  static_cast<void>(cache.flush(patience).get());
  const auto far = llm.ask("q").get().value();
  EXPECT_EQ(far.source, AnswerSource::valkey);
  Monitor monitor(*server_);
  for (int i = 0; i < 3; ++i) {
    const auto answer = llm.ask("  q\n").get().value();
    EXPECT_EQ(answer.source, AnswerSource::near);
    EXPECT_TRUE(answer.cached);
    EXPECT_EQ(answer.cache_status, CacheStatus::hit);
    EXPECT_EQ(answer.response, "answer 1");
    EXPECT_EQ(answer.stop_reason, far.stop_reason);
    EXPECT_EQ(answer.model, "m");
    EXPECT_EQ(answer.key, far.key);
    EXPECT_EQ(answer.avoided_usage, far.avoided_usage);
    EXPECT_GE(answer.total_ms, answer.latency_ms);
    EXPECT_FALSE(answer.cache_error);
  }
  EXPECT_TRUE(monitor.lines().empty());
  EXPECT_EQ(model_calls_, 1);
  const auto stats = llm.stats();
  EXPECT_EQ(stats.hits, 4U);
  EXPECT_EQ(stats.misses, 1U);
  EXPECT_EQ(stats.calls, 5U);
  EXPECT_EQ(cache.stats().near_hits, 3U);
}

// The object that stands beside the entry's bytes is what is answered from.
TEST_F(CachedNear, AnAnswerIsParsedOnce) {
  const auto cache = open();
  const auto llm = over(cache);
  static_cast<void>(near(llm, cache, "q"));
  const auto bytes = cache.stats().near_bytes;
  static_cast<void>(near(llm, cache, "q"));
  EXPECT_EQ(cache.stats().near_bytes, bytes) << "kept at the first hit, with its size";
  const auto hit = cache.find_near(llm.key_of("q").value());
  ASSERT_TRUE(hit);
  EXPECT_FALSE(cache.keep(hit, std::make_shared<const int>(0), 1)) << "there is one already";
  EXPECT_GT(bytes, 2 * hit.value().size());
}

TEST_F(CachedNear, RequestsAndCompleteKeysAreNearToo) {
  const auto cache = open();
  const auto llm = over(cache);
  const auto simple = ChatRequest("q").temperature(0.7);
  const auto complete = ChatRequest("q").temperature(0.7).max_tokens(10);
  static_cast<void>(near(llm, cache, simple));
  static_cast<void>(near(llm, cache, complete));
  EXPECT_EQ(model_calls_, 2);
  EXPECT_EQ(llm.ask("q").get().value().source, AnswerSource::near) << "the same simple key";

  CachedLlmOptions options;
  options.advanced.key.tenant = "acme";
  const auto tenant = over(cache, options);
  static_cast<void>(near(tenant, cache, "q"));
  EXPECT_EQ(model_calls_, 3) << "never another tenant's answer";
}

TEST_F(CachedNear, WhatRefreshesOrForbidsGoesPastIt) {
  const auto cache = open();
  const auto llm = over(cache);
  static_cast<void>(near(llm, cache, "q"));
  const auto refreshed = llm.ask("q", {.refresh = true}).get().value();
  EXPECT_EQ(refreshed.response, "answer 2");
  EXPECT_EQ(llm.ask("q").get().value().response, "answer 2") << "at once";
  EXPECT_EQ(llm.ask("q", {.cache_only = true}).get().value().response, "answer 2");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(
      fails_with(llm.ask("q", {.stop_token = stop.get_token()}).get(), ErrorCode::cancelled));
  EXPECT_TRUE(fails_with(llm.ask("q", {.timeout = 0ms}).get(), ErrorCode::timeout));
  EXPECT_TRUE(fails_with(llm.ask("q", {.refresh = true, .cache_only = true}).get(),
                         ErrorCode::invalid_argument));
}

TEST_F(CachedNear, BadPromptsAreRefusedAsEver) {
  const auto cache = open();
  const auto llm = over(cache);
  static_cast<void>(near(llm, cache, "q"));
  // A lone continuation byte, which looks like white space to those who do not look closely.
  for (const auto* prompt : {"", " \n", "\x85q", "q\xff"}) {
    EXPECT_TRUE(fails_with(llm.ask(prompt).get(), ErrorCode::invalid_argument)) << prompt;
  }
}

TEST_F(CachedNear, ClearAndEraseReachIt) {
  const auto cache = open();
  const auto llm = over(cache);
  static_cast<void>(near(llm, cache, "q"));
  ASSERT_TRUE(ok(cache.clear().get()));
  EXPECT_EQ(llm.ask("q").get().value().response, "answer 2");
  static_cast<void>(near(llm, cache, "q"));
  ASSERT_TRUE(ok(cache.erase(llm.key_of("q").value()).get()));
  EXPECT_EQ(llm.ask("q").get().value().response, "answer 3");
}

// Another process writes another answer.
TEST_F(CachedNear, AnotherProgramsAnswerReplacesTheDecodedOne) {
  const auto here = open();
  const auto there = open();
  const auto ours = over(here);
  const auto theirs = over(there);
  static_cast<void>(near(ours, here, "q"));
  EXPECT_EQ(theirs.ask("q", {.refresh = true}).get().value().response, "answer 2");
  EXPECT_TRUE(wait_until([&] { return ours.ask("q").get().value().response == "answer 2"; }));
  EXPECT_EQ(near(ours, here, "q").response, "answer 2");
}

// Entries that are no answers stay misses, near as far.
TEST_F(CachedNear, ABrokenEntryIsAMiss) {
  const auto cache = open();
  const auto llm = over(cache, {.no_store = true});
  const auto key = llm.key_of("q").value();
  ASSERT_TRUE(ok(cache.set(key, "no entry").get()));
  ASSERT_TRUE(wait_until([&] {
    static_cast<void>(cache.get(key).get());
    return cache.stats().near_hits > 0;
  }));
  const auto answer = llm.ask("q").get().value();
  EXPECT_EQ(answer.source, AnswerSource::model);
  EXPECT_EQ(llm.stats().corrupt_entries, 1U);
  EXPECT_EQ(llm.stats().misses, 1U);
}

// An entry that was put under another's key: the digest tells, before and after decoding.
TEST_F(CachedNear, AnotherQuestionsEntryIsAMiss) {
  const auto cache = open();
  const auto llm = over(cache, {.no_store = true});
  const auto writer = over(cache);
  static_cast<void>(near(writer, cache, "other"));
  const auto bytes = cache.get(writer.key_of("other").value()).get().value().value();
  const auto key = llm.key_of("q").value();
  ASSERT_TRUE(ok(cache.set(key, bytes).get()));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(llm.ask("q").get().value().source, AnswerSource::model);
  }
  EXPECT_EQ(llm.stats().wrong_digest, 3U);
}

// What one CachedLlm has verified is good only for those that verify in the same way.
TEST_F(CachedNear, ADecodedAnswerIsNotSharedAcrossSecrets) {
  const auto cache = open();
  CachedLlmOptions options;
  options.advanced.key.secret = "0123456789abcdef";
  const auto first = over(cache, options);
  static_cast<void>(near(first, cache, "q"));
  const auto same = over(cache, options);
  EXPECT_EQ(same.ask("q").get().value().source, AnswerSource::near);
  options.advanced.max_entry_bytes = 10;
  const auto strict = over(cache, options);
  EXPECT_EQ(strict.ask("q").get().value().source, AnswerSource::model) << "too long for it";
}

TEST_F(CachedNear, ManyThreadsShareIt) {
  const auto cache = open();
  const auto llm = over(cache);
  static_cast<void>(near(llm, cache, "q"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        if (i == 150) static_cast<void>(cache.erase(llm.key_of("q").value()));
        const auto answer = llm.ask("q").get();
        EXPECT_TRUE(ok(answer));
        EXPECT_EQ(answer->response.rfind("answer ", 0), 0U);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
