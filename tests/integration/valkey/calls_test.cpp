// How a call ends: deadlines, cancellation, continuations, executors, coroutines.
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "contract.hpp"
#include "support/valkey/gate.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class Calls : public CacheContract {};
VALKEYCACHE_EVERY_TRANSPORT(Calls);

using Found = std::optional<std::string>;

// A thread that runs what it is given, as an event loop of a program does.
class Loop {
 public:
  Loop() : thread_([this] { run(); }) {}
  ~Loop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  Executor executor() {
    return [this](Task task) {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
      changed_.notify_all();
    };
  }
  [[nodiscard]] std::thread::id id() const { return thread_.get_id(); }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

TEST_P(Calls, NoTimeAtAllIsATimeout) {
  for (const auto timeout : {0ms, -1ms, std::chrono::milliseconds::min()}) {
    const CallOptions none{.timeout = timeout};
    const CacheKey key = key_of("k");
    EXPECT_TRUE(fails_with(cache.get(key, none).get(), ErrorCode::timeout));
    EXPECT_TRUE(fails_with(cache.set(key, "v", {}, none).get(), ErrorCode::timeout));
    EXPECT_TRUE(fails_with(cache.set_if_absent(key, "v", {}, none).get(), ErrorCode::timeout));
    EXPECT_TRUE(fails_with(cache.erase_if(key, "v", none).get(), ErrorCode::timeout));
    EXPECT_TRUE(fails_with(cache.expire_if(key, "v", 1s, none).get(), ErrorCode::timeout));
    EXPECT_TRUE(fails_with(cache.erase(key, none).get(), ErrorCode::timeout));
    EXPECT_TRUE(fails_with(cache.touch(key, 1s, none).get(), ErrorCode::timeout));
    EXPECT_TRUE(fails_with(cache.ttl(key, none).get(), ErrorCode::timeout));
    EXPECT_TRUE(fails_with(cache.ping(none).get(), ErrorCode::timeout));
  }
  EXPECT_EQ(cache.get(key_of("k")).get().value(), std::nullopt) << "nothing was sent";
  ClearOptions clear;
  clear.timeout = std::chrono::milliseconds::min();
  EXPECT_TRUE(fails_with(cache.clear(clear).get(), ErrorCode::timeout));
  EXPECT_TRUE(ok(cache.flush(std::chrono::milliseconds::min()).get())) << "there is no store";
  auto get = cache.get(key_of("k"));
  const auto looked = get.get(std::chrono::hours::min());
  EXPECT_TRUE(looked || looked.error().code == ErrorCode::not_ready);
}

TEST_P(Calls, AllTheTimeThereIsDoesNotOverflow) {
  const CallOptions all{.timeout = std::chrono::milliseconds::max()};
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", {}, all).get()));
  EXPECT_EQ(cache.get(key_of("k"), all).get().value(), Found("v"));
  ClearOptions clear;
  clear.timeout = std::chrono::milliseconds::max();
  EXPECT_EQ(cache.clear(clear).get().value(), 1U);
  EXPECT_TRUE(ok(cache.flush(std::chrono::milliseconds::max()).get()));
  EXPECT_TRUE(ok(cache.get(key_of("k")).get(std::chrono::hours::max())));
}

TEST_P(Calls, CancelledBeforehand) {
  std::stop_source stop;
  stop.request_stop();
  const CallOptions cancelled{.stop_token = stop.get_token()};
  const CacheKey key = key_of("k");
  EXPECT_TRUE(fails_with(cache.set(key, "v", {}, cancelled).get(), ErrorCode::cancelled));
  EXPECT_TRUE(fails_with(cache.get(key, cancelled).get(), ErrorCode::cancelled));
  EXPECT_TRUE(fails_with(cache.erase(key, cancelled).get(), ErrorCode::cancelled));
  EXPECT_TRUE(fails_with(cache.ping(cancelled).get(), ErrorCode::cancelled));
  EXPECT_EQ(cache.get(key).get().value(), std::nullopt) << "nothing was sent";
  const auto error = cache.set(key, "v", {}, cancelled).get().error();
  EXPECT_FALSE(error.maybe_applied);
}

TEST_P(Calls, AStopTokenThatIsNeverUsed) {
  std::stop_source stop;
  const CallOptions options{.stop_token = stop.get_token()};
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", {}, options).get()));
  EXPECT_EQ(cache.get(key_of("k"), options).get().value(), Found("v"));
  stop.request_stop();  // too late to mean anything
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("v"));
}

