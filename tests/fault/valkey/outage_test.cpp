// A server that is down, dies, hangs or comes back; and one that is too slow for what is asked.
#include <atomic>
#include <chrono>
#include <ctime>
#include <latch>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include "fault.hpp"
#include "support/valkey/tcp_proxy.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

const std::initializer_list<ErrorCode> unreachable = {ErrorCode::timeout, ErrorCode::connect_failed,
                                                      ErrorCode::connection_lost};

ValkeyCacheOptions brief() {
  auto options = patient();
  options.connect_timeout = 100ms;
  options.command_timeout = 100ms;
  return options;
}

// --- down --------------------------------------------------------------------------------------

TEST(Outage, OpenedWhileTheServerIsDown) {
  ValkeyServer server;
  server.stop();
  const auto cache = ValkeyCache::open(server.uri(), brief()).value();
  const auto got = cache.get(key_of("k")).get();
  EXPECT_TRUE(fails_with(got, unreachable));
  EXPECT_TRUE(got.error().retryable);
  const auto set = cache.set(key_of("k"), "v").get();
  EXPECT_TRUE(fails_with(set, unreachable));
  EXPECT_FALSE(set.error().maybe_applied) << "it was never sent";
  EXPECT_FALSE(cache.connected());
  EXPECT_GT(cache.stats().connect_failures, 0U);
  server.start();
  EXPECT_TRUE(wait_until([&] { return cache.connected(); }));
  const CallOptions patiently{.timeout = patience};
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", {}, patiently).get()));
  EXPECT_EQ(cache.get(key_of("k"), patiently).get().value(), Found("v"));
}

TEST(Outage, CallsWaitForTheFirstConnection) {
  ValkeyServer server;
  server.stop();
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  auto set = cache.set(key_of("k"), "v");
  auto got = cache.get(key_of("k"));
  auto many = cache.get({key_of("k"), key_of("x")});
  EXPECT_TRUE(wait_until([&] { return cache.stats().connect_failures > 0; }));
  EXPECT_FALSE(set.ready());
  server.start();
  EXPECT_TRUE(ok(set.get()));
  EXPECT_EQ(got.get().value(), Found("v")) << "in the order of the calls";
  EXPECT_EQ(many.get().value()[0].value(), Found("v"));
}

TEST(Outage, TheErrorSaysWhatIsWrong) {
  const auto refused_by_all = ValkeyCache::open("valkey://127.0.0.1:1", brief()).value();
  EXPECT_TRUE(fails_with(refused_by_all.get(key_of("k")).get(), ErrorCode::connect_failed));
  const auto no_socket = ValkeyCache::open("unix:///no/such/socket", brief()).value();
  EXPECT_TRUE(fails_with(no_socket.get(key_of("k")).get(), ErrorCode::connect_failed));
  auto options = brief();
  options.connect_timeout = a_moment;  // resolvers take their time
  const auto no_host = ValkeyCache::open("valkey://no-such-host.invalid", options).value();
  EXPECT_TRUE(wait_until([&] { return no_host.stats().connect_failures > 0; }));
  EXPECT_TRUE(
      fails_with(no_host.get(key_of("k"), {.timeout = 100ms}).get(), ErrorCode::connect_failed));
}

TEST(Outage, ADeadlineCoversTheTimeWithoutAConnection) {
  const auto cache = ValkeyCache::open("valkey://127.0.0.1:1", patient()).value();
  const auto before = SteadyClock::now();
  EXPECT_TRUE(fails_with(cache.get(key_of("k"), {.timeout = 50ms}).get(), unreachable));
  EXPECT_TRUE(fails_with(cache.clear({.timeout = 50ms}).get(), unreachable));
  EXPECT_TRUE(fails_with(cache.ping({.timeout = 50ms}).get(), unreachable));
  const auto set = cache.set({{key_of("a"), "1"}, {key_of("b"), "2"}}, {.timeout = 50ms}).get();
  if (set) {
    for (const auto& each : *set) EXPECT_TRUE(fails_with(each, unreachable));
  } else {
    EXPECT_TRUE(fails_with(set, unreachable));
  }
  EXPECT_LT(SteadyClock::now() - before, a_moment);
}

