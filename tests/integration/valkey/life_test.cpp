// The life of a cache: closing with work under way, from anywhere; leaving main; fork().
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "contract.hpp"
#include "support/fork_at_rest.hpp"
#include "support/sanitized.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/fake_server.hpp"
#include "support/valkey/gate.hpp"
#include "support/valkey/monitor.hpp"
#include "support/valkey/tcp_proxy.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

using Found = std::optional<std::string>;
using Clock = std::chrono::steady_clock;

std::vector<std::string> entries_of(const char* folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

// The library's threads of this process.
std::size_t library_threads() {
  std::size_t count = 0;
  for (const auto& id : entries_of("/proc/self/task")) {
    count += read_text("/proc/self/task/" + id + "/comm").starts_with("vkc-") ? 1 : 0;
  }
  return count;
}

std::set<std::string> descriptors() {
  std::set<std::string> open;
  for (auto& name : entries_of("/proc/self/fd")) {
    // Not the one that reads the folder.
    if (fcntl(std::stoi(name), F_GETFD) >= 0) open.insert(std::move(name));
  }
  return open;
}

class Life : public testing::Test {
 protected:
  [[nodiscard]] std::optional<ValkeyCache> open(const std::string& uri,
                                                ValkeyCacheOptions options = patient_options()) {
    auto cache = ValkeyCache::open(uri, std::move(options)).value();
    EXPECT_TRUE(ok(cache.ping().get()));
    return cache;
  }
  ValkeyServer& server = shared_server();
};

// --- closing -----------------------------------------------------------------------------------

TEST_F(Life, ThreadsAndDescriptorsGoWithTheLastHandle) {
  const auto before = descriptors();
  ASSERT_EQ(library_threads(), 0U);
  for (const std::string& uri : {server.uri(), server.unix_uri(), std::string("memory://life"),
                                 std::string("valkey://localhost:" + std::to_string(server.port())),
                                 std::string("valkey://127.0.0.1:1")}) {
    {
      std::optional cache = ValkeyCache::open(uri, patient_options()).value();
      auto pending = cache->get(key_of("k"));
      std::optional copy = *cache;
      cache.reset();
      EXPECT_TRUE(wait_until([] { return library_threads() >= 1; })) << "a copy is left";
      copy.reset();
    }
    EXPECT_TRUE(wait_until([] { return library_threads() == 0; })) << uri;
    EXPECT_EQ(descriptors(), before) << uri;
  }
}

TEST_F(Life, DescriptorsAreNotInheritedByPrograms) {
  const auto before = descriptors();
  const auto cache = open(server.uri());
  std::size_t fresh = 0;
  for (const auto& name : descriptors()) {
    if (before.contains(name)) continue;
    ++fresh;
    EXPECT_NE(fcntl(std::stoi(name), F_GETFD) & FD_CLOEXEC, 0)
        << std::filesystem::read_symlink("/proc/self/fd/" + name);
  }
  EXPECT_GT(fresh, 0U);
}

TEST_F(Life, ItsSocketSendsAtOnce) {
  const auto before = descriptors();
  const auto cache = open(server.uri());
  int sockets = 0;
  for (const auto& name : descriptors()) {
    int at_once = 0;
    socklen_t size = sizeof at_once;
    if (before.contains(name) ||
        getsockopt(std::stoi(name), IPPROTO_TCP, TCP_NODELAY, &at_once, &size) != 0) {
      continue;
    }
    ++sockets;
    EXPECT_NE(at_once, 0) << "or small commands wait for each other's acknowledgement";
  }
  EXPECT_EQ(sockets, 1);
}

TEST_F(Life, ItsThreadTakesNoSignals) {
  const auto cache = open(server.uri());
  for (const auto& id : entries_of("/proc/self/task")) {
    if (!read_text("/proc/self/task/" + id + "/comm").starts_with("vkc-")) continue;
    const std::string status = read_text("/proc/self/task/" + id + "/status");
    const auto at = status.find("SigBlk:");
    const auto mask = std::stoull(status.substr(at + 8, 16), nullptr, 16);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGUSR1, SIGCHLD, SIGPIPE}) {
      EXPECT_NE(mask >> (number - 1) & 1, 0U) << number;
    }
  }
}

