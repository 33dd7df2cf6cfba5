// A flight of a thousand: how long after the model's answer the last of them has it.
#include <valkeycache/cached_llm.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <ctime>
#include <latch>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/computing.hpp"
#include "bench/measure.hpp"
#include "bench/stage.hpp"
#include "bench/windows.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::bench {
namespace {

// A model that answers when it is told to.
class Told {
 public:
  [[nodiscard]] std::shared_ptr<Llm> model() {
    return make_async_llm({.model = "told", .scope = "local"},
                          [this](const ChatRequest&, const CallOptions&) {
                            const std::lock_guard lock(mutex_);
                            calls_.emplace_back();
                            return calls_.back().future();
                          });
  }
  void await_call() {
    const auto called = test::wait_until([this] {
      const std::lock_guard lock(mutex_);
      return !calls_.empty();
    });
    if (!called) throw std::runtime_error("the model is not asked");
  }
  // Gives the time when the answer was on its way.
  Clock::time_point answer() {
    Promise<Completion> call;
    {
      const std::lock_guard lock(mutex_);
      if (calls_.size() != 1) throw std::runtime_error("a flight of more than one call");
      call = std::move(calls_.back());
      calls_.clear();
    }
    Completion completion;
    completion.text = text(1024);
    completion.stop_reason = "end_turn";
    const auto now = Clock::now();
    call.set(std::move(completion));
    return now;
  }

 private:
  std::mutex mutex_;
  std::vector<Promise<Completion>> calls_;
};

struct Flight {
  const CachedLlm& llm;
  Told& told;
  std::size_t waiters;
};

// In milliseconds, by the clock and of processors.
struct Took {
  double wall = 0;
  double cpu = 0;
};

Took took(Clock::time_point began, Clock::time_point ended, std::clock_t cpu_before) {
  return {std::chrono::duration<double, std::milli>(ended - began).count(),
          1e3 * static_cast<double>(std::clock() - cpu_before) / CLOCKS_PER_SEC};
}

Took by_callbacks(const Flight& flight, const std::string& prompt) {
  Countdown countdown;
  countdown.start(flight.waiters);
  std::atomic<Clock::rep> last{0};
  for (std::size_t i = 0; i < flight.waiters; ++i) {
    flight.llm.ask(prompt).then([&](const Result<CachedAnswer>& answer) {
      // The countdown's end comes after all of these.
      const auto now = Clock::now().time_since_epoch().count();
      auto latest = last.load(std::memory_order_relaxed);
      while (latest < now && !last.compare_exchange_weak(latest, now)) {
      }
      countdown.one_less(answer.has_value());
    });
  }
  flight.told.await_call();
  const auto cpu = std::clock();
  const auto began = flight.told.answer();
  countdown.wait();
  return took(began, Clock::time_point(Clock::duration(last.load())), cpu);
}

Took by_threads(const Flight& flight, const std::string& prompt) {
  std::vector<Clock::time_point> woken(flight.waiters);
  std::atomic<std::size_t> asked{0};
  std::atomic<bool> wrong{false};
  std::latch all_woken(static_cast<std::ptrdiff_t>(flight.waiters));
  std::latch leave(1);
  std::vector<std::thread> threads;
  threads.reserve(flight.waiters);
  for (std::size_t i = 0; i < flight.waiters; ++i) {
    threads.emplace_back([&, i] {
      auto future = flight.llm.ask(prompt);
      ++asked;
      if (!future.get()) wrong = true;
      woken[i] = Clock::now();
      all_woken.count_down();
      leave.wait();  // what a thread's end costs is not the flight's
    });
  }
  if (!test::wait_until([&] { return asked == flight.waiters; })) {
    throw std::runtime_error("not all have asked");
  }
  // They are about to sleep; let them.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  flight.told.await_call();
  const auto cpu = std::clock();
  const auto began = flight.told.answer();
  all_woken.wait();
  const auto result = took(began, *std::max_element(woken.begin(), woken.end()), cpu);
  leave.count_down();
  for (auto& thread : threads) thread.join();
  if (wrong) throw std::runtime_error("ask: no answer");
  return result;
}

}  // namespace

std::vector<Row> flights(Stage& stage) {
  const auto& options = stage.options();
  const auto cache = stage.open();
  Told told;
  CachedLlmOptions patient;
  patient.ttl = std::chrono::hours(1);
  const CachedLlm llm(cache, told.model(), patient);
  const Flight flight{llm, told, options.smoke ? std::size_t{50} : std::size_t{1000}};
  std::vector<Took> callbacks, threads;
  const int rounds = options.smoke ? 1 : options.rounds * options.slices;
  int question = 0;
  const auto next = [&] {
    return "flight " + std::to_string(question++);
  };
  static_cast<void>(by_callbacks(flight, next()));  // to warm up
  for (int round = 0; round < rounds; ++round) {
    callbacks.push_back(by_callbacks(flight, next()));
    threads.push_back(by_threads(flight, next()));
  }
  static_cast<void>(cache.clear().get().value());
  const auto row = [](std::string name, const std::vector<Took>& all, double Took::*what,
                      std::string must = {}) {
    std::vector<double> values;
    for (const auto& one : all) values.push_back(one.*what);
    Row made;
    made.name = std::move(name);
    made.value = median(std::move(values));
    made.unit = "ms";
    made.must = std::move(must);
    return made;
  };
  return {row("flight.callbacks", callbacks, &Took::wall, "value <= 5"),
          row("flight.threads", threads, &Took::wall, "value <= 25"),
          row("cpu.flight.callbacks", callbacks, &Took::cpu),
          row("cpu.flight.threads", threads, &Took::cpu)};
}

}  // namespace valkeycache::bench
