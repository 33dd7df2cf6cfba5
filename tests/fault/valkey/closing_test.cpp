// The last handle goes: on any thread, in any kind of callback, with calls under way.
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <stop_token>
#include <thread>

#include "fault.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/tcp_proxy.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

// Where a callback finds the handle that it destroys.
using Handle = std::shared_ptr<std::optional<ValkeyCache>>;

bool no_library_threads() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (read_text(task.path().string() + "/comm").starts_with("vkc-")) return false;
  }
  return true;
}

class Closing : public testing::Test {
 protected:
  [[nodiscard]] Handle open(ValkeyCacheOptions options = patient()) const {
    auto handle = std::make_shared<std::optional<ValkeyCache>>(
        ValkeyCache::open(proxy.uri(), options).value());
    EXPECT_TRUE(ok((*handle)->ping().get()));
    EXPECT_TRUE(ok((*handle)->set(key_of("k"), "v").get()));
    return handle;
  }
  // Asks for much and lets nothing be answered.
  void ask(const ValkeyCache& cache) {
    proxy.hold_replies();
    for (int i = 0; i < 20; ++i) {
      gets.push_back(cache.get(key_of("k")));
      (void)cache.get(key_of("k")).then([this](const Result<Found>&) { ++continued; });
    }
  }
  void expect_all_ended() {
    for (auto& get : gets) EXPECT_TRUE(fails_with(get.get(patience), ErrorCode::closed));
    EXPECT_TRUE(wait_until([this] { return continued == 20; }));
    EXPECT_TRUE(wait_until(no_library_threads));
  }

  const ValkeyServer server;
  TcpProxy proxy{server.port()};
  std::vector<Future<Found>> gets;
  std::atomic<int> continued{0};
};

// A program's own loop, on a thread that is not the library's.
class Loop {
 public:
  ~Loop() {
    post({});
    thread_.join();
  }
  [[nodiscard]] Executor executor() {
    return [this](Task task) {
      post(std::move(task));
    };
  }
  void post(Task task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !tasks_.empty(); });
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      if (!task) return;
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::thread thread_{[this] {
    run();
  }};
};

TEST_F(Closing, OnAnotherThread) {
  auto handle = open();
  ask(**handle);
  std::thread([moved = std::move(handle)] { moved->reset(); }).join();
  expect_all_ended();
}

TEST_F(Closing, InAContinuationOnTheIoThread) {
  auto handle = open();
  Gate closed;
  ask(**handle);
  // Ends before the others, by its deadline.
  (void)(*handle)
      ->get(key_of("k"), {.timeout = 50ms})
      .then([handle, &closed](const Result<Found>&) {
        handle->reset();
        closed.open();
      });
  handle.reset();
  EXPECT_TRUE(closed.wait());
  expect_all_ended();
}

TEST_F(Closing, InAContinuationOnTheExecutor) {
  Loop loop;
  auto options = patient();
  options.executor = loop.executor();
  auto handle = open(options);
  Gate closed;
  ask(**handle);
  (void)(*handle)
      ->get(key_of("k"), {.timeout = 50ms})
      .then([handle, &closed](const Result<Found>&) {
        handle->reset();
        closed.open();
      });
  handle.reset();
  EXPECT_TRUE(closed.wait());
  expect_all_ended();
}

Future<std::string> ask_and_close(Handle handle) {
  const CallOptions soon{.timeout = 50ms};
  const auto key = key_of("k");
  const auto found = co_await (*handle)->get(key, soon);
  handle->reset();
  if (!found) co_return std::string(to_string(found.error().code));
  co_return std::string("found");
}

TEST_F(Closing, InACoroutine) {
  auto handle = open();
  ask(**handle);
  auto result = ask_and_close(handle);
  handle.reset();
  EXPECT_EQ(result.get(patience).value(), "timeout");
  expect_all_ended();
}

TEST_F(Closing, InTheLogHook) {
  // What the hook needs, outside of it: it is part of what it destroys.
  struct Armed {
    std::mutex mutex;
    Handle handle;
  };
  const auto armed = std::make_shared<Armed>();
  auto options = patient();
  options.log = [armed](const LogRecord&) {
    Handle handle;
    {
      const std::lock_guard lock(armed->mutex);
      handle = std::move(armed->handle);
    }
    if (handle) handle->reset();
  };
  auto handle = open(options);
  ask(**handle);
  {
    const std::lock_guard lock(armed->mutex);
    armed->handle = std::move(handle);
  }
  proxy.cut();  // which is told to the hook
  EXPECT_TRUE(wait_until([&] {
    const std::lock_guard lock(armed->mutex);
    return !armed->handle;
  }));
  // The loss may end some before the hook closes the cache.
  for (auto& get : gets) {
    EXPECT_TRUE(fails_with(get.get(patience), {ErrorCode::closed, ErrorCode::connection_lost}));
  }
  EXPECT_TRUE(wait_until([this] { return continued == 20; }));
  EXPECT_TRUE(wait_until(no_library_threads));
}

