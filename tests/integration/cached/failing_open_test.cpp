// Valkey fails in all the ways it can, and the question is answered.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cached_fixture.hpp"
#include "support/heap.hpp"
#include "support/sanitized.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

using Clock = std::chrono::steady_clock;

class FailingOpen : public CachedTest {
 protected:
  // An answer of the model's that says what is wrong with the cache.
  static void expect_answered(const Result<CachedAnswer>& answer, ErrorCode code,
                              const std::string& server_code = {}) {
    ASSERT_TRUE(ok(answer));
    EXPECT_FALSE(answer->cached);
    EXPECT_FALSE(answer->response.empty());
    EXPECT_EQ(answer->source, AnswerSource::model);
    EXPECT_EQ(answer->cache_status, CacheStatus::error);
    ASSERT_TRUE(answer->cache_error);
    EXPECT_EQ(answer->cache_error->code, code) << described(*answer->cache_error);
    if (!server_code.empty()) {
      EXPECT_EQ(answer->cache_error->server_code, server_code);
    }
  }
};

TEST_F(FailingOpen, WithTheServerDown) {
  const auto cache =
      ValkeyCache::open("valkey://127.0.0.1:" + std::to_string(ValkeyServer::free_port()),
                        guide_cache())
          .value();
  const CachedLlm llm(cache, claude());
  const auto answer = llm.ask(guide_question).get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->cache_status, CacheStatus::error);
  EXPECT_EQ(model_calls(), 1U);
}

TEST_F(FailingOpen, AKilledServerAndItsReturn) {
  ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), guide_cache()).value();
  auto options = guide_options();
  options.advanced.breaker_failures = 0;
  const CachedLlm llm(cache, claude(), options);
  ASSERT_TRUE(ok(llm.ask(guide_question).get()));
  ASSERT_TRUE(settled(cache));
  ASSERT_TRUE(llm.ask(guide_question).get()->cached);

  server.kill();
  auto hurried = guide_options();
  hurried.advanced.command_timeout = 20ms;
  const CachedLlm in_a_hurry(cache, claude(), hurried);
  const auto during = in_a_hurry.ask(guide_question).get();
  ASSERT_TRUE(ok(during));
  EXPECT_EQ(during->cache_status, CacheStatus::error);
  EXPECT_TRUE(during->cache_error.has_value());

  server.start();
  const auto again = llm.ask(guide_question).get();
  ASSERT_TRUE(ok(again));
  EXPECT_EQ(again->cache_status, CacheStatus::miss) << "what it held went with it";
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(llm.ask(guide_question).get()->cached);
}

TEST_F(FailingOpen, AStoppedServerDelaysAnAnswerByNoMoreThanTheTimeOuts) {
  ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), guide_cache()).value();
  auto options = guide_options();
  options.advanced.command_timeout = 500ms;
  options.advanced.breaker_open = 1500ms;
  const CachedLlm llm(cache, claude(), options);
  {
    // Of a lookup that nothing hurries.
    const CachedLlm patient(cache, claude(), guide_options());
    ASSERT_TRUE(ok(patient.ask(guide_question).get()));
    ASSERT_TRUE(settled(cache));
  }
  const auto hits = [&] {
    const auto answer = llm.ask(guide_question).get();
    return answer && answer->cached;
  };
  ASSERT_TRUE(wait_until(hits));

  server.pause();
  for (int i = 0; i < 5; ++i) {
    const auto answer = llm.ask(guide_question).get();
    expect_answered(answer, ErrorCode::timeout);
    // What the lookup cost: all that the model did not take. The rest is for a busy machine.
    EXPECT_LT(answer->total_ms - answer->latency_ms, 500 + 2000) << i;
  }
  EXPECT_TRUE(llm.stats().breaker_open);
  const auto gets = cache.stats().gets;
  expect_answered(llm.ask(guide_question).get(), ErrorCode::timeout);
  EXPECT_EQ(cache.stats().gets, gets) << "the breaker saves the wait, too";

  server.resume();
  EXPECT_TRUE(wait_until(hits)) << "hits resume";
  EXPECT_FALSE(llm.stats().breaker_open);
}