TEST_F(Life, ClosingEndsPendingGets) {
  TcpProxy proxy(server.port());
  auto cache = open(proxy.uri());
  proxy.hold_replies();
  std::vector<Future<Found>> gets;
  for (int i = 0; i < 100; ++i) gets.push_back(cache->get(key_of("k")));
  auto listed = cache->get(many_keys(3));
  auto erased = cache->erase(key_of("k"));
  auto cleared = cache->clear();
  auto pinged = cache->ping();
  cache.reset();  // long before the proxy lets go
  for (auto& get : gets) EXPECT_TRUE(fails_with(get.get(), ErrorCode::closed));
  const auto list = listed.get();
  if (list) {
    for (const auto& each : *list) EXPECT_TRUE(fails_with(each, ErrorCode::closed));
  } else {
    EXPECT_TRUE(fails_with(list, ErrorCode::closed));
  }
  EXPECT_TRUE(fails_with(erased.get(), ErrorCode::closed));
  EXPECT_TRUE(fails_with(cleared.get(), ErrorCode::closed));
  EXPECT_TRUE(fails_with(pinged.get(), ErrorCode::closed));
}

TEST_F(Life, ClosingLetsPendingStoresEnd) {
  auto options = patient_options();
  options.close_timeout = patience;
  TcpProxy proxy(server.port());
  auto cache = open(proxy.uri(), options);
  proxy.hold_replies();
  std::vector<Future<void>> stores;
  for (const auto& key : many_keys(100)) stores.push_back(cache->set(key, "v", 100s));
  auto batch = cache->set({{key_of("a"), "1"}, {key_of("b"), "2"}});
  auto absent = cache->set_if_absent(key_of("c"), "3");
  std::thread closer([&] { cache.reset(); });
  // The stores reach the server while the cache is being closed.
  EXPECT_TRUE(
      wait_until([&] { return stored(server, unique_prefix() + "test/key99").has_value(); }));
  proxy.release_replies();
  closer.join();
  for (auto& store : stores) EXPECT_TRUE(ok(store.get()));
  EXPECT_TRUE(ok(batch.get()));
  EXPECT_TRUE(ok(absent.get()));
}

TEST_F(Life, ClosingStoresWhatWasQueuedBeforeTheFirstConnection) {
  auto options = patient_options();
  options.close_timeout = patience;
  for (int i = 0; i < 20; ++i) {
    auto cache = ValkeyCache::open(server.uri(), options).value();
    (void)cache.set(key_of("early" + std::to_string(i)), "v", 100s);
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(stored(server, unique_prefix() + "test/early" + std::to_string(i)), Found("v")) << i;
  }
}

TEST_F(Life, ClosingWaitsNoLongerThanCloseTimeout) {
  auto options = patient_options();
  options.close_timeout = 200ms;
  TcpProxy proxy(server.port());
  auto cache = open(proxy.uri(), options);
  proxy.hold_replies();
  auto store = cache->set(key_of("k"), "v", 100s);
  const auto before = Clock::now();
  cache.reset();
  EXPECT_LT(Clock::now() - before, patience / 3);
  const auto result = store.get();
  EXPECT_TRUE(fails_with(result, ErrorCode::closed));
  EXPECT_TRUE(result.error().maybe_applied) << "it was sent";
}

TEST_F(Life, ClosingDoesNotWaitWithoutStores) {
  auto options = patient_options();
  options.close_timeout = patience;
  TcpProxy proxy(server.port());
  auto cache = open(proxy.uri(), options);
  proxy.hold_replies();
  auto get = cache->get(key_of("k"));
  const auto before = Clock::now();
  cache.reset();
  EXPECT_LT(Clock::now() - before, patience / 3);
  EXPECT_TRUE(fails_with(get.get(), ErrorCode::closed));
}

