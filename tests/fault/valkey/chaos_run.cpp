#include "chaos_run.hpp"

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <iostream>
#include <thread>

#include "chaos_caller.hpp"
#include "chaos_canceller.hpp"

namespace valkeycache::test {
namespace {

using namespace std::chrono_literals;

// $VALKEYCACHE_CHAOS_SEED, or another one each time: the faults' and the callers' dice. (Not the
// scheduler's.)
std::uint64_t chosen_seed() {
  if (const char* given = std::getenv("VALKEYCACHE_CHAOS_SEED"); given && *given) {
    return std::strtoull(given, nullptr, 10);
  }
  return std::random_device{}();
}

std::size_t entries_of(const char* folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

// A program's own loop, where continuations run.
class Loop {
 public:
  Loop() = default;
  ~Loop() {
    post({});
    thread_.join();
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  [[nodiscard]] Executor executor() {
    return [this](Task task) {
      post(std::move(task));
    };
  }

 private:
  void post(Task task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !tasks_.empty(); });
      auto tasks = std::exchange(tasks_, {});
      lock.unlock();
      for (auto& task : tasks) {
        if (!task) return;
        task();
      }
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::thread thread_{[this] {
    run();
  }};
};

void call_from_many_threads(ChaosProxy& proxy, ChaosJudge& judge, std::uint64_t seed) {
  Loop loop;
  ValkeyCacheOptions options;
  options.connect_timeout = 500ms;
  options.command_timeout = ChaosJudge::usual_timeout;
  options.reconnect_base = 1ms;
  options.reconnect_cap = 20ms;
  options.close_timeout = patience;
  std::vector<ValkeyCache> caches;
  caches.push_back(ValkeyCache::open(proxy.uri(), options).value());
  options.executor = loop.executor();
  caches.push_back(ValkeyCache::open(proxy.uri(), options).value());
  options.executor = {};
  options.near_cache.max_bytes = std::size_t{1} << 20;
  caches.push_back(ValkeyCache::open(proxy.uri(), options).value());
  {
    Canceller canceller;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 6; ++t) {
      threads.emplace_back([&, t, cache = caches[t % 3]]() mutable {
        ChaosCaller(std::move(cache), judge, canceller, t, seed).run();
      });
    }
    for (auto& thread : threads) thread.join();
  }
  EXPECT_GT(caches.back().stats().near_hits, 0U) << "or it was not under test";
  proxy.calm();
  for (std::size_t i = 0; i < caches.size(); ++i) {
    EXPECT_TRUE(wait_until([&] { return caches[i].stats().in_flight == 0; }));
    EXPECT_TRUE(wait_until([&] { return caches[i].ping().get().has_value(); }));
    // Over a network that is sound again everything is.
    for (std::size_t number = 0; number < ChaosJudge::shared_keys; ++number) {
      const bool was_there = judge.is_there(number);
      const auto found = caches[i].get(key_of(ChaosJudge::shared_key(number))).get();
      EXPECT_TRUE(ok(found));
      judge.got(number, was_there, found);
    }
    EXPECT_TRUE(wait_until([&] { return caches[i].stats().in_flight == 0; }));
  }
}

}  // namespace

void run_chaos(const ChaosFaults& faults, std::uint64_t calls) {
  const auto seed = chosen_seed();
  std::cout << "seed " << seed << "; again: VALKEYCACHE_CHAOS_SEED=" << seed << std::endl;
  std::thread([] {}).join();  // the first one may bring a sanitizer's own with it
  const auto descriptors = entries_of("/proc/self/fd");
  const auto threads = entries_of("/proc/self/task");
  {
    ChaosJudge judge(calls);
    const ValkeyServer server;
    ChaosProxy proxy(server.port(), faults, seed);
    const auto begin = SteadyClock::now();
    call_from_many_threads(proxy, judge, seed);
    const auto time = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    const auto& counts = proxy.counts();
    std::cout << calls << " calls in " << time << " s, " << judge.hits() << " hits, "
              << judge.errors() << " errors; " << counts.connections << " connections, "
              << counts.delays << " delays, " << counts.shreds << " shreds, " << counts.stalls
              << " stalls, " << counts.resets << " resets, " << counts.half_closes
              << " half closes, " << counts.garbage << " bytes of garbage, " << counts.wrong_types
              << " wrong types" << std::endl;
    EXPECT_EQ(judge.first_wrongs(), "");
    EXPECT_GT(judge.hits(), calls / 10) << "or nothing was tested";
    // Where so few were due that none may have come, none is fine.
    const auto happened = [&](unsigned one_of, const std::atomic<unsigned>& count) {
      return one_of == 0 || calls / one_of < 30 || count > 0;
    };
    EXPECT_TRUE(happened(faults.delay, counts.delays));
    EXPECT_TRUE(happened(faults.shred, counts.shreds));
    EXPECT_TRUE(happened(faults.stall, counts.stalls));
    EXPECT_TRUE(happened(faults.reset, counts.resets));
    EXPECT_TRUE(happened(faults.half_close, counts.half_closes));
    EXPECT_TRUE(happened(faults.garbage, counts.garbage));
    EXPECT_TRUE(happened(faults.wrong_type, counts.wrong_types));
  }
  EXPECT_TRUE(wait_until([&] { return entries_of("/proc/self/task") == threads; }));
  EXPECT_TRUE(wait_until([&] { return entries_of("/proc/self/fd") == descriptors; }));
}

}  // namespace valkeycache::test
