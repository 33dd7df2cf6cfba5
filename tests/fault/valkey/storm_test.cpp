// What happens to a server under load, or to the process: it goes and comes back, drops clients,
// pauses, holds values beyond all measure; and descriptors run out, and signals come.
#include <atomic>
#include <csignal>
#include <iostream>
#include <thread>

#include <sys/resource.h>

#include "fault.hpp"
#include "support/sanitized.hpp"
#include "support/valkey/tcp_proxy.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

// A field of INFO.
std::int64_t info(const ValkeyServer& server, const std::string& section, const std::string& name) {
  const std::string text = server.command({"INFO", section}).text;
  const auto at = text.find(name + ":");
  return at == std::string::npos ? -1 : std::stoll(text.substr(at + name.size() + 1));
}

// Threads that read and write through a cache until they are told to stop, and look at every value.
class Load {
 public:
  Load(const ValkeyCache& cache, int threads) {
    for (int t = 0; t < threads; ++t) {
      threads_.emplace_back([this, cache, t] { run(cache, t); });
    }
  }
  ~Load() { stop(); }
  void stop() {
    stop_ = true;
    for (auto& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  [[nodiscard]] int fine() const { return fine_; }
  [[nodiscard]] int wrong() const { return wrong_; }
  // Another `count` calls have gone well from now on.
  [[nodiscard]] bool goes_on(int count = 100) const {
    const int before = fine_;
    return wait_until([&] { return fine_ >= before + count; });
  }

 private:
  void run(const ValkeyCache& cache, int thread) {
    for (int i = 0; !stop_; ++i) {
      const std::string text = std::to_string(thread) + "-" + std::to_string(i % 50);
      const std::string value = "value of " + text;
      auto set = cache.set(key_of(text), value);
      std::vector<Future<Found>> gets;
      for (int n = 0; n < 8; ++n) gets.push_back(cache.get(key_of(text)));
      bool all = set.get().has_value();
      for (auto& get : gets) {
        const auto found = get.get();
        if (found && *found && **found != value) ++wrong_;
        all = all && found.has_value();
      }
      if (all) ++fine_;
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> fine_{0};
  std::atomic<int> wrong_{0};
  std::vector<std::thread> threads_;
};

TEST(Storm, CallsResumeWhenTheServerIsBackAndItIsNotFlooded) {
  ValkeyServer server;
  constexpr std::size_t clients = 8;
  std::vector<ValkeyCache> caches;
  std::vector<std::unique_ptr<Load>> loads;
  for (std::size_t i = 0; i < clients; ++i) {
    ValkeyCacheOptions options;  // as they come: what is promised holds for the defaults
    caches.push_back(ValkeyCache::open(server.uri(), options).value());
    loads.push_back(std::make_unique<Load>(caches.back(), 1));
  }
  for (const auto& load : loads) EXPECT_TRUE(load->goes_on());
  const auto down = SteadyClock::now();
  server.kill();
  for (const auto& cache : caches) {
    EXPECT_TRUE(wait_until([&] { return cache.stats().connect_failures >= 4; }));
  }
  std::vector<int> before;
  for (const auto& load : loads) before.push_back(load->fine());
  server.start();
  const auto back = SteadyClock::now();
  for (std::size_t i = 0; i < clients; ++i) {
    EXPECT_TRUE(wait_until([&] { return loads[i]->fine() > before[i]; }));
  }
  const auto resumed = SteadyClock::now() - back;
  // A second, on a machine that has nothing else to do.
  EXPECT_LT(resumed, sanitized ? 10s : 3s);
  std::cout << "calls resumed after "
            << std::chrono::duration_cast<std::chrono::milliseconds>(resumed).count() << " ms\n";
  for (const auto& load : loads) EXPECT_TRUE(load->goes_on());
  const auto seconds = std::chrono::duration<double>(SteadyClock::now() - down).count();
  for (const auto& load : loads) {
    load->stop();
    EXPECT_EQ(load->wrong(), 0);
  }
  for (const auto& cache : caches) {
    EXPECT_EQ(cache.stats().connects, 2U);
    // While it was away they asked ever more rarely.
    EXPECT_LT(static_cast<double>(cache.stats().connect_failures), 20 + 20 * seconds);
  }
  // The server counts since it is back; the rest are this test's own.
  EXPECT_LE(info(server, "stats", "total_connections_received"),
            static_cast<std::int64_t>(clients) + 4);
}

TEST(Storm, ClientsKilledUnderLoad) {
  const ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  constexpr int rounds = sanitized ? 10 : 40;
  {
    Load load(cache, 4);
    for (int i = 0; i < rounds; ++i) {
      EXPECT_TRUE(load.goes_on(20));
      const auto before = cache.stats().connects;
      server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
      EXPECT_TRUE(wait_until([&] { return cache.stats().connects > before; }));
    }
    EXPECT_TRUE(load.goes_on());
    load.stop();
    EXPECT_EQ(load.wrong(), 0);
  }
  EXPECT_EQ(cache.stats().connects, 1U + rounds) << "one for each that was killed";
  EXPECT_EQ(cache.stats().in_flight, 0U);
}

TEST(Storm, APausedServerCostsTimeAndNoConnection) {
  const ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  auto observer = server.connect();
  // Nothing lifts this one before its time: it holds the observers' commands too.
  const auto begin = SteadyClock::now();
  observer.command({"CLIENT", "PAUSE", "1000", "ALL"});
  auto set = cache.set(key_of("k"), "v");
  auto get = cache.get(key_of("k"));
  const auto late = cache.get(key_of("late"), {.timeout = 20ms}).get();
  if (SteadyClock::now() - begin < 1s) {
    EXPECT_TRUE(fails_with(late, ErrorCode::timeout));
  }
  EXPECT_TRUE(ok(set.get()));
  EXPECT_EQ(get.get().value(), Found("v"));
  EXPECT_EQ(cache.get(key_of("other")).get().value(), std::nullopt);
  // With writes paused reads go on, up to those that come after a write.
  observer.command({"CLIENT", "PAUSE", "60000", "WRITE"});
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("v"));
  auto paused_set = cache.set(key_of("k"), "again");
  auto behind_it = cache.get(key_of("k"));
  EXPECT_TRUE(fails_with(cache.get(key_of("k"), {.timeout = 20ms}).get(), ErrorCode::timeout));
  observer.command({"CLIENT", "UNPAUSE"});
  EXPECT_TRUE(ok(paused_set.get()));
  EXPECT_EQ(behind_it.get().value(), Found("again"));
  EXPECT_EQ(cache.stats().connects, 1U);
}

TEST(Storm, AValueOfHalfAGigabyteTakesNoMemory) {
  const ValkeyServer server;
  const auto cache = ValkeyCache::open(server.uri(), patient()).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  server.command({"SETRANGE", "llm_cache:test/huge", std::to_string((512 << 20) - 1), "x"});
  const auto resident = [] {
    const std::string status = read_text("/proc/self/status");
    return std::stoll(status.substr(status.find("VmHWM:") + 6)) << 10;
  };
  const auto before = resident();
  auto huge = cache.get(key_of("huge"));
  std::vector<Future<Found>> others;
  for (int n = 0; n < 20; ++n) others.push_back(cache.get(key_of("k")));
  EXPECT_TRUE(fails_with(huge.get(), ErrorCode::too_large));
  for (auto& other : others) EXPECT_EQ(other.get().value(), Found("v"));
  EXPECT_LT(resident() - before, (sanitized ? 128 : 32) << 20);
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("v"));
}

TEST(Storm, NoDescriptorForTheNextConnection) {
  const ValkeyServer server;
  auto options = patient();
  options.command_timeout = 100ms;
  const auto cache = ValkeyCache::open(server.uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", {}, {.timeout = patience}).get()));
  auto observer = server.connect();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  // Those that there are stay; not even the number of one that is closed can be had again.
  rlimit none = before;
  none.rlim_cur = 1;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  observer.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  EXPECT_TRUE(wait_until([&] { return cache.stats().connect_failures >= 3; }));
  EXPECT_TRUE(fails_with(cache.get(key_of("k")).get(),
                         {ErrorCode::connect_failed, ErrorCode::connection_lost}));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(cache.get(key_of("k"), {.timeout = patience}).get().value(), Found("v"));
  EXPECT_EQ(cache.stats().connects, 2U);
}

std::atomic<int> pipes_broken{0};

TEST(Storm, NoSigpipeWhenTheServerGoesWhileItIsWrittenTo) {
  struct sigaction counting {};
  struct sigaction before {};
  counting.sa_handler = [](int) {
    ++pipes_broken;
  };
  ASSERT_EQ(sigaction(SIGPIPE, &counting, &before), 0);
  // Goes after the first command, with what follows unread.
  FakeServer fake([](FakeConnection& connection) {
    (void)connection.read_after_handshake();
    if (connection.number() % 2 == 0) connection.reset();
  });
  const auto cache = ValkeyCache::open(fake.uri(), patient()).value();
  for (int i = 0; i < 60; ++i) {
    std::vector<Future<void>> sets;
    for (int n = 0; n < 4; ++n) {
      sets.push_back(cache.set(key_of("k"), std::string(500'000, 'x')));
    }
    // Waited for on this thread, should it be the one that writes.
    for (auto& set : sets) (void)set.get();
    (void)cache.get(key_of("k")).get();
  }
  EXPECT_GT(fake.connections(), 20);
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
  EXPECT_EQ(pipes_broken, 0);
  sigaction(SIGPIPE, &before, nullptr);
}

}  // namespace