TEST_F(Life, ClosingWhileConnecting) {
  FakeServer silent([](FakeConnection& connection) { connection.swallow(); });
  for (const std::string& uri :
       {silent.uri(), std::string("valkey://127.0.0.1:1"),
        std::string("valkey://no-such-host.invalid"), std::string("unix:///no/such/socket")}) {
    auto options = patient_options();
    options.close_timeout = 100ms;
    std::optional cache = ValkeyCache::open(uri, options).value();
    auto get = cache->get(key_of("k"));
    auto store = cache->set(key_of("k"), "v");
    const auto before = Clock::now();
    cache.reset();
    EXPECT_LT(Clock::now() - before, patience / 3) << uri;
    EXPECT_TRUE(fails_with(get.get(), {ErrorCode::closed, ErrorCode::connect_failed})) << uri;
    const auto stored = store.get();
    EXPECT_TRUE(fails_with(stored, {ErrorCode::closed, ErrorCode::connect_failed})) << uri;
    EXPECT_FALSE(stored.error().maybe_applied) << "it was never sent";
  }
}

TEST_F(Life, ClosedFromItsOwnContinuation) {
  for (const std::string& uri : {server.uri(), std::string("memory://own-continuation")}) {
    for (int i = 0; i < 50; ++i) {
      auto cache = std::make_shared<std::optional<ValkeyCache>>(open(uri));
      std::atomic<bool> closed{false};
      auto chain = (*cache)->get(key_of("k")).then([cache, &closed](Result<Found>) {
        cache->reset();
        closed = true;
      });
      cache.reset();
      EXPECT_TRUE(ok(chain.get()));
      EXPECT_TRUE(closed);
    }
    EXPECT_TRUE(wait_until([] { return library_threads() == 0; }));
  }
}

TEST_F(Life, StoresMadeInTheContinuationThatClosesAreStored) {
  auto options = patient_options();
  options.close_timeout = patience;
  auto cache = std::make_shared<std::optional<ValkeyCache>>(open(server.uri(), options));
  auto chain = (*cache)->get(key_of("nothing")).then([cache](Result<Found>) {
    (void)(*cache)->set(key_of("last"), "words", 100s);
    cache->reset();
  });
  cache.reset();
  EXPECT_TRUE(ok(chain.get()));
  EXPECT_TRUE(
      wait_until([&] { return stored(server, unique_prefix() + "test/last").has_value(); }));
  EXPECT_TRUE(wait_until([] { return library_threads() == 0; }));
}

TEST_F(Life, FuturesOutliveTheCache) {
  auto options = patient_options();
  options.close_timeout = patience;
  auto cache = open(server.uri(), options);
  auto early = cache->set(key_of("k"), "v", 100s);
  auto late = cache->get(key_of("k"));
  auto kept = cache->get(key_of("k")).then([](Result<Found>) { return 7; });
  cache.reset();
  EXPECT_TRUE(ok(early.get()));
  (void)late.get();
  EXPECT_EQ(kept.get().value(), 7) << "a continuation always runs";
}

TEST_F(Life, ContinuationsOfACacheThatIsClosingMayCallIt) {
  // What they ask for ends with an error instead of hanging or crashing.
  TcpProxy proxy(server.port());
  auto options = patient_options();
  options.close_timeout = 50ms;
  auto cache = open(proxy.uri(), options);
  proxy.hold_replies();
  std::atomic<int> ended{0};
  // The copy keeps the cache open, so the last handle goes in the continuation.
  auto chain = cache->get(key_of("k"), {.timeout = 1ms}).then([&, copy = *cache](Result<Found>) {
    (void)copy.get(key_of("k")).then([&](Result<Found> found) {
      EXPECT_TRUE(fails_with(found, ErrorCode::closed));
      ++ended;
    });
  });
  cache.reset();
  EXPECT_TRUE(ok(chain.get()));
  EXPECT_TRUE(wait_until([&] { return ended == 1; }));
  EXPECT_TRUE(wait_until([] { return library_threads() == 0; }));
}