TEST(Outage, CancelledWithoutAConnection) {
  const auto cache = ValkeyCache::open("valkey://127.0.0.1:1", patient()).value();
  std::stop_source stop;
  auto get = cache.get(key_of("k"), {.stop_token = stop.get_token()});
  auto set = cache.set(key_of("k"), "v", {}, {.stop_token = stop.get_token()});
  auto many = cache.get({key_of("a"), key_of("b")}, {.stop_token = stop.get_token()});
  ClearOptions clear_options;
  clear_options.stop_token = stop.get_token();
  auto clear = cache.clear(clear_options);
  EXPECT_FALSE(get.ready());
  stop.request_stop();
  EXPECT_TRUE(fails_with(get.get(), ErrorCode::cancelled));
  const auto stored = set.get();
  EXPECT_TRUE(fails_with(stored, ErrorCode::cancelled));
  EXPECT_FALSE(stored.error().maybe_applied);
  EXPECT_TRUE(fails_with(clear.get(), ErrorCode::cancelled));
  const auto list = many.get();
  if (list) {
    for (const auto& each : *list) EXPECT_TRUE(fails_with(each, ErrorCode::cancelled));
  } else {
    EXPECT_TRUE(fails_with(list, ErrorCode::cancelled));
  }
}

// --- dies and comes back -----------------------------------------------------------------------

TEST(Outage, KilledAndStartedAgain) {
  ValkeyServer server;
  auto options = patient();
  options.command_timeout = 200ms;
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", {}, {.timeout = patience}).get()));
  server.kill();
  EXPECT_TRUE(wait_until([&] { return !cache.connected(); })) << "it is noticed while nobody calls";
  EXPECT_TRUE(fails_with(cache.get(key_of("k")).get(), unreachable));
  server.start();
  EXPECT_TRUE(wait_until([&] { return cache.connected(); }));
  const CallOptions patiently{.timeout = patience};
  EXPECT_EQ(cache.get(key_of("k"), patiently).get().value(), std::nullopt);
  ASSERT_TRUE(ok(cache.set(key_of("k"), "again", {}, patiently).get()));
  EXPECT_EQ(cache.get(key_of("k"), patiently).get().value(), Found("again"));
  EXPECT_EQ(cache.stats().connects, 2U);
}

TEST(Outage, DroppedByTheServerWhileIdle) {
  const ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  for (std::uint64_t i = 1; i <= 5; ++i) {
    server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    EXPECT_TRUE(wait_until([&] { return cache.stats().connects == i + 1; }));
    EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("v"));
  }
}

TEST(Outage, RestartedUnderLoad) {
  ValkeyServer server;
  auto options = patient();
  options.command_timeout = 1s;
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  ASSERT_TRUE(ok(cache.ping().get()));
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> fine{0};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        const std::string text = std::to_string(t) + "-" + std::to_string(i % 50);
        const std::string value = "value of " + text;
        auto set = cache.set(key_of(text), value);
        auto get = cache.get(key_of(text));
        auto many = cache.get({key_of(text), key_of("missing")});
        const auto stored = set.get();
        const auto found = get.get();
        const auto list = many.get();
        if (found && *found && **found != value) ++wrong;
        if (list && (*list)[0] && *(*list)[0] && **(*list)[0] != value) ++wrong;
        if (list && (*list)[1] && *(*list)[1]) ++wrong;
        if (stored && found)
          ++fine;
        else
          ++failed;
        for (const auto* error :
             {stored ? nullptr : &stored.error(), found ? nullptr : &found.error()}) {
          if (error &&
              std::find(unreachable.begin(), unreachable.end(), error->code) == unreachable.end() &&
              error->code != ErrorCode::server_unavailable) {
            ADD_FAILURE() << described(*error);
            ++wrong;
          }
        }
      }
    });
  }
  for (int round = 0; round < 3; ++round) {
    const int before = fine;
    EXPECT_TRUE(wait_until([&] { return fine > before + 200; }));
    if (round % 2 == 0) {
      server.restart();
    } else {
      server.kill();
      server.start();
    }
  }
  const int before = fine;
  EXPECT_TRUE(wait_until([&] { return fine > before + 200; })) << "all is well again";
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(cache.stats().connects, 4U);
}