// Also for calls that would take a lease; one after the other, with the options as they are.
TEST_F(FailingOpen, AStoppedServerCostsFiveTimeOutsAltogether) {
  for (const auto lease : {0ms, 10'000ms}) {
    ValkeyServer server;
    const auto cache = ValkeyCache::open(server.uri(), guide_cache()).value();
    ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
    CachedLlmOptions options;
    options.advanced.lease = lease;
    options.advanced.breaker_open = 1h;
    const CachedLlm llm(cache, claude(), options);
    server.pause();
    const auto begin = Clock::now();
    std::chrono::duration<double, std::milli> model{0};
    constexpr int calls = 40;
    for (int i = 0; i < calls; ++i) {
      const auto answer = llm.ask("question " + std::to_string(i)).get();
      ASSERT_TRUE(ok(answer));
      model += std::chrono::duration<double, std::milli>(answer->latency_ms);
    }
    const std::chrono::duration<double, std::milli> cost = Clock::now() - begin - model;
    EXPECT_GE(cost.count(), 5 * 100);
    EXPECT_EQ(llm.stats().cache_errors, std::uint64_t{calls});
    EXPECT_EQ(cache.stats().timeouts, 5U) << "the others did not wait";
    server.resume();
  }
}

TEST_F(FailingOpen, AFullServer) {
  ValkeyServer server({.config = {"maxmemory 1", "maxmemory-policy noeviction"}});
  const auto cache = ValkeyCache::open(server.uri(), guide_cache()).value();
  const CachedLlm llm(cache, claude(), guide_options());
  for (int i = 0; i < 6; ++i) {
    const auto answer = llm.ask(guide_question).get();
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(answer->cache_status, CacheStatus::miss) << "it can be read";
  }
  ASSERT_TRUE(wait_until([&] { return llm.stats().store_errors == 6; }));
  EXPECT_FALSE(llm.stats().breaker_open);
  EXPECT_EQ(server.command({"DBSIZE"}).integer, 0);
}

TEST_F(FailingOpen, AReplicaThatTakesNoWrites) {
  // Without the pause in which a primary waits for further replicas.
  const ValkeyServer primary({.config = {"repl-diskless-sync-delay 0"}});
  ValkeyServer replica({.config = {"replicaof 127.0.0.1 " + std::to_string(primary.port())}});
  ASSERT_TRUE(wait_until([&] {
    return replica.command({"INFO", "replication"}).text.find("master_link_status:up") !=
           std::string::npos;
  }));
  const auto cache = ValkeyCache::open(replica.uri(), guide_cache()).value();
  const CachedLlm llm(cache, claude(), guide_options());
  const auto answer = llm.ask(guide_question).get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->cache_status, CacheStatus::miss);
  ASSERT_TRUE(wait_until([&] { return llm.stats().store_errors == 1; }));
}

TEST_F(FailingOpen, AUserWhoMayNotRead) {
  ValkeyServer server({.config = {"user app on >secret ~* -@all +hello +auth +client +ping"}});
  auto options = guide_cache();
  options.username = "app";
  options.password = "secret";
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  const CachedLlm llm(cache, claude(), guide_options());
  expect_answered(llm.ask(guide_question).get(), ErrorCode::permission, "NOPERM");
}

TEST_F(FailingOpen, AUserWhoMayNotWrite) {
  ValkeyServer server({.config = {"user app on >secret ~* -@all +hello +auth +client +ping +get"}});
  auto options = guide_cache();
  options.username = "app";
  options.password = "secret";
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  const CachedLlm llm(cache, claude(), guide_options());
  const auto answer = llm.ask(guide_question).get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->cache_status, CacheStatus::miss);
  ASSERT_TRUE(wait_until([&] { return llm.stats().store_errors == 1; }));
}

