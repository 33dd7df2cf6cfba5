#include "bench/measure.hpp"

#include <algorithm>
#include <ctime>
#include <stdexcept>

namespace valkeycache::bench {

namespace {

std::chrono::nanoseconds cpu_time() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

double Tally::rate() const {
  return static_cast<double>(operations) / std::chrono::duration<double>(elapsed).count();
}

double Tally::percentile_us(double p) {
  if (latencies_ns.empty()) throw std::logic_error("no latencies were taken");
  std::sort(latencies_ns.begin(), latencies_ns.end());
  const auto last = static_cast<double>(latencies_ns.size() - 1);
  return latencies_ns[static_cast<std::size_t>(p * last)] / 1e3;
}

double median(std::vector<double> values) {
  if (values.empty()) throw std::logic_error("a median of nothing");
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double Rounds::of(std::size_t side) const {
  return median(values_.at(side));
}

double Rounds::ratio(std::size_t side, std::size_t base) const {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < values_.at(side).size(); ++round) {
    ratios.push_back(values_.at(side)[round] / values_.at(base).at(round));
  }
  return median(std::move(ratios));
}

Row Rounds::row(std::string name, std::string unit, std::size_t side, std::size_t base,
                std::string must) const {
  return {.name = std::move(name),
          .value = of(side),
          .unit = std::move(unit),
          .baseline = of(base),
          .ratio = ratio(side, base),
          .must = std::move(must)};
}

std::vector<std::vector<Tally>> take_turns(const Options& options, const std::vector<Side>& sides) {
  std::vector<std::vector<Tally>> tallies(sides.size());
  for (const auto& side : sides) {
    Tally warm_up;
    side.work(Clock::now() + options.slice / 2, warm_up);
  }
  for (int round = 0; round < options.rounds; ++round) {
    for (auto& of_side : tallies) of_side.emplace_back();
    for (int slice = 0; slice < options.slices; ++slice) {
      for (std::size_t turn = 0; turn < sides.size(); ++turn) {
        // There and back, so that no side always follows the same one.
        const auto side = slice % 2 ? sides.size() - 1 - turn : turn;
        auto& tally = tallies[side].back();
        const auto cpu = cpu_time();
        const auto start = Clock::now();
        sides[side].work(start + options.slice, tally);
        tally.elapsed += Clock::now() - start;
        tally.cpu += cpu_time() - cpu;
      }
    }
  }
  return tallies;
}

namespace {

template <class Number>
Rounds of_each(std::vector<std::vector<Tally>> tallies, Number number) {
  std::vector<std::vector<double>> values;
  for (auto& of_side : tallies) {
    values.emplace_back();
    for (auto& tally : of_side) values.back().push_back(number(tally));
  }
  return Rounds(std::move(values));
}

}  // namespace

Rounds rates(const std::vector<std::vector<Tally>>& tallies) {
  return of_each(tallies, [](const Tally& tally) { return tally.rate(); });
}

Rounds costs(const std::vector<std::vector<Tally>>& tallies) {
  return of_each(tallies, [](const Tally& tally) { return 1e9 / tally.rate(); });
}

Rounds cpu_costs(const std::vector<std::vector<Tally>>& tallies) {
  return of_each(tallies, [](const Tally& tally) {
    return static_cast<double>(tally.cpu.count()) / static_cast<double>(tally.operations);
  });
}

Rounds percentiles(const std::vector<std::vector<Tally>>& tallies, double p) {
  return of_each(tallies, [p](Tally& tally) { return tally.percentile_us(p); });
}

}  // namespace valkeycache::bench