TEST(Outage, CutUnderLoad) {
  const ValkeyServer server;
  TcpProxy proxy(server.port());
  const auto cache = ValkeyCache::open(proxy.uri(), patient()).value();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(ok(cache.set(key_of(std::to_string(i)), "value " + std::to_string(i)).get()));
  }
  for (int round = 0; round < 20; ++round) {
    std::vector<Future<Found>> gets;
    for (int i = 0; i < 100; ++i) gets.push_back(cache.get(key_of(std::to_string(i))));
    auto list = cache.get({key_of("3"), key_of("5")});
    proxy.cut();
    for (int i = 0; i < 100; ++i) {
      // Gets are asked again once; twice unlucky is an error.
      const auto found = gets[static_cast<std::size_t>(i)].get();
      if (found) {
        EXPECT_EQ(*found, Found("value " + std::to_string(i)));
      } else {
        EXPECT_TRUE(fails_with(found, ErrorCode::connection_lost));
        EXPECT_FALSE(found.error().maybe_applied) << "reading changes nothing";
      }
    }
    const auto both = list.get();
    if (both && (*both)[1]) {
      EXPECT_EQ(*(*both)[1], Found("value 5"));
    }
  }
  EXPECT_TRUE(wait_until([&] { return cache.get(key_of("7")).get().has_value(); }));
}

// --- hangs -------------------------------------------------------------------------------------

TEST(Outage, AStoppedServerDelaysACallByItsDeadlineOnly) {
  ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(ok(cache.set(key_of(std::to_string(i)), "value " + std::to_string(i)).get()));
  }
  server.pause();
  const auto before = SteadyClock::now();
  const CallOptions brief_call{.timeout = 100ms};
  const auto got = cache.get(key_of("0"), brief_call).get();
  EXPECT_TRUE(fails_with(got, ErrorCode::timeout));
  EXPECT_TRUE(got.error().retryable);
  EXPECT_FALSE(got.error().maybe_applied);
  const auto set = cache.set(key_of("late"), "v", {}, brief_call).get();
  EXPECT_TRUE(fails_with(set, ErrorCode::timeout));
  EXPECT_TRUE(set.error().maybe_applied) << "it was sent, and may well be done later";
  EXPECT_TRUE(fails_with(cache.ping(brief_call).get(), ErrorCode::timeout));
  EXPECT_TRUE(fails_with(cache.clear({"none"}, {.timeout = 100ms}).get(), ErrorCode::timeout));
  EXPECT_TRUE(ok(cache.flush(100ms).get())) << "the store has ended, badly";
  EXPECT_LT(SteadyClock::now() - before, a_moment);
  EXPECT_GE(SteadyClock::now() - before, 100ms);
  EXPECT_GE(cache.stats().timeouts, 4U);
  server.resume();
  // What comes late is for nobody: every answer is that of its own question.
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(cache.get(key_of(std::to_string(i))).get().value(),
              Found("value " + std::to_string(i)));
  }
  EXPECT_TRUE(wait_until([&] { return cache.get(key_of("late")).get().value() == Found("v"); }));
}

TEST(Outage, OneTimeoutDoesNotCostOthersTheConnection) {
  ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  server.pause();
  auto patient_get = cache.get(key_of("k"));
  EXPECT_TRUE(fails_with(cache.get(key_of("k"), {.timeout = 50ms}).get(), ErrorCode::timeout));
  auto later_get = cache.get(key_of("k"));
  server.resume();
  EXPECT_EQ(patient_get.get().value(), Found("v"));
  EXPECT_EQ(later_get.get().value(), Found("v"));
  EXPECT_EQ(cache.stats().connects, 1U);
}

TEST(Outage, ConnectedToWhileStopped) {
  // The kernel accepts connections for a stopped server.
  ValkeyServer server;
  server.pause();
  auto options = patient();
  options.connect_timeout = 200ms;
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  const auto before = SteadyClock::now();
  EXPECT_TRUE(fails_with(cache.get(key_of("k"), {.timeout = 100ms}).get(), unreachable));
  EXPECT_LT(SteadyClock::now() - before, a_moment);
  EXPECT_TRUE(wait_until([&] { return cache.stats().connect_failures > 1; }));
  server.resume();
  EXPECT_TRUE(wait_until([&] { return cache.connected(); }));
  EXPECT_TRUE(ok(cache.set(key_of("k"), "v").get()));
}

