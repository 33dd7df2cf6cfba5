// Two threads meet at one future. Run many times, for the thread sanitizer and for lost wake-ups: a
// lost one hangs, which ends the test by its time-out.

#include <valkeycache/future.hpp>

#include <atomic>
#include <barrier>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace valkeycache;
using namespace std::chrono_literals;

constexpr int rounds = 3000;

// Both functions run at once, in each round anew.
void race(const std::function<void(int)>& one, const std::function<void(int)>& other,
          const std::function<void(int)>& before, const std::function<void(int)>& after) {
  std::barrier meet(2);
  std::thread partner([&] {
    for (int i = 0; i < rounds; ++i) {
      meet.arrive_and_wait();
      other(i);
      meet.arrive_and_wait();
    }
  });
  for (int i = 0; i < rounds; ++i) {
    before(i);
    meet.arrive_and_wait();
    one(i);
    meet.arrive_and_wait();
    after(i);
  }
  partner.join();
}

struct Pair {
  Promise<std::string> promise;
  Future<std::string> future;
  void renew() {
    promise = Promise<std::string>();
    future = promise.future();
  }
};

TEST(FutureRace, GetAgainstSet) {
  Pair pair;
  race([&](int i) { EXPECT_EQ(pair.future.get().value(), std::to_string(i)); },
       [&](int i) { pair.promise.set(std::to_string(i)); }, [&](int) { pair.renew(); }, [](int) {});
}

TEST(FutureRace, TimedGetAgainstSet) {
  Pair pair;
  race(
      [&](int i) {
        for (;;) {
          const auto result = pair.future.get(std::chrono::microseconds(i % 20));
          if (result) {
            EXPECT_EQ(*result, std::to_string(i));
            return;
          }
          EXPECT_EQ(result.error().code, ErrorCode::not_ready);
        }
      },
      [&](int i) { pair.promise.set(std::to_string(i)); }, [&](int) { pair.renew(); }, [](int) {});
}

TEST(FutureRace, ThenAgainstSet) {
  Pair pair;
  std::atomic<int> runs{0};
  Future<void> next;
  race(
      [&](int i) {
        next = pair.future.then([&runs, i](Result<std::string> x) {
          EXPECT_EQ(x.value(), std::to_string(i));
          ++runs;
        });
      },
      [&](int i) { pair.promise.set(std::to_string(i)); }, [&](int) { pair.renew(); },
      [&](int i) {
        EXPECT_TRUE(next.get());
        EXPECT_EQ(runs, i + 1);
      });
}

TEST(FutureRace, ThenAfterATimedOutGetAgainstSet) {
  Pair pair;
  std::atomic<int> runs{0};
  Future<void> next;
  race(
      [&](int) {
        if (!pair.future.get(0ms)) {
          next = pair.future.then([&runs](Result<std::string>) { ++runs; });
        } else {
          ++runs;
          next = make_ready_future<void>({});
        }
      },
      [&](int) { pair.promise.set("x"); }, [&](int) { pair.renew(); },
      [&](int i) {
        EXPECT_TRUE(next.get());
        EXPECT_EQ(runs, i + 1);
      });
}

TEST(FutureRace, DropAgainstSet) {
  Pair pair;
  race([&](int) { pair.future = {}; }, [&](int) { EXPECT_TRUE(pair.promise.set("x")); },
       [&](int) { pair.renew(); }, [](int) {});
}

TEST(FutureRace, GetAgainstAbandonment) {
  Pair pair;
  std::unique_ptr<Promise<std::string>> promise;
  race([&](int) { EXPECT_EQ(pair.future.get().error().code, ErrorCode::abandoned); },
       [&](int) { promise.reset(); },
       [&](int) {
         promise = std::make_unique<Promise<std::string>>();
         pair.future = promise->future();
       },
       [](int) {});
}

TEST(FutureRace, SetAgainstSet) {
  Pair pair;
  std::atomic<int> winners{0};
  race([&](int) { winners += pair.promise.set("one") ? 1 : 0; },
       [&](int) { winners += pair.promise.set("other") ? 1 : 0; }, [&](int) { pair.renew(); },
       [&](int i) {
         const auto result = pair.future.get().value();
         EXPECT_TRUE(result == "one" || result == "other");
         EXPECT_EQ(winners, i + 1);
       });
}

TEST(FutureRace, AwaitAgainstSet) {
  Pair pair;
  Future<std::string> next;
  const auto coroutine = [](Future<std::string> future) -> Future<std::string> {
    auto text = co_await std::move(future);
    co_return text.value() + "!";
  };
  race([&](int) { next = coroutine(std::move(pair.future)); },
       [&](int i) { pair.promise.set(std::to_string(i)); }, [&](int) { pair.renew(); },
       [&](int i) { EXPECT_EQ(next.get().value(), std::to_string(i) + "!"); });
}

// Many chains at once, set from a few threads in any order.
TEST(FutureRace, ManyChains) {
  constexpr int chains = 2000;
  constexpr int setters = 4;
  std::vector<Promise<int>> promises(chains);
  std::vector<Future<int>> ends;
  for (auto& promise : promises) {
    ends.push_back(
        promise.future().then([](Result<int> x) { return x.value() + 1; }).then([](Result<int> x) {
          return x.value() * 2;
        }));
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < setters; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < chains; i += setters) promises[static_cast<std::size_t>(i)].set(i);
    });
  }
  for (int i = 0; i < chains; ++i) {
    EXPECT_EQ(ends[static_cast<std::size_t>(i)].get().value(), (i + 1) * 2);
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