// A thread that has been the only one carries the connection itself, and hears of its loss there.
TEST_F(Closing, InTheLogHookOfALoneCaller) {
  struct Armed {
    Handle handle;
    std::thread::id caller = std::this_thread::get_id();
    std::optional<Result<Found>> answer;
  };
  int heard = 0;
  for (int round = 0; round < 20 || (heard == 0 && round < 200); ++round) {
    TcpProxy own_proxy{server.port()};
    const auto armed = std::make_shared<Armed>();
    auto options = patient();
    options.log = [armed](const LogRecord&) {
      if (std::this_thread::get_id() != armed->caller || !armed->handle) return;
      armed->answer = (*armed->handle)->get(key_of("k")).get();  // must not wait for itself
      const auto handle = std::exchange(armed->handle, {});
      handle->reset();
    };
    auto handle = std::make_shared<std::optional<ValkeyCache>>(
        ValkeyCache::open(own_proxy.uri(), options).value());
    ASSERT_TRUE(wait_until([&] { return (*handle)->connected(); }));
    for (int i = 0; i < 100; ++i) ASSERT_TRUE((*handle)->get(key_of("k")).get().has_value());
    auto& cache = **handle;
    armed->handle = handle;
    own_proxy.cut();
    auto last = cache.get(key_of("k"));
    (void)last.get(patience);
    if (armed->answer) {
      ++heard;
      EXPECT_TRUE(fails_with(*armed->answer, ErrorCode::would_deadlock));
    }
    armed->handle.reset();
    handle.reset();
    EXPECT_TRUE(wait_until(no_library_threads));
  }
  EXPECT_GT(heard, 0) << "the I/O thread was the first to hear of it each time";
}

TEST_F(Closing, InAProgressCallback) {
  auto handle = open();
  Gate closed;
  ClearOptions clear;
  clear.progress = [handle, &closed](std::uint64_t) {
    handle->reset();
    closed.open();
  };
  auto cleared = (*handle)->clear(std::move(clear));
  handle.reset();
  EXPECT_TRUE(closed.wait());
  (void)cleared.get(patience);
  EXPECT_TRUE(wait_until(no_library_threads));
}

TEST_F(Closing, WhileOtherThreadsWait) {
  // Their futures outlive the cache that they wait for.
  for (int round = 0; round < 20; ++round) {
    auto handle = open();
    proxy.hold_replies();
    std::atomic<int> waiting{0};
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t, get = (*handle)->get(key_of("k"))]() mutable {
        ++waiting;
        const auto result = t % 2 == 0 ? get.get() : get.get(patience);
        if (fails_with(result, ErrorCode::closed)) ++right;
      });
    }
    wait_until([&] { return waiting == 4; });
    if (round % 2 == 0) std::this_thread::sleep_for(1ms);  // waiting already, or not quite yet
    handle->reset();
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(right, 4);
    proxy.release_replies();
  }
  EXPECT_TRUE(wait_until(no_library_threads));
}

TEST_F(Closing, WhileAllCallsAreCancelledNothingIsKept) {
  for (int i = 0; i < 50; ++i) {
    auto kept = std::make_shared<int>();
    const std::weak_ptr<int> left = kept;
    auto options = patient();
    options.close_timeout = 0ms;
    options.log = [kept = std::move(kept)](const LogRecord&) {
    };
    auto handle = open(options);
    options.log = {};
    proxy.hold_replies();
    std::stop_source stop;
    std::vector<Future<Found>> asked;
    for (int call = 0; call < 50; ++call) {
      asked.push_back((*handle)->get(key_of("k"), {.stop_token = stop.get_token()}));
    }
    std::thread canceller([&] { stop.request_stop(); });
    handle->reset();
    canceller.join();
    asked.clear();
    EXPECT_TRUE(wait_until([&] { return left.expired(); })) << "the cache's memory is still there";
    proxy.release_replies();
  }
}

TEST_F(Closing, WithAFullQueue) {
  for (const bool answered : {false, true}) {
    auto options = patient();
    options.max_queued_commands = 100;
    options.close_timeout = answered ? std::chrono::milliseconds(patience) : 100ms;
    auto handle = open(options);
    proxy.hold_replies();
    std::vector<Future<void>> stores;
    for (int i = 0; i < 60; ++i) {
      stores.push_back((*handle)->set(key_of("full-" + std::to_string(i)), "v"));
    }
    for (int i = 0; i < 40; ++i) gets.push_back((*handle)->get(key_of("k")));
    EXPECT_TRUE(fails_with((*handle)->get(key_of("k")).get(), ErrorCode::overloaded));
    EXPECT_TRUE(fails_with((*handle)->set(key_of("x"), "v").get(), ErrorCode::overloaded));
    std::thread closer([moved = std::move(handle)] { moved->reset(); });
    for (auto& get : gets) EXPECT_TRUE(fails_with(get.get(patience), ErrorCode::closed));
    gets.clear();
    if (answered) proxy.release_replies();
    closer.join();
    for (auto& store : stores) {
      const auto stored = store.get(patience);
      if (answered) {
        EXPECT_TRUE(ok(stored));
      } else {
        EXPECT_TRUE(fails_with(stored, ErrorCode::closed));
      }
    }
    proxy.release_replies();
    EXPECT_TRUE(wait_until(no_library_threads));
  }
}

}  // namespace