TEST(Outage, CancelledWhileTheServerIsStopped) {
  ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  server.pause();
  std::stop_source stop;
  auto get = cache.get(key_of("k"), {.stop_token = stop.get_token()});
  auto set = cache.set(key_of("other"), "v", {}, {.stop_token = stop.get_token()});
  // Sent before they are cancelled.
  EXPECT_TRUE(wait_until([&] { return cache.stats().in_flight == 2; }));
  stop.request_stop();
  EXPECT_TRUE(fails_with(get.get(), ErrorCode::cancelled));
  EXPECT_TRUE(fails_with(set.get(), ErrorCode::cancelled));
  server.resume();
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("v"));
  EXPECT_EQ(cache.stats().connects, 1U);
}

TEST(Outage, ClosingWhileTheServerIsStoppedIsBounded) {
  ValkeyServer server;
  auto options = patient();
  options.close_timeout = 200ms;
  std::optional cache = ValkeyCache::open(server.uri(), options).value();
  ASSERT_TRUE(ok(cache->ping().get()));
  server.pause();
  auto set = cache->set(key_of("k"), "v");
  auto get = cache->get(key_of("k"));
  auto clear = cache->clear();
  const auto before = SteadyClock::now();
  cache.reset();
  EXPECT_LT(SteadyClock::now() - before, a_moment);
  EXPECT_TRUE(fails_with(set.get(), ErrorCode::closed));
  EXPECT_TRUE(fails_with(get.get(), ErrorCode::closed));
  EXPECT_TRUE(fails_with(clear.get(), ErrorCode::closed));
}

TEST(Outage, AFlushWaitsForStoresAndNoLonger) {
  ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  ASSERT_TRUE(ok(cache.ping().get()));
  server.pause();
  auto get = cache.get(key_of("k"));
  EXPECT_TRUE(ok(cache.flush(a_moment).get())) << "a get is no store";
  auto set = cache.set(key_of("k"), "v");
  EXPECT_TRUE(fails_with(cache.flush(50ms).get(), ErrorCode::timeout));
  auto flush = cache.flush(patience);
  EXPECT_FALSE(flush.ready());
  server.resume();
  EXPECT_TRUE(ok(flush.get()));
  EXPECT_TRUE(set.ready());
  EXPECT_TRUE(ok(set.get()));
}

TEST(Outage, ANetworkThatLosesEverything) {
  const ValkeyServer server;
  TcpProxy proxy(server.port());
  auto options = patient();
  options.connect_timeout = 100ms;
  const auto cache = ValkeyCache::open(proxy.uri(), options).value();
  const CallOptions patiently{.timeout = patience};
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", {}, patiently).get()));
  const auto let_in = proxy.connections();
  const auto failed = cache.stats().connect_failures;
  proxy.fall_silent(TcpProxy::Newcomers::lost);
  proxy.cut();
  EXPECT_TRUE(wait_until([&] { return cache.stats().connect_failures >= failed + 3; }));
  const auto got = cache.get(key_of("k"), {.timeout = 500ms}).get();
  ASSERT_TRUE(fails_with(got, unreachable));
  EXPECT_NE(got.error().message.find("connect_timeout"), std::string::npos) << got.error().message;
  EXPECT_LE(proxy.connections(), let_in + 1) << "one may have come in just before";
  proxy.speak_again();
  EXPECT_TRUE(wait_until([&] { return cache.get(key_of("k")).get().has_value(); }));
}

TEST(Outage, AClearWithoutALimitWaitsForTheServer) {
  ValkeyServer server;
  auto options = patient();
  options.command_timeout = 100ms;
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", {}, {.timeout = patience}).get()));
  server.pause();
  auto clear = cache.clear();
  // Longer than command_timeout, as the call beside it shows.
  EXPECT_TRUE(fails_with(cache.get(key_of("k")).get(), ErrorCode::timeout));
  EXPECT_TRUE(fails_with(cache.get(key_of("k")).get(), ErrorCode::timeout));
  EXPECT_FALSE(clear.ready());
  server.resume();
  EXPECT_EQ(clear.get().value(), 1U);
}

