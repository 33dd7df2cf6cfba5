// Turns: the sides of a comparison work one after the other in short slices, so that whatever else
// the machine does hits all of them alike; a round's ratio is made of neighbours only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/bench.hpp"

namespace valkeycache::bench {

using Clock = std::chrono::steady_clock;

// What a side did in its turns of one round.
struct Tally {
  std::uint64_t operations = 0;
  Clock::duration elapsed{};
  std::chrono::nanoseconds cpu{};                // of this process, all threads
  std::vector<std::uint32_t> latencies_ns = {};  // where the side takes them

  [[nodiscard]] double rate() const;             // operations a second
  [[nodiscard]] double percentile_us(double p);  // sorts; 0.5: the median
};

// Works until this time and adds what it did. Ends by itself, soon after.
struct Side {
  std::string name;
  std::function<void(Clock::time_point until, Tally& tally)> work;
};

// Calls get(i) again and again; each call's time ends where the next one's begins.
template <class Get>
void one_after_the_other(Clock::time_point until, Tally& tally, Get get) {
  auto before = Clock::now();
  while (before < until) {
    get(tally.operations++);
    const auto now = Clock::now();
    tally.latencies_ns.push_back(static_cast<std::uint32_t>((now - before).count()));
    before = now;
  }
}

// One number for each side in each round.
class Rounds {
 public:
  explicit Rounds(std::vector<std::vector<double>> values) : values_(std::move(values)) {}
  // The median over the rounds.
  [[nodiscard]] double of(std::size_t side) const;
  // The median of what each round gives for side / base.
  [[nodiscard]] double ratio(std::size_t side, std::size_t base) const;
  [[nodiscard]] Row row(std::string name, std::string unit, std::size_t side, std::size_t base,
                        std::string must = {}) const;

 private:
  std::vector<std::vector<double>> values_;  // [side][round]
};

// The tallies of each side in each round: [side][round]. Warms up before the first.
std::vector<std::vector<Tally>> take_turns(const Options& options, const std::vector<Side>& sides);
// These are rates (operations a second), costs (nanoseconds an operation, by the clock or of
// processors) and latencies.
Rounds rates(const std::vector<std::vector<Tally>>& tallies);
Rounds costs(const std::vector<std::vector<Tally>>& tallies);
Rounds cpu_costs(const std::vector<std::vector<Tally>>& tallies);
Rounds percentiles(const std::vector<std::vector<Tally>>& tallies, double p);

double median(std::vector<double> values);

}  // namespace valkeycache::bench
