// ask() with a cache or a model that fails.
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "support/valkey/fake_server.hpp"
#include "support/valkey/gate.hpp"
#include "support/valkey/valkey_server.hpp"
#include "unit/cached/ask_support.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using test::adds_up;
using test::answer_of;
using test::cached;
using test::Command;
using test::fails_with;
using test::FakeLlm;
using test::FakeServer;
using test::fresh_cache;
using test::Gate;
using test::LogKeeper;
using test::ok;
using test::settled;
using test::wait_until;

// A Valkey that answers as told; by default as an empty one that takes every store.
class Scripted {
 public:
  Scripted()
      : server_(test::answering([this](const Command& command) { return answer(command); })),
        cache_(ValkeyCache::open(server_.uri()).value()) {
    EXPECT_TRUE(ok(cache_.ping({.timeout = test::patience}).get()));
  }
  [[nodiscard]] const ValkeyCache& cache() const { return cache_; }
  [[nodiscard]] FakeServer& server() { return server_; }
  void on_get(const std::string& reply) { set(get_, reply); }
  void on_set(const std::string& reply) { set(set_, reply); }
  void on_ping(const std::string& reply) { set(ping_, reply); }
  [[nodiscard]] int count(const std::string& name) const {
    int found = 0;
    for (const auto& command : server_.commands()) found += command.at(0) == name ? 1 : 0;
    return found;
  }

 private:
  void set(std::string& where, const std::string& reply) {
    const std::lock_guard lock(mutex_);
    where = reply;
  }
  std::string answer(const Command& command) {
    const std::lock_guard lock(mutex_);
    if (command[0] == "GET") return get_;
    if (command[0] == "SET") return set_;
    if (command[0] == "PING") return ping_;
    return "-ERR unexpected\r\n";
  }

  std::mutex mutex_;
  std::string get_ = "_\r\n";
  std::string set_ = "+OK\r\n";
  std::string ping_ = "+PONG\r\n";
  FakeServer server_;
  ValkeyCache cache_;
};

TEST(AskFailure, AnUnreachableCacheStillGivesAnAnswer) {
  const auto cache =
      ValkeyCache::open("valkey://127.0.0.1:" + std::to_string(test::ValkeyServer::free_port()))
          .value();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")),
                          {.advanced = {.command_timeout = 5ms, .connect_timeout = 5ms}});
  const auto answer = llm.ask("x").get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->response, "a");
  EXPECT_FALSE(answer->cached);
  EXPECT_EQ(answer->source, AnswerSource::model);
  EXPECT_EQ(answer->cache_status, CacheStatus::error);
  ASSERT_TRUE(answer->cache_error);
  EXPECT_FALSE(answer->cache_error->message.empty());
  EXPECT_EQ(llm.stats().cache_errors, 1U);
  EXPECT_EQ(llm.stats().rejected_cache_error, 1U) << "after one failure no further cache step";
  EXPECT_EQ(cache.stats().sets, 0U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskFailure, ASilentCacheCostsItsTimeOut) {
  FakeServer silent([](test::FakeConnection& connection) { connection.swallow(); });
  const auto cache = ValkeyCache::open(silent.uri()).value();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")),
                          {.advanced = {.command_timeout = 5ms, .connect_timeout = 5ms}});
  const auto answer = llm.ask("x").get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->cache_status, CacheStatus::error);
  EXPECT_EQ(answer->cache_error->code, ErrorCode::timeout);
}

TEST(AskFailure, WhatTheServerSaysReachesTheAnswer) {
  struct Case {
    const char* reply;
    const char* word;
  };
  for (const auto& c : {Case{"-LOADING Valkey is loading the dataset in memory\r\n", "LOADING"},
                        Case{"-NOPERM no permissions\r\n", "NOPERM"},
                        Case{"-WRONGTYPE Operation against a key\r\n", "WRONGTYPE"}}) {
    Scripted valkey;
    valkey.on_get(c.reply);
    const auto llm = cached(valkey.cache(), FakeLlm::saying(answer_of("a")));
    const auto answer = llm.ask("x").get();
    ASSERT_TRUE(ok(answer)) << c.word;
    EXPECT_EQ(answer->response, "a");
    EXPECT_EQ(answer->cache_status, CacheStatus::error) << c.word;
    ASSERT_TRUE(answer->cache_error) << c.word;
    EXPECT_EQ(answer->cache_error->server_code, c.word);
    ASSERT_TRUE(settled(valkey.cache()));
    EXPECT_EQ(valkey.count("SET"), 0) << c.word;
    EXPECT_TRUE(adds_up(llm.stats()));
  }
}