TEST(Outage, ASilentConnectionIsGivenUpInTheEnd) {
  // Silence for long after something was asked: the connection is dead, though nobody says so. A
  // new one is made, and calls are answered over it.
  FakeServer fake([](FakeConnection& connection) {
    while (const auto command = connection.read_after_handshake()) {
      if (connection.number() == 0) {
        connection.swallow();
        return;
      }
      if (!connection.write(bulk("v"))) return;
    }
  });
  auto options = patient();
  options.command_timeout = 100ms;
  const auto cache = ValkeyCache::open(fake.uri(), options).value();
  ASSERT_TRUE(wait_until([&] { return cache.connected(); }));
  EXPECT_TRUE(fails_with(cache.get(key_of("k")).get(), ErrorCode::timeout));
  EXPECT_TRUE(wait_until([&] { return cache.get(key_of("k")).get().has_value(); }));
  EXPECT_EQ(fake.connections(), 2);
}

// --- too slow, too much ------------------------------------------------------------------------

TEST(Outage, AFullQueueSaysSoAtOnce) {
  for (const bool connected : {false, true}) {
    ValkeyServer server;
    auto options = patient();
    options.max_queued_commands = 10;
    if (!connected) server.stop();
    const auto cache = ValkeyCache::open(server.uri(), options).value();
    if (connected) {
      ASSERT_TRUE(ok(cache.ping().get()));
      server.pause();
    }
    std::vector<Future<void>> accepted;
    for (int i = 0; i < 10; ++i) accepted.push_back(cache.set(key_of(std::to_string(i)), "v"));
    for (int i = 0; i < 5; ++i) {
      const auto before = SteadyClock::now();
      const auto refused = cache.set(key_of("x"), "v").get();
      EXPECT_TRUE(fails_with(refused, ErrorCode::overloaded)) << connected;
      EXPECT_TRUE(refused.error().retryable);
      EXPECT_FALSE(refused.error().maybe_applied);
      EXPECT_LT(SteadyClock::now() - before, a_moment);
      EXPECT_TRUE(fails_with(cache.get(key_of("x")).get(), ErrorCode::overloaded));
      const auto many = cache.set({{key_of("x"), "1"}, {key_of("y"), "2"}}).get();
      if (many) {
        for (const auto& each : *many) EXPECT_TRUE(fails_with(each, ErrorCode::overloaded));
      } else {
        EXPECT_TRUE(fails_with(many, ErrorCode::overloaded));
      }
    }
    EXPECT_EQ(cache.stats().in_flight, 10U);
    EXPECT_GE(cache.stats().overloaded, 15U);
    if (connected)
      server.resume();
    else
      server.start();
    for (auto& each : accepted) EXPECT_TRUE(ok(each.get()));
    EXPECT_TRUE(wait_until([&] { return cache.stats().in_flight == 0; }));
    EXPECT_TRUE(ok(cache.set(key_of("x"), "v").get()));
  }
}

TEST(Outage, WhatIsAnsweredHasLeftTheQueue) {
  // Whoever keeps exactly to the limit is never told that the queue is full.
  const ValkeyServer server;
  for (const std::size_t limit : {std::size_t{1}, std::size_t{8}}) {
    auto options = patient();
    options.max_queued_commands = limit;
    const auto cache = ValkeyCache::open(server.uri(), options).value();
    std::vector<Future<Found>> window;
    for (std::size_t i = 0; i < limit; ++i) window.push_back(cache.get(key_of("k")));
    for (std::size_t i = 0; i < 2000; ++i) {
      ASSERT_TRUE(ok(window[i % limit].get())) << limit << ", " << i;
      window[i % limit] = cache.get(key_of("k"));
    }
  }
}

TEST(Outage, ABatchThatIsLongerThanTheQueue) {
  ValkeyServer server;
  auto options = patient();
  options.max_queued_commands = 100;
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  ASSERT_TRUE(ok(cache.ping().get()));
  server.pause();
  std::vector<KeyValue> entries;
  for (int i = 0; i < 300; ++i) entries.push_back({key_of(std::to_string(i)), "v"});
  auto batch = cache.set(std::move(entries));
  server.resume();
  const auto results = batch.get().value();
  ASSERT_EQ(results.size(), 300U);
  for (int i = 0; i < 300; ++i) {
    const auto& result = results[static_cast<std::size_t>(i)];
    if (i < 100) {
      EXPECT_TRUE(ok(result)) << i;
    } else {
      EXPECT_TRUE(fails_with(result, ErrorCode::overloaded)) << i;
    }
  }
  EXPECT_EQ(server.command({"DBSIZE"}).integer, 100) << "each result is the truth";
}