TEST_P(Calls, ListsTakeTheSameOptions) {
  std::stop_source stop;
  stop.request_stop();
  for (const auto& options :
       {CallOptions{.timeout = 0ms}, CallOptions{.stop_token = stop.get_token()}}) {
    const auto code = options.timeout ? ErrorCode::timeout : ErrorCode::cancelled;
    const auto got = cache.get(many_keys(3), options).get();
    if (got) {
      ASSERT_EQ(got->size(), 3U);
      for (const auto& each : *got) EXPECT_TRUE(fails_with(each, code));
    } else {
      EXPECT_TRUE(fails_with(got, code));
    }
    const auto set = cache.set({{key_of("a"), "1"}, {key_of("b"), "2"}}, options).get();
    if (set) {
      ASSERT_EQ(set->size(), 2U);
      for (const auto& each : *set) EXPECT_TRUE(fails_with(each, code));
    } else {
      EXPECT_TRUE(fails_with(set, code));
    }
  }
  EXPECT_EQ(cache.get(key_of("a")).get().value(), std::nullopt);
}

TEST_P(Calls, ADroppedFutureGoesOn) {
  { auto dropped = cache.set(key_of("k"), "v"); }
  EXPECT_TRUE(wait_until([&] { return cache.get(key_of("k")).get().value() == Found("v"); }));
}

TEST_P(Calls, ThenGetsTheResult) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "12345").get()));
  auto length = cache.get(key_of("k")).then([](Result<Found> found) -> Result<std::size_t> {
    if (!found) return std::move(found).error();
    return (*found)->size();
  });
  EXPECT_EQ(length.get().value(), 5U);
}

TEST_P(Calls, ContinuationsMayCall) {
  Gate done;
  std::atomic<bool> right{false};
  auto chain = cache.set(key_of("k"), "v").then([&](Result<void> stored) {
    ASSERT_TRUE(ok(stored));
    // Dropped: it goes on by itself.
    (void)cache.get(key_of("k")).then([&](Result<Found> found) {
      right = found.has_value() && *found == Found("v");
      done.open();
    });
  });
  EXPECT_TRUE(done.wait());
  EXPECT_TRUE(right);
  EXPECT_TRUE(ok(chain.get()));
}

TEST_P(Calls, WaitingOnTheIoThreadIsAnErrorAndNoDeadlock) {
  struct Seen {
    std::thread::id thread;
    std::optional<Result<Found>> waited = {};
    bool valid_still = false;
    Gate done = {};
  };
  // Again where the reply was faster than then(), so that the continuation ran on this thread.
  for (int attempt = 0; attempt < 10000; ++attempt) {
    const auto seen = std::make_shared<Seen>();
    auto chain = cache.get(key_of("k")).then([this, seen](Result<Found>) {
      seen->thread = std::this_thread::get_id();
      // A get() that could never end: its reply would come by the very thread that waits for it.
      auto inner = cache.get(key_of("k"));
      seen->waited = inner.get();
      seen->valid_still = inner.valid();
      if (inner.valid()) (void)inner.then([seen](Result<Found>) { seen->done.open(); });
    });
    ASSERT_TRUE(ok(chain.get()));
    if (seen->thread == std::this_thread::get_id()) continue;
    EXPECT_TRUE(fails_with(*seen->waited, ErrorCode::would_deadlock));
    EXPECT_TRUE(seen->valid_still);
    EXPECT_TRUE(seen->done.wait()) << "the call itself goes on";
    return;
  }
  FAIL() << "no continuation ever ran on the I/O thread";
}

TEST_P(Calls, AContinuationMayCancelOtherCalls) {
  for (int i = 0; i < 200; ++i) {
    std::stop_source stop;
    auto first = cache.get(key_of("k")).then([&](Result<Found>) { stop.request_stop(); });
    auto second = cache.get(key_of("k"), {.stop_token = stop.get_token()});
    auto third = cache.clear({.stop_token = stop.get_token()});
    EXPECT_TRUE(ok(first.get()));
    // Either was faster.
    const auto found = second.get();
    EXPECT_TRUE(found || fails_with(found, ErrorCode::cancelled));
    const auto cleared = third.get();
    EXPECT_TRUE(cleared || fails_with(cleared, ErrorCode::cancelled));
  }
}