TEST(AskFailure, AStoreThatFailsIsCountedAndNothingElse) {
  Scripted valkey;
  valkey.on_set("-OOM command not allowed when used memory > 'maxmemory'.\r\n");
  const auto llm = cached(valkey.cache(), FakeLlm::saying(answer_of("a")));
  for (int i = 0; i < 8; ++i) {
    const auto answer = llm.ask("x").get();
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(answer->cache_status, CacheStatus::miss);
  }
  ASSERT_TRUE(settled(valkey.cache()));
  ASSERT_TRUE(wait_until([&] { return llm.stats().store_errors == 8; }));
  EXPECT_EQ(valkey.count("SET"), 8);
  EXPECT_FALSE(llm.stats().breaker_open) << "a server that refuses to write may well read";
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskFailure, StrictFailsTheCall) {
  Scripted valkey;
  valkey.on_get("-LOADING wait\r\n");
  const auto model = FakeLlm::saying(answer_of("a"));
  CachedLlmOptions options;
  options.advanced.strict = true;
  options.advanced.breaker_failures = 2;
  const auto llm = cached(valkey.cache(), model, options);
  EXPECT_TRUE(test::refused(llm.ask("x").get(), ErrorCode::server_unavailable, "LOADING"));
  EXPECT_TRUE(test::refused(llm.ask("x").get(), ErrorCode::server_unavailable, "LOADING"));
  EXPECT_TRUE(llm.stats().breaker_open);
  EXPECT_TRUE(test::refused(llm.ask("x").get(), ErrorCode::server_unavailable, "LOADING"))
      << "the open breaker is a cache failure too";
  EXPECT_EQ(valkey.count("GET"), 2);
  EXPECT_EQ(model->calls(), 0U);
  EXPECT_EQ(llm.stats().cache_errors, 3U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskFailure, StrictIsAboutLookups) {
  Scripted valkey;
  valkey.on_set("-OOM command not allowed\r\n");
  const auto llm =
      cached(valkey.cache(), FakeLlm::saying(answer_of("a")), {.advanced = {.strict = true}});
  const auto answer = llm.ask("x").get();
  ASSERT_TRUE(ok(answer)) << "it has been paid for";
  ASSERT_TRUE(wait_until([&] { return llm.stats().store_errors == 1; }));
}

TEST(AskFailure, CacheOnlyAnswersTheCachesFailure) {
  Scripted valkey;
  valkey.on_get("-LOADING wait\r\n");
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(valkey.cache(), model);
  EXPECT_TRUE(test::refused(llm.ask("x", {.cache_only = true}).get(), ErrorCode::server_unavailable,
                            "LOADING"));
  EXPECT_EQ(model->calls(), 0U);
}

// --- the breaker ---

TEST(AskBreaker, FiveFailuresInARowStopTheLookups) {
  Scripted valkey;
  valkey.on_get("-LOADING wait\r\n");
  LogKeeper log;
  CachedLlmOptions options;
  options.advanced.breaker_open = 1h;
  options.advanced.log = log.hook();
  const auto llm = cached(valkey.cache(), FakeLlm::saying(answer_of("a")), options);
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(llm.stats().breaker_open);
    ASSERT_TRUE(ok(llm.ask("x").get()));
  }
  EXPECT_TRUE(llm.stats().breaker_open);
  EXPECT_EQ(llm.stats().breaker_trips, 1U);
  for (int i = 0; i < 10; ++i) {
    const auto answer = llm.ask("x").get();
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(answer->cache_status, CacheStatus::error);
    EXPECT_EQ(answer->cache_error->server_code, "LOADING");
    EXPECT_NE(answer->cache_error->message.find("5 times in a row"), std::string::npos);
  }
  EXPECT_EQ(valkey.count("GET"), 5);
  EXPECT_EQ(valkey.count("SET"), 0);
  EXPECT_EQ(llm.stats().cache_errors, 15U);
  EXPECT_EQ(log.count("5 times in a row"), 1);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskBreaker, RefreshStoresNothingWhileItIsOpen) {
  Scripted valkey;
  valkey.on_get("-LOADING wait\r\n");
  CachedLlmOptions options;
  options.advanced.breaker_open = 1h;
  options.advanced.breaker_failures = 1;
  const auto llm = cached(valkey.cache(), FakeLlm::saying(answer_of("a")), options);
  ASSERT_TRUE(ok(llm.ask("x").get()));
  ASSERT_TRUE(ok(llm.ask("x", {.refresh = true}).get()));
  ASSERT_TRUE(settled(valkey.cache()));
  EXPECT_EQ(valkey.count("SET"), 0);
  EXPECT_EQ(llm.stats().rejected_cache_error, 2U);
}