TEST(Outage, AQueueFullOfBytesSaysSo) {
  ValkeyServer server;
  server.stop();
  auto options = patient();
  options.max_queued_bytes = 1 << 20;
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  std::vector<Future<void>> accepted;
  const std::string value(100000, 'x');
  for (int i = 0; i < 9; ++i) accepted.push_back(cache.set(key_of(std::to_string(i)), value));
  auto small = cache.set(key_of("small"), "v");
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(
        fails_with(cache.set(key_of("x"), std::string(200000, 'x')).get(), ErrorCode::overloaded));
  }
  server.start();
  for (auto& each : accepted) EXPECT_TRUE(ok(each.get()));
  EXPECT_TRUE(ok(small.get()));
  EXPECT_TRUE(ok(cache.set(key_of("x"), std::string(200000, 'x')).get())) << "there is room again";
}

TEST(Outage, WhatIsCancelledOrTimesOutMakesRoom) {
  auto options = patient();
  options.max_queued_commands = 10;
  const auto cache = ValkeyCache::open("valkey://127.0.0.1:1", options).value();
  for (int round = 0; round < 5; ++round) {
    std::stop_source stop;
    std::vector<Future<Found>> gets;
    const auto begin = SteadyClock::now();
    for (int i = 0; i < 5; ++i) {
      gets.push_back(cache.get(key_of("k"), {.stop_token = stop.get_token()}));
      gets.push_back(cache.get(key_of("k"), {.timeout = 100ms}));
    }
    const auto one_more = cache.get(key_of("k"), {.timeout = 100ms}).get();
    ASSERT_FALSE(one_more.has_value());
    if (SteadyClock::now() - begin < 100ms) {
      EXPECT_TRUE(fails_with(one_more, ErrorCode::overloaded));
    }
    stop.request_stop();
    for (auto& get : gets) {
      const auto result = get.get();
      ASSERT_FALSE(result.has_value());
      EXPECT_NE(result.error().code, ErrorCode::overloaded) << round;
    }
    EXPECT_TRUE(wait_until([&] { return cache.stats().in_flight == 0; }));
  }
}

TEST(Outage, ASilentServerDoesNotMakeTheQueueGrow) {
  // Calls that gave up leave their replies' places behind, and those are bounded as well.
  ValkeyServer server;
  auto options = patient();
  options.max_queued_commands = 50;
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  ASSERT_TRUE(ok(cache.ping().get()));
  server.pause();
  int overloaded = 0;
  for (int i = 0; i < 200; ++i) {
    const auto got = cache.get(key_of("k"), {.timeout = 1ms}).get();
    ASSERT_TRUE(fails_with(got, {ErrorCode::timeout, ErrorCode::overloaded}));
    overloaded += got.error().code == ErrorCode::overloaded ? 1 : 0;
  }
  EXPECT_GE(overloaded, 100);
  server.resume();
  EXPECT_TRUE(wait_until([&] { return cache.get(key_of("k")).get().has_value(); }));
  EXPECT_EQ(cache.stats().connects, 1U);
}

std::chrono::microseconds processor_time() {
  return std::chrono::microseconds(std::clock());  // POSIX counts a million a second
}

TEST(Outage, WhoWaitsForASilentServerSleeps) {
  // Callers wait awake for a server that has been quick; not for long, though.
  for (const int callers : {1, 8}) {
    ValkeyServer server;
    const auto cache = ValkeyCache::open(server.uri(), patient()).value();
    std::latch warm(callers);
    std::latch paused(1);
    std::vector<std::thread> threads;
    for (int i = 0; i < callers; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 500; ++k) (void)cache.get(key_of("k")).get();
        warm.count_down();
        paused.wait();
        EXPECT_TRUE(fails_with(cache.get(key_of("k"), {.timeout = 1s}).get(), ErrorCode::timeout));
      });
    }
    warm.wait();
    server.pause();
    const auto before = processor_time();
    paused.count_down();
    for (auto& thread : threads) thread.join();
    EXPECT_LT(processor_time() - before, 300ms) << callers;
    server.resume();
  }
}