TEST_P(Calls, ACallbackThatThrowsIsReportedAndBreaksNothing) {
  std::mutex mutex;
  std::vector<std::string> records;
  auto options = patient_options();
  options.log = [&](const LogRecord& record) {
    const std::lock_guard lock(mutex);
    records.emplace_back(record.message);
  };
  const auto logged = open(options);
  auto failed = logged.get(key_of("k")).then([](Result<Found>) { throw std::string("secret"); });
  EXPECT_TRUE(fails_with(failed.get(), ErrorCode::callback_failed));
  EXPECT_TRUE(ok(logged.set(key_of("k"), "v").get()));
  EXPECT_EQ(logged.get(key_of("k")).get().value(), Found("v"));
  const std::lock_guard lock(mutex);
  EXPECT_FALSE(records.empty());
  for (const auto& record : records) EXPECT_EQ(record.find("secret"), std::string::npos);
}

TEST_P(Calls, ALogHookThatThrowsBreaksNothing) {
  auto options = patient_options();
  options.log = [](const LogRecord&) {
    throw 1;
  };
  const auto logged = open(options);
  auto failed = logged.get(key_of("k")).then([](Result<Found>) { throw 2; });
  EXPECT_TRUE(fails_with(failed.get(), ErrorCode::callback_failed));
  EXPECT_TRUE(ok(logged.set(key_of("k"), "v").get()));
}

TEST_P(Calls, ContinuationsRunOnTheExecutor) {
  Loop loop;
  auto options = patient_options();
  options.executor = loop.executor();
  {
    const auto with_loop = open(options);
    for (int i = 0; i < 200; ++i) {
      std::thread::id where;
      auto chain = with_loop.set(key_of("k"), "v").then([&](Result<void> stored) {
        EXPECT_TRUE(ok(stored));
        where = std::this_thread::get_id();
      });
      ASSERT_TRUE(ok(chain.get()));
      ASSERT_EQ(where, loop.id());
    }
    // get() does not need the executor, and there it is no deadlock to wait either.
    auto nested = with_loop.get(key_of("k")).then([&](Result<Found>) {
      return with_loop.get(key_of("k")).get();
    });
    EXPECT_EQ(nested.get().value(), Found("v"));
  }
}

TEST_P(Calls, AnExecutorThatRunsTasksAtOnce) {
  auto options = patient_options();
  options.executor = [](Task task) {
    task();
  };
  const auto cache_at_once = open(options);
  for (int i = 0; i < 100; ++i) {
    auto chain = cache_at_once.set(key_of("k"), "v").then([&](Result<void> stored) {
      EXPECT_TRUE(ok(stored));
      return 7;
    });
    ASSERT_EQ(chain.get().value(), 7);
  }
}

TEST_P(Calls, AnExecutorThatDropsTasksOrThrowsBreaksNothing) {
  for (const bool throws : {false, true}) {
    auto options = patient_options();
    options.executor = [throws](Task) {
      if (throws) throw std::runtime_error("the loop has ended");
    };
    const auto careless = open(options);
    auto chain = careless.set(key_of("k"), "v").then([](Result<void>) { return 7; });
    // An end, and not a wait for ever. (One that throws may be passed by.)
    const auto result = chain.get();
    EXPECT_TRUE(throws || fails_with(result, ErrorCode::abandoned));
    ClearOptions clear;
    clear.progress = [](std::uint64_t) {
    };
    EXPECT_EQ(careless.get(key_of("k")).get().value(), Found("v")) << "get() needs no executor";
    EXPECT_EQ(careless.clear(clear).get().value(), 1U);
  }
}

TEST_P(Calls, ProgressRunsOnTheExecutor) {
  Loop loop;
  auto options = patient_options();
  options.executor = loop.executor();
  {
    const auto with_loop = open(options);
    ASSERT_TRUE(ok(with_loop.set(key_of("k"), "v").get()));
    std::atomic<int> elsewhere{0};
    std::atomic<int> calls{0};
    ClearOptions clear;
    clear.progress = [&](std::uint64_t) {
      ++calls;
      if (std::this_thread::get_id() != loop.id()) ++elsewhere;
    };
    EXPECT_EQ(with_loop.clear(clear).get().value(), 1U);
    EXPECT_TRUE(wait_until([&] { return calls > 0; }));
    EXPECT_EQ(elsewhere, 0);
  }
}

// By value, since a coroutine outlives its caller's references.
Future<std::string> read_twice(ValkeyCache cache, CacheKey key) {
  const Result<Found> first = co_await cache.get(key);
  if (!first) co_return first.error();
  const Result<void> stored = co_await cache.set(key, **first + "!");
  if (!stored) co_return stored.error();
  const Result<Found> second = co_await cache.get(key);
  if (!second) co_return second.error();
  co_return **second;
}