TEST_F(Life, HandlesComeAndGoOnManyThreads) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t, prefix = unique_prefix()] {
      for (int i = 0; i < 30; ++i) {
        ValkeyCacheOptions options;
        options.prefix = prefix;
        options.command_timeout = patience;
        options.connect_timeout = patience;
        auto cache =
            ValkeyCache::open(t % 3 == 0 ? std::string("memory://crowd") : server.uri(), options)
                .value();
        std::stop_source stop;
        auto get = cache.get(key_of("k"), {.stop_token = stop.get_token()});
        auto set = cache.set(key_of("k" + std::to_string(t)), "v", 100s);
        if (i % 3 == 0) stop.request_stop();
        if (i % 5 == 0 && !set.get()) ++wrong;
        auto copy = cache;
        std::thread other([copy = std::move(copy)] { (void)copy.get(key_of("k")).get(); });
        { const auto gone = std::move(cache); }
        other.join();
        (void)get.get();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(wait_until([] { return library_threads() == 0; }));
}

TEST_F(Life, StopTokensRaceWithReplies) {
  const auto cache = open(server.uri());
  for (int i = 0; i < 2000; ++i) {
    std::stop_source stop;
    auto get = cache->get(key_of("k"), {.stop_token = stop.get_token()});
    std::thread stopper;
    if (i % 20 == 0)
      stopper = std::thread([&] { stop.request_stop(); });
    else
      stop.request_stop();
    const auto result = get.get();
    if (!result) {
      EXPECT_TRUE(fails_with(result, ErrorCode::cancelled));
    }
    if (stopper.joinable()) stopper.join();
  }
  EXPECT_TRUE(ok(cache->ping().get()));
}

// --- leaving main ------------------------------------------------------------------------------

TEST_F(Life, StoresSurviveLeavingMain) {
  const TemporaryFolder folder;
  for (const std::string how : {"return", "exit", "static", "thread"}) {
    ChildProcess program({VALKEYCACHE_LEAVE_MAIN, server.uri(), unique_prefix(), how},
                         folder.path() + "/output");
    const auto status = program.wait(patience);
    ASSERT_TRUE(status.has_value()) << how << " hangs";
    EXPECT_EQ(*status, 0) << how << ": " << read_text(folder.path() + "/output");
    EXPECT_EQ(stored(server, unique_prefix() + how), Found("stored")) << how;
  }
}

// --- fork() ------------------------------------------------------------------------------------

// Runs the function in a child and gives its exit status; -1 when it hangs or dies.
template <class Function>
int in_child(Function function) {
  const pid_t child = fork_at_rest();
  if (child == 0) {
    alarm(20);  // a child that hangs is a failure
    _exit(function());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(Life, TheChildOfAForkHasMemoryStoresOfItsOwn) {
  if (sanitized) GTEST_SKIP() << "a sanitizer may let no child of a fork() start a thread";
  Gate inside, leave;
  std::atomic<bool> stops{false};
  auto options = patient_options();
  options.clock = [&] {
    if (stops.exchange(false)) {
      inside.open();
      (void)leave.wait();
    }
    return std::chrono::steady_clock::now();
  };
  const auto cache = ValkeyCache::open("memory://at-work", options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 100s).get()));
  stops = true;
  auto answer = cache.get(key_of("k"));
  ASSERT_TRUE(inside.wait());  // and the store is locked
  const int wrong = in_child([] {
    const auto own = ValkeyCache::open("memory://at-work", patient_options()).value();
    const bool empty = own.get(key_of("k")).get().value() == Found();
    const bool works = own.set(key_of("k"), "of the child").get().has_value();
    return empty && works ? 0 : 1;
  });
  leave.open();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(answer.get(patience).value(), Found("v"));
}

TEST_F(Life, TheChildOfAForkGetsErrorsAndTheParentGoesOn) {
  for (const std::string& uri : {server.uri(), server.unix_uri(), std::string("memory://fork")}) {
    auto cache = open(uri);
    ASSERT_TRUE(ok(cache->set(key_of("k"), "v", 100s).get()));
    Monitor monitor(server);
    const int wrong = in_child([&] {
      const auto forked = [](const auto& result) {
        return !result && result.error().code == ErrorCode::forked ? 0 : 1;
      };
      int count = 0;
      const CacheKey key = key_of("k");
      count += forked(cache->get(key).get());
      count += forked(cache->set(key, "from the child").get());
      count += forked(cache->erase(key).get());
      count += forked(cache->ping().get());
      count += forked(cache->clear().get());
      count += forked(cache->flush(1s).get());
      (void)cache->stats();
      (void)cache->connected();
      (void)cache->get(many_keys(3)).get();
      (void)cache->set({{key, "from the child"}}).get();
      cache.reset();  // joins nothing, sends nothing
      return count;
    });
    EXPECT_EQ(wrong, 0) << uri;
    EXPECT_THAT(monitor.lines(), testing::IsEmpty()) << uri;
    for (int i = 0; i < 100; ++i) {
      ASSERT_EQ(cache->get(key_of("k")).get().value(), Found("v")) << uri;
    }
  }
}

TEST_F(Life, CallsPendingAtAForkEndInTheParentOnly) {
  TcpProxy proxy(server.port());
  auto cache = open(proxy.uri());
  ASSERT_TRUE(ok(cache->set(key_of("k"), "v", 100s).get()));
  proxy.hold_replies();
  auto pending = cache->get(key_of("k"));
  auto continued = cache->get(key_of("k")).then([](Result<Found>) { return 1; });
  auto store = cache->set(key_of("other"), "v", 100s);
  const int status = in_child([&] {
    // Whoever would end them is in the parent: waiting is refused, with a limit or without.
    const auto forked = [](const auto& result) {
      return !result && result.error().code == ErrorCode::forked;
    };
    if (!forked(pending.get(patience)) || !forked(pending.get())) return 1;
    if (!forked(continued.get()) || !forked(store.get())) return 2;
    cache.reset();
    return 0;
  });
  EXPECT_EQ(status, 0);
  proxy.release_replies();
  EXPECT_EQ(pending.get().value(), Found("v"));
  EXPECT_EQ(continued.get().value(), 1);
  EXPECT_TRUE(ok(store.get()));
}

TEST_F(Life, TheChildMayCancelWhatTheParentAskedFor) {
  TcpProxy proxy(server.port());
  auto cache = open(proxy.uri());
  proxy.hold_replies();
  std::stop_source stop;
  auto pending = cache->get(key_of("k"), {.stop_token = stop.get_token()});
  EXPECT_EQ(in_child([&] {
              stop.request_stop();
              cache.reset();
              return 0;
            }),
            0);
  proxy.release_replies();
  EXPECT_TRUE(ok(pending.get())) << "it was cancelled in the child only";
}

TEST_F(Life, AChildWithoutUseForTheCacheEndsWell) {
  auto cache = open(server.uri());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(in_child([&] {
                cache.reset();
                return 0;
              }),
              0);
  }
  EXPECT_TRUE(ok(cache->ping().get()));
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
// The sanitizers' own run-times do not survive these.
#define VALKEYCACHE_FORK_FREELY 1
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#undef VALKEYCACHE_FORK_FREELY
#endif
#endif
#endif

#ifdef VALKEYCACHE_FORK_FREELY
TEST_F(Life, TheChildMayOpenAnotherCache) {
  auto cache = open(server.uri());
  const std::string uri = server.uri();
  const std::string prefix = unique_prefix();
  EXPECT_EQ(in_child([&] {
              cache.reset();
              ValkeyCacheOptions options;
              options.prefix = prefix;
              options.command_timeout = 10s;
              const auto own = ValkeyCache::open(uri, options);
              if (!own || !own->set(key_of("child"), "v", 100s).get()) return 1;
              return own->get(key_of("child")).get().value() == Found("v") ? 0 : 2;
            }),
            0);
  EXPECT_EQ(cache->get(key_of("child")).get().value(), Found("v"));
}

TEST_F(Life, ForksWhileOtherThreadsCall) {
  auto cache = open(server.uri());
  ASSERT_TRUE(ok(cache->set(key_of("k"), "v", 100s).get()));
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, copy = *cache] {
      while (!stop) {
        if (copy.get(key_of("k")).get().value_or(Found()) != Found("v")) ++wrong;
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    // Whatever lock another thread held at this moment is held for ever in the child.
    EXPECT_EQ(in_child([&] {
                const auto result = cache->get(key_of("k")).get();
                const bool right = !result && result.error().code == ErrorCode::forked;
                (void)cache->stats();
                cache.reset();
                return right ? 0 : 1;
              }),
              0);
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}
#endif

}  // namespace