TEST(AskBreaker, APingOffTheCallsPathClosesIt) {
  Scripted valkey;
  valkey.on_get("-LOADING wait\r\n");
  LogKeeper log;
  CachedLlmOptions options;
  options.advanced.breaker_open = 0ms;  // its time is up at once
  options.advanced.breaker_failures = 1;
  options.advanced.log = log.hook();
  const auto llm = cached(valkey.cache(), FakeLlm::saying(answer_of("a")), options);
  const auto pings = valkey.count("PING");
  ASSERT_TRUE(ok(llm.ask("x").get()));
  EXPECT_TRUE(llm.stats().breaker_open);

  valkey.on_ping("-LOADING wait\r\n");
  const auto answer = llm.ask("x").get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->cache_status, CacheStatus::error) << "the call that probes does not wait";
  ASSERT_TRUE(wait_until([&] { return valkey.count("PING") == pings + 1; }));
  ASSERT_TRUE(settled(valkey.cache()));
  EXPECT_EQ(valkey.count("GET"), 1);

  valkey.on_ping("+PONG\r\n");
  valkey.on_get("_\r\n");
  ASSERT_TRUE(wait_until([&] {
    EXPECT_TRUE(ok(llm.ask("x", {.no_store = true}).get()));
    return !llm.stats().breaker_open;
  }));
  const auto again = llm.ask("x").get();
  ASSERT_TRUE(ok(again));
  EXPECT_EQ(again->cache_status, CacheStatus::miss);
  EXPECT_GE(log.count("used again"), 1);
  EXPECT_EQ(llm.stats().breaker_trips, 1U);
  ASSERT_TRUE(settled(valkey.cache()));
}

TEST(AskBreaker, WhatConcernsOneKeyDoesNotCount) {
  Scripted valkey;
  valkey.on_get("-WRONGTYPE Operation against a key\r\n");
  const auto llm = cached(valkey.cache(), FakeLlm::saying(answer_of("a")));
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(ok(llm.ask("x").get()));
  EXPECT_FALSE(llm.stats().breaker_open);
  EXPECT_EQ(valkey.count("GET"), 12);
}

TEST(AskBreaker, TimeOutsCount) {
  FakeServer mute([](test::FakeConnection& connection) {
    if (connection.read_after_handshake()) {  // the ping
      connection.write("+PONG\r\n");
      connection.swallow();
    }
  });
  const auto cache = ValkeyCache::open(mute.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = test::patience}).get()));
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")),
                          {.advanced = {.command_timeout = 2ms, .breaker_open = 1h}});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(ok(llm.ask("x").get()));
  EXPECT_TRUE(llm.stats().breaker_open);
}

TEST(AskBreaker, CancellationsDoNotCount) {
  FakeServer mute([](test::FakeConnection& connection) {
    if (connection.read_after_handshake()) {
      connection.write("+PONG\r\n");
      connection.swallow();
    }
  });
  const auto cache = ValkeyCache::open(mute.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = test::patience}).get()));
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model);
  for (int i = 0; i < 10; ++i) {
    std::stop_source stop;
    auto answer = llm.ask("x", {.stop_token = stop.get_token()});
    stop.request_stop();
    EXPECT_TRUE(fails_with(answer.get(test::patience), ErrorCode::cancelled));
  }
  EXPECT_FALSE(llm.stats().breaker_open);
  EXPECT_EQ(model->calls(), 0U);
  EXPECT_EQ(llm.stats().unfinished, 10U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

// --- pending stores ---

TEST(AskStores, AreBoundedAndDropTheRest) {
  Gate let_go;
  FakeServer slow_to_store([&](test::FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      if ((*command)[0] == "SET") {
        // Replies come in order: from the first store on nothing is answered.
        let_go.wait();
      }
      if (!connection.write((*command)[0] == "GET" ? "_\r\n" : "+OK\r\n")) return;
    }
  });
  const auto cache = ValkeyCache::open(slow_to_store.uri()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = test::patience}).get()));
  CachedLlmOptions options;
  options.refresh = true;  // no lookups behind the stores
  options.advanced.max_pending_stores = 3;
  const auto model = FakeLlm::saying(answer_of("a"));
  const auto llm = cached(cache, model, options);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(ok(llm.ask("x" + std::to_string(i)).get())) << "a store never delays an answer";
  }
  EXPECT_EQ(llm.stats().store_dropped, 7U);
  EXPECT_EQ(llm.stats().stored, 0U);
  let_go.open();
  ASSERT_TRUE(wait_until([&] { return llm.stats().stored == 3; }));
  EXPECT_TRUE(adds_up(llm.stats()));
  ASSERT_TRUE(ok(llm.ask("later").get()));
  ASSERT_TRUE(wait_until([&] { return llm.stats().stored == 4; }));
}