TEST_P(Calls, Coroutines) {
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_EQ(read_twice(cache, key_of("k")).get().value(), "v!");
}

TEST_P(Calls, ManyCoroutinesAtOnce) {
  std::vector<Future<std::string>> all;
  for (const auto& key : many_keys(500)) {
    ASSERT_TRUE(ok(cache.set(key, key.text()).get()));
    all.push_back(read_twice(cache, key));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].get().value(), "key" + std::to_string(i) + "!");
  }
}

TEST_P(Calls, AllThreadsShareOneObject) {
  constexpr int threads = 8;
  constexpr int rounds = 300;
  std::atomic<int> wrong{0};
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      for (int i = 0; i < rounds; ++i) {
        const std::string text = std::to_string(t) + "-" + std::to_string(i);
        const CacheKey key = key_of(text);
        if (!cache.set(key, "value of " + text, 100s).get()) ++wrong;
        const auto found = cache.get(key).get();
        if (!found || *found != Found("value of " + text)) ++wrong;
        if (i % 10 == 0) {
          const auto listed = cache.get({key, key_of("missing"), key}).get();
          if (!listed || (*listed)[2].value() != Found("value of " + text)) ++wrong;
        }
        if (i % 3 == 0 && !cache.erase(key).get().value_or(false)) ++wrong;
      }
    });
  }
  for (auto& thread : all) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(Calls, FlushWithNothingToWaitFor) {
  EXPECT_TRUE(ok(cache.flush(patience).get()));
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_TRUE(ok(cache.flush(patience).get()));
}

TEST_P(Calls, AfterAFlushTheStoresBeforeItHaveEnded) {
  std::vector<Future<void>> stores;
  for (const auto& key : many_keys(500)) stores.push_back(cache.set(key, "v"));
  EXPECT_TRUE(ok(cache.flush(patience).get()));
  for (auto& store : stores) {
    EXPECT_TRUE(store.ready());
    EXPECT_TRUE(ok(store.get()));
  }
}

TEST_P(Calls, AFlushDoesNotMindStoresThatFail) {
  auto bad = cache.set(key_of("k"), "v", 0s);
  EXPECT_TRUE(ok(cache.flush(patience).get()));
  EXPECT_TRUE(fails_with(bad.get(), ErrorCode::invalid_argument));
}

TEST_P(Calls, StatsCount) {
  const auto before = cache.stats();
  EXPECT_EQ(before.gets, 0U);
  ASSERT_TRUE(ok(cache.set(key_of("a"), "1").get()));
  ASSERT_TRUE(
      ok(cache.set({{key_of("b"), "2"}, {key_of("c"), "3"}, {key_of("d"), "4", 0s}}).get()));
  (void)cache.get(key_of("a")).get();
  (void)cache.get(key_of("missing")).get();
  (void)cache.get({key_of("b"), key_of("c"), key_of("missing")}).get();
  (void)cache.erase(key_of("a")).get();
  (void)cache.erase(key_of("a")).get();
  (void)cache.clear().get();
  (void)cache.set(key_of("x"), "v", -1s).get();
  (void)cache.get(key_of("x"), {.timeout = 0ms}).get();
  std::stop_source stop;
  stop.request_stop();
  (void)cache.get(key_of("x"), {.stop_token = stop.get_token()}).get();
  const auto stats = cache.stats();
  EXPECT_EQ(stats.sets, 3U);
  EXPECT_EQ(stats.hits, 3U);
  EXPECT_EQ(stats.misses, 2U);
  EXPECT_GE(stats.gets, stats.hits + stats.misses);
  EXPECT_EQ(stats.erased, 3U);
  EXPECT_EQ(stats.timeouts, 1U);
  EXPECT_EQ(stats.cancelled, 1U);
  EXPECT_GE(stats.errors, 3U);
  EXPECT_EQ(stats.overloaded, 0U);
  EXPECT_TRUE(wait_until([&] { return cache.stats().in_flight == 0; }));
  EXPECT_TRUE(stats.connected);
  EXPECT_TRUE(cache.connected());
  if (GetParam() != Transport::memory) {
    EXPECT_GE(stats.connects, 1U);
    EXPECT_LE(stats.connects, GetParam() == Transport::cluster ? 3U : 1U);
    EXPECT_EQ(stats.connect_failures, 0U);
    EXPECT_GT(stats.bytes_sent, 0U);
    EXPECT_GT(stats.bytes_received, 0U);
    EXPECT_EQ(stats.protocol, GetParam() == Transport::resp2 ? 2 : 3);
  }
}

}  // namespace