TEST_F(FailingOpen, AWrongPassword) {
  ValkeyServer server({.password = "right"});
  auto options = guide_cache();
  options.password = "wrong";
  const auto cache =
      ValkeyCache::open("valkey://127.0.0.1:" + std::to_string(server.port()), options).value();
  const CachedLlm llm(cache, claude(), guide_options());
  expect_answered(llm.ask(guide_question).get(), ErrorCode::authentication, "WRONGPASS");
}

TEST_F(FailingOpen, AListUnderTheKey) {
  ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), guide_cache()).value();
  const CachedLlm llm(cache, claude(), guide_options());
  server.command({"RPUSH", guide_wire_key, "somebody", "else's"});
  for (int i = 0; i < 6; ++i) {
    expect_answered(llm.ask(guide_question).get(), ErrorCode::server_error, "WRONGTYPE");
  }
  EXPECT_FALSE(llm.stats().breaker_open) << "it concerns one key";
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(server.command({"LLEN", guide_wire_key}).integer, 2) << "it is not overwritten";
  ASSERT_TRUE(ok(llm.ask("another question").get()));
  ASSERT_TRUE(settled(cache));
  EXPECT_TRUE(llm.ask("another question").get()->cached);
}

TEST_F(FailingOpen, AServerThatIsNoValkey) {
  // The simulated Bedrock speaks HTTP.
  const auto cache =
      ValkeyCache::open("valkey://127.0.0.1:" + std::to_string(bedrock().port()), guide_cache())
          .value();
  const CachedLlm llm(cache, claude());
  const auto answer = llm.ask(guide_question).get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->cache_status, CacheStatus::error);
}

TEST_F(FailingOpen, StrictFailsInstead) {
  const auto cache =
      ValkeyCache::open("valkey://127.0.0.1:" + std::to_string(ValkeyServer::free_port()),
                        guide_cache())
          .value();
  CachedLlmOptions options;
  options.advanced.strict = true;
  const CachedLlm llm(cache, claude(), options);
  EXPECT_FALSE(llm.ask(guide_question).get().has_value());
  EXPECT_EQ(model_calls(), 0U);
}

TEST_F(FailingOpen, AFloodOfMissesOntoADeadServerTakesNoMemory) {
  const auto cache =
      ValkeyCache::open("valkey://127.0.0.1:" + std::to_string(ValkeyServer::free_port()),
                        guide_cache())
          .value();
  CachedLlmOptions options;
  options.refresh = true;  // stores without lookups: nothing opens the breaker
  options.advanced.breaker_failures = 0;
  options.advanced.max_pending_stores = 8;
  options.advanced.store_timeout = patience;
  const auto model = make_async_llm({.model = "quick"}, [](const ChatRequest&, CallOptions) {
    return make_ready_future<Completion>(
        Completion{.text = std::string(1000, 'x'), .stop_reason = "end_turn"});
  });
  const CachedLlm llm(cache, model, options);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(ok(llm.ask("q" + std::to_string(i)).get()));
  EXPECT_EQ(llm.stats().store_dropped, 992U);
  EXPECT_LE(cache.stats().in_flight, 8U);
}

