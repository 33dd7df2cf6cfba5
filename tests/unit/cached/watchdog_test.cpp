#include "cached/watchdog.hpp"

#include <valkeycache/future.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace valkeycache {
namespace {

using detail::Ref;
using detail::Watchdog;
using State = Watchdog::Watched;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct Watched {
  Ref<State> state = Ref<State>::adopt(new State);
  Future<CachedAnswer> future = FutureAccess::make<CachedAnswer>(Ref<State>(state));
};

// Closes it, as its owner must.
struct Owned {
  Watchdog watchdog;
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { watchdog.close(); }
  Watchdog* operator->() { return &watchdog; }
};

TEST(Watchdog, EndsACallAtItsDeadline) {
  Owned watchdog;
  Watched call;
  const auto deadline = Clock::now() + 5ms;
  watchdog->arm(call.state, deadline, false);
  const auto result = call.future.get(10s);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::timeout);
  EXPECT_GE(Clock::now(), deadline);
}

TEST(Watchdog, TakesDeadlinesInTheirOrder) {
  Owned watchdog;
  Watched late;
  Watched soon;
  watchdog->arm(late.state, Clock::now() + 1h, false);
  watchdog->arm(soon.state, Clock::now() + 5ms, false);
  EXPECT_EQ(soon.future.get(10s).error().code, ErrorCode::timeout);
  EXPECT_FALSE(late.future.ready());
}

TEST(Watchdog, EndsACancelledCall) {
  Owned watchdog;
  Watched call;
  watchdog->arm(call.state, std::nullopt, true);
  watchdog->cancel(call.state.get());
  EXPECT_EQ(call.future.get(10s).error().code, ErrorCode::cancelled);
}

TEST(Watchdog, LeavesADisarmedCallAlone) {
  Owned watchdog;
  Watched disarmed;
  Watched other;
  watchdog->arm(disarmed.state, Clock::now() + 1h, true);
  watchdog->disarm(disarmed.state.get());
  watchdog->cancel(disarmed.state.get());
  watchdog->arm(other.state, Clock::now() + 5ms, false);
  EXPECT_EQ(other.future.get(10s).error().code, ErrorCode::timeout);
  EXPECT_FALSE(disarmed.future.ready());
}

TEST(Watchdog, EndsAllCallsWhenItCloses) {
  Watched without_thread;
  Watched with_deadline;
  {
    Owned watchdog;
    watchdog->arm(without_thread.state, std::nullopt, false);
    watchdog->arm(with_deadline.state, Clock::now() + 1h, true);
  }
  EXPECT_EQ(without_thread.future.get(10s).error().code, ErrorCode::closed);
  EXPECT_EQ(with_deadline.future.get(10s).error().code, ErrorCode::closed);
}

TEST(Watchdog, RunsContinuationsOnItsOwnThread) {
  Owned watchdog;
  Watched call;
  std::atomic<bool> elsewhere{false};
  std::atomic<bool> done{false};
  auto next = std::move(call.future)
                  .then([&, here = std::this_thread::get_id()](const Result<CachedAnswer>&) {
                    elsewhere = std::this_thread::get_id() != here && detail::on_io_thread();
                    done = true;
                  });
  watchdog->arm(call.state, std::nullopt, true);
  watchdog->cancel(call.state.get());
  ASSERT_TRUE(next.get(10s));
  EXPECT_TRUE(done);
  EXPECT_TRUE(elsewhere);
}

TEST(Watchdog, LeavesSignalsToTheProgramsOwnThreads) {
  Owned watchdog;
  Watched call;
  std::atomic<int> blocked{-1};
  auto next = std::move(call.future).then([&](const Result<CachedAnswer>&) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked = sigismember(&mask, SIGTERM);
  });
  watchdog->arm(call.state, std::nullopt, true);
  watchdog->cancel(call.state.get());
  ASSERT_TRUE(next.get(10s));
  EXPECT_EQ(blocked, 1);
  sigset_t own;
  pthread_sigmask(SIG_SETMASK, nullptr, &own);
  EXPECT_EQ(sigismember(&own, SIGTERM), 0) << "this thread has its mask back";
}

TEST(Watchdog, MayBeClosedByAContinuationOnItsOwnThread) {
  auto watchdog = std::make_unique<Watchdog>();
  Watched call;
  auto* raw = watchdog.get();
  auto next = std::move(call.future).then([&watchdog](const Result<CachedAnswer>&) {
    watchdog->close();
    watchdog.reset();
  });
  raw->arm(call.state, Clock::now() + 1ms, false);
  EXPECT_TRUE(next.get(10s));
  EXPECT_EQ(watchdog, nullptr);
}

TEST(Watchdog, EndsEachCallOnceWhateverRaces) {
  constexpr int threads = 4;
  constexpr int calls_each = 500;
  std::atomic<int> timeouts{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> completed{0};
  {
    Owned watchdog;
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&] {
        for (int i = 0; i < calls_each; ++i) {
          Watched call;
          watchdog->arm(call.state, Clock::now() + std::chrono::microseconds(i % 3 * 100), true);
          if (i % 3 == 1) watchdog->cancel(call.state.get());
          if (i % 3 == 2) {
            watchdog->disarm(call.state.get());
            call.state->complete(CachedAnswer{});
          }
          const auto result = call.future.get(10s);
          if (result) {
            ++completed;
          } else if (result.error().code == ErrorCode::cancelled) {
            ++cancelled;
          } else if (result.error().code == ErrorCode::timeout) {
            ++timeouts;
          }
        }
      });
    }
    for (auto& worker : workers) worker.join();
  }
  EXPECT_EQ(timeouts + cancelled + completed, threads * calls_each);
  EXPECT_GT(timeouts, 0);
  EXPECT_GT(cancelled, 0);
  EXPECT_GT(completed, 0);
}

}  // namespace
}  // namespace valkeycache
