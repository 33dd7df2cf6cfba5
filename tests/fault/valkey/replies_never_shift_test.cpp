// Whoever gives up waiting leaves a reply behind, and that reply must reach nobody else. Each value
// names its key here, so that a reply that went astray is seen at once.
#include <atomic>
#include <random>
#include <thread>

#include "fault.hpp"
#include "support/valkey/tcp_proxy.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

std::string value_of(const std::string& text) {
  return "value of " + text;
}

// The value that belongs to a wire key.
std::string answer_to(const Command& command) {
  return bulk("value of " + command.back());
}

TEST(RepliesNeverShift, AReplyThatComesTooLate) {
  Gate let_go;
  FakeServer fake([&](FakeConnection& connection) {
    bool first = true;
    while (const auto command = connection.read_after_handshake()) {
      if (std::exchange(first, false)) let_go.wait();
      if (!connection.write(answer_to(*command))) return;
    }
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  EXPECT_TRUE(fails_with(cache.get(key_of("late"), {.timeout = 50ms}).get(), ErrorCode::timeout));
  auto next = cache.get(key_of("next"));
  let_go.open();
  EXPECT_EQ(next.get().value(), Found("value of llm_cache:test/next"));
  EXPECT_EQ(cache.get(key_of("last")).get().value(), Found("value of llm_cache:test/last"));
  EXPECT_EQ(fake.connections(), 1);
}

TEST(RepliesNeverShift, AReplyThatIsHalfThere) {
  Gate half_sent;
  Gate let_go;
  FakeServer fake([&](FakeConnection& connection) {
    bool first = true;
    while (const auto command = connection.read_after_handshake()) {
      const std::string reply = answer_to(*command);
      if (!std::exchange(first, false)) {
        if (!connection.write(reply)) return;
        continue;
      }
      connection.write(reply.substr(0, 9));
      half_sent.open();
      let_go.wait();
      connection.write(reply.substr(9));
    }
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  std::stop_source stop;
  auto late = cache.get(key_of("late"), {.stop_token = stop.get_token()});
  ASSERT_TRUE(half_sent.wait());
  stop.request_stop();
  EXPECT_TRUE(fails_with(late.get(), ErrorCode::cancelled));
  auto next = cache.get(key_of("next"));
  let_go.open();
  EXPECT_EQ(next.get().value(), Found("value of llm_cache:test/next"));
}

TEST(RepliesNeverShift, CallsThatEndDuringTheHandshake) {
  Gate let_go;
  FakeServer fake([&](FakeConnection& connection) {
    let_go.wait();
    while (const auto command = connection.read_after_handshake()) {
      if (!connection.write(answer_to(*command))) return;
    }
  });
  auto options = patient();
  options.username = "user";
  options.password = "pass";
  options.database = 3;
  const auto cache = ValkeyCache::open(fake.uri(), options).value();
  ASSERT_TRUE(wait_until([&] { return fake.connections() == 1; }));
  std::stop_source stop;
  auto cancelled = cache.get(key_of("cancelled"), {.stop_token = stop.get_token()});
  auto late = cache.get(key_of("late"), {.timeout = 50ms});
  auto next = cache.get(key_of("next"));
  stop.request_stop();
  EXPECT_TRUE(fails_with(cancelled.get(), ErrorCode::cancelled));
  EXPECT_TRUE(fails_with(late.get(), {ErrorCode::timeout, ErrorCode::connect_failed}));
  let_go.open();
  EXPECT_EQ(next.get().value(), Found("value of llm_cache:test/next"));
  EXPECT_EQ(fake.connections(), 1) << "nor does it cost the connection";
  for (const auto& command : fake.commands_after_handshake()) {
    EXPECT_EQ(command.back(), "llm_cache:test/next") << "what ended before it was sent is not sent";
  }
}

TEST(RepliesNeverShift, MembersOfAListThatTimedOut) {
  Gate let_go;
  FakeServer fake([&](FakeConnection& connection) {
    bool first = true;
    while (const auto command = connection.read_after_handshake()) {
      if (std::exchange(first, false)) let_go.wait();
      if ((*command)[0] == "MGET") {
        std::vector<std::string> items;
        for (std::size_t i = 1; i < command->size(); ++i)
          items.push_back(bulk(value_of((*command)[i])));
        if (!connection.write(array(items))) return;
      } else if (!connection.write(answer_to(*command))) {
        return;
      }
    }
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  std::vector<CacheKey> keys;
  for (int i = 0; i < 1300; ++i) keys.push_back(key_of(std::to_string(i)));
  auto late = cache.get(keys, {.timeout = 50ms});
  auto next = cache.get(key_of("next"));
  const auto list = late.get();
  if (list) {
    for (const auto& each : *list) EXPECT_TRUE(fails_with(each, ErrorCode::timeout));
  } else {
    EXPECT_TRUE(fails_with(list, ErrorCode::timeout));
  }
  let_go.open();
  EXPECT_EQ(next.get().value(), Found("value of llm_cache:test/next"));
  const auto again = cache.get(keys).get().value();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(again[i].value(), Found("value of llm_cache:test/" + std::to_string(i)));
  }
}

TEST(RepliesNeverShift, AClearThatWasCancelled) {
  Gate let_go;
  FakeServer fake([&](FakeConnection& connection) {
    bool first = true;
    while (const auto command = connection.read_after_handshake()) {
      if (std::exchange(first, false)) let_go.wait();
      std::string reply = answer_to(*command);
      if ((*command)[0] == "SCAN") reply = array({bulk("0"), array({bulk("llm_cache:x")})});
      if ((*command)[0] == "DEL") reply = ":1\r\n";
      if (!connection.write(reply)) return;
    }
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  std::stop_source stop;
  ClearOptions options;
  options.stop_token = stop.get_token();
  auto clear = cache.clear(options);
  ASSERT_TRUE(wait_until([&] { return !fake.commands_after_handshake().empty(); }));
  stop.request_stop();
  EXPECT_TRUE(fails_with(clear.get(), ErrorCode::cancelled));
  auto next = cache.get(key_of("next"));
  let_go.open();
  EXPECT_EQ(next.get().value(), Found("value of llm_cache:test/next"));
}

// Many threads with deadlines of a few milliseconds, cancellations at any moment, lists, and a
// network that delays and cuts up what it carries and breaks now and then.
void stress(const std::string& uri, SteadyClock::duration time,
            const std::function<void(int)>& disturb) {
  auto options = patient();
  options.command_timeout = 5s;
  const auto cache = ValkeyCache::open(uri, options).value();
  constexpr int keys = 64;
  const auto text_of = [](int i) {
    return "key-" + std::to_string(i % keys);
  };
  for (int i = 0; i < keys; ++i) {
    // Of many sizes, so that replies end anywhere in a packet.
    const std::string text = text_of(i);
    ASSERT_TRUE(wait_until([&] {
      return cache
          .set(key_of(text),
               value_of(text) + "|" + std::string(static_cast<std::size_t>(i * i * 3), 'x'))
          .get()
          .has_value();
    }));
  }

  std::atomic<bool> stop{false};
  std::atomic<long> wrong{0};
  std::atomic<long> hits{0};
  std::atomic<long> ended_early{0};
  const auto judge = [&](const std::string& text, const Result<Found>& found) {
    if (!found) {
      ++ended_early;
    } else if (!*found || !(*found)->starts_with(value_of(text) + "|")) {
      ++wrong;
    } else {
      ++hits;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t + 1);
      const auto below = [&](unsigned n) {
        return static_cast<int>(random() % n);
      };
      while (!stop) {
        std::stop_source source;
        std::vector<std::string> texts;
        std::vector<Future<Found>> gets;
        for (int i = 0; i < 8; ++i) {
          CallOptions call;
          if (below(2) == 0) call.timeout = std::chrono::milliseconds(below(4));
          if (below(3) == 0) call.stop_token = source.get_token();
          texts.push_back(text_of(below(keys)));
          gets.push_back(cache.get(key_of(texts.back()), call));
        }
        const std::string first = text_of(below(keys));
        const std::string second = text_of(below(keys));
        CallOptions call;
        if (below(2) == 0) call.timeout = std::chrono::milliseconds(below(4));
        auto list = cache.get({key_of(first), key_of("missing"), key_of(second)}, call);
        auto left = cache.ttl(key_of("missing"), call);
        auto erased = cache.erase(key_of("missing"), call);
        if (below(2) == 0) source.request_stop();
        for (std::size_t i = 0; i < gets.size(); ++i) judge(texts[i], gets[i].get());
        const auto both = list.get();
        if (both) {
          judge(first, (*both)[0]);
          judge(second, (*both)[2]);
          if ((*both)[1] && *(*both)[1]) ++wrong;
        }
        // Replies of other types, of which each has one right answer too.
        const auto no_ttl = left.get();
        if (no_ttl ? no_ttl->has_value() : no_ttl.error().code == ErrorCode::protocol_error)
          ++wrong;
        const auto nothing = erased.get();
        if (nothing ? *nothing : nothing.error().code == ErrorCode::protocol_error) ++wrong;
      }
    });
  }
  const auto end = SteadyClock::now() + time;
  for (int i = 0; SteadyClock::now() < end; ++i) disturb(i);
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(hits, 100);
  EXPECT_GT(ended_early, 100) << "or nothing was tested";
  EXPECT_TRUE(wait_until([&] {
    const auto found = cache.get(key_of(text_of(0))).get();
    return found && found->has_value();
  }));
  EXPECT_TRUE(wait_until([&] { return cache.stats().in_flight == 0; }));
}

TEST(RepliesNeverShift, UnderStressOverASlowNetwork) {
  const ValkeyServer server;
  TcpProxy proxy(server.port(), 2ms, 42);
  stress(proxy.uri(), 3s, [&](int) { std::this_thread::sleep_for(10ms); });
}

TEST(RepliesNeverShift, UnderStressOverANetworkThatBreaks) {
  const ValkeyServer server;
  TcpProxy proxy(server.port(), 1ms, 4242);
  stress(proxy.uri(), 3s, [&](int i) {
    std::this_thread::sleep_for(10ms);
    if (i % 20 == 19) proxy.cut();
  });
  EXPECT_GT(proxy.connections(), 2);
}

TEST(RepliesNeverShift, UnderStressOfAServerThatStopsAndGoes) {
  ValkeyServer server;
  stress(server.uri(), 3s, [&](int) {
    server.pause();
    std::this_thread::sleep_for(5ms);
    server.resume();
    std::this_thread::sleep_for(5ms);
  });
  server.resume();
}

}  // namespace