// All at once: what waits for the cache is bounded, the rest goes to the model.
TEST_F(FailingOpen, AFloodOfMissesAtOnceOntoADeadServerIsBoundedByItsQueue) {
  constexpr std::size_t misses = sanitized ? 2000 : 20'000;
  constexpr std::uint64_t room = 256;
  auto open = guide_cache();
  open.max_queued_commands = room;
  const auto cache =
      ValkeyCache::open("valkey://127.0.0.1:" + std::to_string(ValkeyServer::free_port()), open)
          .value();
  CachedLlmOptions options;
  options.advanced.breaker_failures = 0;
  const auto model = make_async_llm({.model = "quick"}, [](const ChatRequest&, CallOptions) {
    return make_ready_future<Completion>(
        Completion{.text = std::string(1000, 'x'), .stop_reason = "end_turn"});
  });
  std::vector<Future<CachedAnswer>> answers(misses);
  const auto before = heap_in_use();
  std::uint64_t most = 0;
  {
    const CachedLlm llm(cache, model, options);
    for (std::size_t i = 0; i < misses; ++i) {
      answers[i] = llm.ask("q" + std::to_string(i));
      most = std::max(most, cache.stats().in_flight);
    }
    if (before) {
      // An answer of 1,000 bytes for each call that has ended, and what each call itself takes.
      EXPECT_LT(*heap_in_use(), *before + misses * 4096);
    }
    for (auto& answer : answers) ASSERT_TRUE(ok(answer.get(patience)));
    EXPECT_EQ(llm.stats().cache_errors, misses);
    EXPECT_GE(cache.stats().overloaded, misses - misses / 2) << "or there was no flood";
    answers.clear();
  }
  EXPECT_LE(most, room);
  if (before) {
    EXPECT_LT(*heap_in_use(), *before + 1'000'000) << "all of it was given back";
  }
}

// Stores that a hung server does not take go by their time-out, and give their memory back.
TEST_F(FailingOpen, AFloodOfMissesOntoAStoppedServerTakesNoMemory) {
  constexpr std::size_t size = 100'000;
  constexpr int misses = sanitized ? 300 : 2000;
  ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), guide_cache()).value();
  ASSERT_TRUE(ok(cache.ping({.timeout = patience}).get()));
  CachedLlmOptions options;
  options.refresh = true;
  options.advanced.breaker_failures = 0;
  options.advanced.max_pending_stores = 16;
  options.advanced.store_timeout = 5ms;
  const auto model = make_async_llm({.model = "quick"}, [](const ChatRequest&, CallOptions) {
    return make_ready_future<Completion>(
        Completion{.text = std::string(size, 'x'), .stop_reason = "end_turn"});
  });
  const CachedLlm llm(cache, model, options);
  server.pause();
  const auto before = heap_in_use();
  for (int i = 0; i < misses; ++i) {
    ASSERT_TRUE(ok(llm.ask("q" + std::to_string(i)).get()));
    if (i % 16 == 0) {
      ASSERT_TRUE(wait_until([&] { return cache.stats().in_flight == 0; })) << i;
    }
  }
  const auto stats = llm.stats();
  EXPECT_GT(stats.store_errors, std::uint64_t{misses} / 2) << "or there was no flood";
  if (before) {
    EXPECT_LT(*heap_in_use(), *before + 64 * size) << "of " << misses << " entries";
  }
  server.resume();
  EXPECT_TRUE(wait_until([&] { return cache.ping().get().has_value(); }));
}

TEST_F(FailingOpen, AFloodOfLongAnswersIsBoundedByItsBytes) {
  constexpr std::size_t size = 100'000;
  auto open = guide_cache();
  open.max_queued_bytes = 10 * size;
  const auto cache =
      ValkeyCache::open("valkey://127.0.0.1:" + std::to_string(ValkeyServer::free_port()), open)
          .value();
  CachedLlmOptions options;
  options.refresh = true;
  options.advanced.breaker_failures = 0;
  options.advanced.store_timeout = patience;
  const auto model = make_async_llm({.model = "quick"}, [](const ChatRequest&, CallOptions) {
    return make_ready_future<Completion>(
        Completion{.text = std::string(size, 'x'), .stop_reason = "end_turn"});
  });
  const CachedLlm llm(cache, model, options);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(ok(llm.ask("q" + std::to_string(i)).get()));
  EXPECT_GE(llm.stats().store_errors, 90U);
  EXPECT_GE(cache.stats().overloaded, 90U);
}

}  // namespace