TEST(AskStores, AreIssuedBeforeTheAnswerIsPublished) {
  // The handles go as soon as there is an answer, as at the end of main.
  for (int i = 0; i < 20; ++i) {
    const std::string name = "memory://leaving-main-" + std::to_string(i);
    const auto cache = ValkeyCache::open(name).value();  // keeps the store
    {
      auto leaving = ValkeyCache::open(name).value();
      const auto llm = cached(std::move(leaving), FakeLlm::saying(answer_of("a")));
      ASSERT_TRUE(ok(llm.ask("x").get()));
    }
    const auto llm = cached(cache, FakeLlm::manual());
    const auto hit = llm.ask("x", {.cache_only = true}).get();
    ASSERT_TRUE(ok(hit));
    EXPECT_TRUE(hit->cached);
  }
}

TEST(AskStores, SurviveLeavingMainOverASlowConnection) {
  std::atomic<bool> stored{false};
  FakeServer slow([&](test::FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      if ((*command)[0] == "SET") stored = true;
      if (!connection.write((*command)[0] == "GET" ? "_\r\n" : "+OK\r\n")) return;
    }
  });
  {
    auto cache = ValkeyCache::open(slow.uri()).value();
    const auto llm = cached(std::move(cache), FakeLlm::saying(answer_of("a")));
    ASSERT_TRUE(ok(llm.ask("x").get()));
  }
  EXPECT_TRUE(stored) << "destroying the last handle waits for the store";
}

// --- the model ---

TEST(AskModel, ItsErrorIsTheCalls) {
  const auto model = FakeLlm::failing({.code = ErrorCode::throttled,
                                       .message = "slow down",
                                       .retryable = true,
                                       .server_code = "ThrottlingException",
                                       .http_status = 429,
                                       .request_id = "r1"});
  const auto cache = fresh_cache();
  const auto llm = cached(cache, model);
  const auto answer = llm.ask("x").get();
  ASSERT_TRUE(fails_with(answer, ErrorCode::throttled));
  EXPECT_EQ(answer.error().http_status, 429);
  EXPECT_EQ(answer.error().request_id, "r1");
  EXPECT_TRUE(answer.error().retryable);
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(cache.stats().sets, 0U);
  EXPECT_EQ(llm.stats().model_errors, 1U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskModel, MayThrow) {
  const auto model =
      std::make_shared<FakeLlm>([](const ChatRequest&, const CallOptions&) -> Future<Completion> {
        throw std::runtime_error("prompt inside");
      });
  const auto llm = cached(fresh_cache(), model);
  const auto answer = llm.ask("x").get();
  ASSERT_TRUE(fails_with(answer, ErrorCode::callback_failed));
  EXPECT_EQ(answer.error().message.find("prompt inside"), std::string::npos);
  EXPECT_EQ(llm.stats().model_errors, 1U);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskModel, MayReturnAFutureWithoutAState) {
  const auto model = std::make_shared<FakeLlm>(
      [](const ChatRequest&, const CallOptions&) { return Future<Completion>(); });
  const auto llm = cached(fresh_cache(), model);
  EXPECT_TRUE(fails_with(llm.ask("x").get(), ErrorCode::abandoned));
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskModel, MayDropItsPromise) {
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model);
  auto answer = llm.ask("x");
  ASSERT_TRUE(model->wait_for_calls(1));
  { const auto dropped = model->take(0); }
  EXPECT_TRUE(fails_with(answer.get(test::patience), ErrorCode::abandoned));
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(AskModel, WhoseIdentityThrowsIsAnErrorOfEachCall) {
  class Nameless final : public Llm {
   public:
    Future<Completion> complete(const ChatRequest&, CallOptions) override {
      return make_ready_future<Completion>(answer_of("a"));
    }
    [[nodiscard]] CacheIdentity cache_identity() const override {
      throw std::runtime_error("who am I?");
    }
  };
  const auto llm = cached(fresh_cache(), std::make_shared<Nameless>());
  EXPECT_TRUE(fails_with(llm.ask("x").get(), ErrorCode::callback_failed));
}

TEST(AskModel, IsTakenByValueWithoutSlicing) {
  class Handle final : public Llm {
   public:
    explicit Handle(std::string text) : text_(std::move(text)) {}
    Future<Completion> complete(const ChatRequest&, CallOptions) override {
      return make_ready_future<Completion>(answer_of(text_));
    }
    [[nodiscard]] CacheIdentity cache_identity() const override { return {.model = "handle"}; }

   private:
    std::string text_;
  };
  const Handle handle("from the copy");
  const auto llm = cached(fresh_cache(), handle);
  EXPECT_EQ(llm.ask("x").get()->response, "from the copy");
}

}  // namespace
}  // namespace valkeycache