TEST(Outage, NoDescriptorsAreLeft) {
  const ValkeyServer server;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto leave = [&](int count) {
    // The lowest free number is what the next descriptor gets.
    const int next = dup(0);
    ASSERT_GE(next, 0);
    close(next);
    rlimit limit = before;
    limit.rlim_cur = static_cast<rlim_t>(next + count);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  };
  for (int count = 0; count < 2; ++count) {
    leave(count);
    const auto opened = ValkeyCache::open(server.uri(), patient());
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_TRUE(fails_with(opened, ErrorCode::connect_failed)) << count;
  }
  // Enough for the thread, and not for the connection: that is made once there are some again.
  leave(2);
  auto options = patient();
  options.command_timeout = 100ms;
  options.connect_timeout = 100ms;
  const auto cache = ValkeyCache::open(server.uri(), options);
  const auto got = cache ? cache->get(key_of("k")).get() : Result<Found>(cache.error());
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(fails_with(got, unreachable));
  ASSERT_TRUE(ok(cache));
  EXPECT_TRUE(wait_until([&] { return cache->get(key_of("k")).get().has_value(); }));
}

// More than the buffers of both ends hold.
constexpr std::size_t more_than_sockets_hold = std::size_t{6} << 20;

TEST(Outage, ALargeValueToASlowReader) {
  // The socket fills up, and is written on as it empties.
  const std::string large(more_than_sockets_hold, 'x');
  FakeServer fake(answering([&](const Command& command) -> std::string {
    if (command[0] == "SET") return command.back() == large ? "+OK\r\n" : "-ERR cut\r\n";
    return bulk("value of " + command.back());
  }));
  auto options = patient();
  options.command_timeout = patience * 4;  // kernels are slow to open a window that was shut
  const auto cache = ValkeyCache::open(fake.uri(), options).value();
  auto set = cache.set(key_of("large"), large);
  auto get = cache.get(key_of("k"));
  EXPECT_TRUE(ok(set.get()));
  EXPECT_EQ(get.get().value(), Found("value of llm_cache:test/k"));
}

TEST(Outage, ASlowNetworkIsNoSilentOne) {
  // A large value takes longer to send than a silent server is given; but it moves all the while.
  constexpr std::size_t size = std::size_t{8} << 20;
  Gate arrived;
  FakeServer fake([&](FakeConnection& connection) {
    while (const auto command = connection.read_command()) {
      const auto reply = handshake_reply(*command);
      if (!connection.write(reply ? *reply : "+PONG\r\n")) return;
      if (!reply) break;
    }
    const auto begun = SteadyClock::now();
    // 64 KiB each tenth of a second, for longer than the patience with a silent server.
    while (SteadyClock::now() - begun < 6s) {
      if (!connection.swallow_some()) return;
      std::this_thread::sleep_for(100ms);
    }
    arrived.open();
    connection.swallow();
  });
  auto options = patient();
  options.command_timeout = 100ms;
  std::optional cache = ValkeyCache::open(fake.uri(), options).value();
  ASSERT_TRUE(ok(cache->ping({.timeout = patience}).get()));
  auto set = cache->set(key_of("large"), std::string(size, 'x'), {}, {.timeout = patience * 4});
  EXPECT_TRUE(arrived.wait());
  EXPECT_EQ(fake.connections(), 1);
  EXPECT_FALSE(set.ready());
  cache.reset();
  EXPECT_TRUE(fails_with(set.get(), ErrorCode::closed));
}

TEST(Outage, ALargeValueThatTimesOutHalfWrittenDoesNotShiftTheRest) {
  // Half a command is in the socket when its time is over: the other half must follow, or the
  // connection must go.
  ValkeyServer stopped;
  auto options = patient();
  options.command_timeout = patience * 4;
  const auto cache = ValkeyCache::open(stopped.uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  stopped.pause();
  const std::string huge(more_than_sockets_hold * 2, 'x');
  EXPECT_TRUE(fails_with(cache.set(key_of("huge"), huge, {}, {.timeout = 200ms}).get(),
                         ErrorCode::timeout));
  auto get = cache.get(key_of("k"));
  stopped.resume();
  EXPECT_EQ(get.get().value(), Found("v"));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("v"));
  const auto found = cache.get(key_of("huge")).get().value();
  EXPECT_TRUE(!found || *found == huge) << "all of it or nothing";
}

