// Gets that are due at random times, however long the answers take.
#pragma once

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <deque>
#include <random>
#include <stdexcept>

#include <poll.h>

#include "bench/measure.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {

// When the next get is due: a Poisson process, the same for all sides.
class Arrivals {
 public:
  Arrivals(double rate, Clock::time_point start) : gap_(rate), next_(start) { advance(); }
  [[nodiscard]] Clock::time_point next() const noexcept { return next_; }
  void advance() {
    next_ +=
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(gap_(random_)));
  }

 private:
  std::mt19937_64 random_{4711};
  std::exponential_distribution<double> gap_;
  Clock::time_point next_;
};

inline std::uint32_t nanoseconds(Clock::duration time) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

inline timespec to_timespec(Clock::duration time) {
  const auto ns =
      std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
  return {.tv_sec = static_cast<time_t>(ns / 1000000000),
          .tv_nsec = static_cast<long>(ns % 1000000000)};
}

// One thread that sends what is due and reads what has come, and sleeps in poll() otherwise.
// Ends when going_on(time) says so and all answers have come.
template <class Condition>
void raw_open_loop(const Raw& raw, const Entries& entries, double rate, Condition going_on,
                   Tally& tally) {
  auto* context = raw.context();
  Arrivals arrivals(rate, Clock::now());
  std::deque<Clock::time_point> due;
  const auto require = [](bool good) {
    if (!good) throw std::runtime_error("raw hiredis: open loop");
  };
  while (!due.empty() || going_on(arrivals.next())) {
    const auto now = Clock::now();
    for (; arrivals.next() <= now && going_on(arrivals.next()); arrivals.advance()) {
      const auto& get = entries.raw_get(due.size());
      require(redisAppendCommandArgv(context, static_cast<int>(get.words.size()),
                                     const_cast<const char**>(get.words.data()),
                                     get.lengths.data()) == REDIS_OK);
      due.push_back(arrivals.next());
    }
    for (int done = 0; !done;) require(redisBufferWrite(context, &done) == REDIS_OK);
    pollfd events{.fd = context->fd, .events = POLLIN, .revents = 0};
    const auto pause = to_timespec(arrivals.next() - Clock::now());
    const int ready = ppoll(&events, 1, going_on(arrivals.next()) ? &pause : nullptr, nullptr);
    require(ready >= 0 || errno == EINTR);
    if (ready <= 0) continue;
    require(redisBufferRead(context) == REDIS_OK);
    for (;;) {
      void* found = nullptr;
      require(redisGetReplyFromReader(context, &found) == REDIS_OK);
      if (!found) break;
      const RawReply reply(static_cast<redisReply*>(found));
      require_hit(*reply, entries.bytes());
      tally.latencies_ns.push_back(nanoseconds(Clock::now() - due.front()));
      due.pop_front();
      ++tally.operations;
    }
  }
}

}  // namespace valkeycache::bench