// --- what is told ------------------------------------------------------------------------------

TEST(Outage, AContinuationThatHoldsTheIoThreadIsReported) {
  const ValkeyServer server;
  const LogRecords log;
  auto options = patient();
  options.log = log.hook();
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  ASSERT_TRUE(ok(cache.ping().get()));
  const auto before = log.lines().size();
  // Until one ran on the I/O thread, and not on this one, since its reply had not come yet.
  EXPECT_TRUE(wait_until([&] {
    auto slow = cache.get(key_of("k")).then([caller = std::this_thread::get_id()](Result<Found>) {
      if (std::this_thread::get_id() == caller) return;
      const auto begun = SteadyClock::now();
      while (SteadyClock::now() - begun < 50ms) {
      }
    });
    EXPECT_TRUE(ok(slow.get()));
    return log.lines().size() > before;
  }));
}

TEST(Outage, NothingSecretIsToldWhateverGoesWrong) {
  ValkeyServer server({.config = {"user alice on >s3cret-password ~* +@all"}});
  const LogRecords log;
  std::vector<Error> errors;
  const auto keep = [&](const auto& result) {
    if (!result) errors.push_back(result.error());
  };
  auto options = patient();
  options.log = log.hook();
  options.username = "alice";
  options.password = "s3cret-password";
  options.command_timeout = 100ms;
  options.max_value_bytes = 1000;
  const CacheKey key = key_of("the-prompt-s3cret");
  const std::string value = "the-answer-s3cret";
  const auto exercise = [&](const ValkeyCache& cache) {
    keep(cache.set(key, value).get());
    keep(cache.get(key).get());
    keep(cache.set(key, value, 0s).get());
    keep(cache.set(key, value + std::string(2000, 'x')).get());
    keep(cache.erase_if(key, value).get());
    keep(cache.clear({.timeout = 100ms}).get());
    auto thrower = cache.get(key).then([&](Result<Found>) { throw std::runtime_error(value); });
    keep(thrower.get());
  };
  {
    const auto cache = ValkeyCache::open(server.uri(), options).value();
    exercise(cache);
    server.pause();
    exercise(cache);
    server.resume();
    server.kill();
    exercise(cache);
    server.start();
    EXPECT_TRUE(wait_until([&] { return cache.connected(); }));
    exercise(cache);
    server.command({"ACL", "SETUSER", "alice", "-@all"});
    exercise(cache);
    server.command({"ACL", "SETUSER", "alice", "resetpass", ">other"});
    server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    EXPECT_TRUE(wait_until([&] { return !cache.connected(); }));
    exercise(cache);
  }
  for (const char* answer : {"HTTP/1.1 200 OK\r\n", ":5\r\n", "$2147483647\r\n", "+s3cret\r\n"}) {
    FakeServer fake(answering([&](const Command&) { return std::string(answer); }));
    exercise(ValkeyCache::open(fake.uri(), options).value());
  }
  for (const std::string uri :
       {"valkey://alice:s3cret@", "valkey://alice:s3cret@host:port", "valkey://a:s3cret%@host",
        "valkeys://a:s3cret@host:0", "nonsense://a:s3cret@host", "valkey://a:s3cret@host/db"}) {
    keep(ValkeyCache::open(uri, options));
  }
  EXPECT_GT(errors.size(), 20U);
  for (const auto& error : errors) {
    EXPECT_EQ(error.message.find("s3cret"), std::string::npos) << error.message;
    EXPECT_EQ(error.server_code.find("s3cret"), std::string::npos) << error.server_code;
  }
  EXPECT_FALSE(log.lines().empty());
  for (const auto& line : log.lines()) {
    EXPECT_EQ(line.find("s3cret"), std::string::npos) << line;
    EXPECT_TRUE(line.starts_with("valkey: ") || line.starts_with("future: ")) << line;
  }
}

}  // namespace
