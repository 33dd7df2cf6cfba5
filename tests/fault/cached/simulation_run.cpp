#include "simulation_run.hpp"

#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "simulation_judge.hpp"
#include "simulation_world.hpp"

namespace valkeycache::test {
namespace {

std::uint64_t chosen_seed() {
  if (const char* given = std::getenv("VALKEYCACHE_SIMULATION_SEED"); given && *given) {
    return std::strtoull(given, nullptr, 10);
  }
  return std::random_device{}();
}

using Sums = std::map<std::string, std::uint64_t>;

void add(Sums& sums, const Sums& more) {
  for (const auto& [name, value] : more) sums[name] += value;
}

void print(const char* what, const Sums& sums) {
  std::cout << what;
  for (const auto& [name, value] : sums) std::cout << "  " << name << " " << value;
  std::cout << "\n";
}

struct Totals {
  std::uint64_t asks = 0, model_calls = 0, attempts = 0, had_little_time = 0, came_late = 0;
  Sums answers, errors, counters;
};

Totals total(const std::vector<SimulationReport>& reports) {
  Totals totals;
  for (const auto& report : reports) {
    totals.asks += report.asks;
    totals.model_calls += report.model_calls.size();
    totals.attempts += report.attempts;
    totals.had_little_time += report.had_little_time;
    totals.came_late += report.came_late;
    add(totals.answers, report.answers);
    add(totals.errors, report.errors);
    add(totals.counters, report.counters);
  }
  return totals;
}

void print(const Totals& totals) {
  print("answers:", totals.answers);
  print("errors:", totals.errors);
  print("counters:", totals.counters);
  std::cout << "in a hurry: " << totals.had_little_time << " asks, of them " << totals.came_late
            << " ended more than " << simulation::late.count() << " ms too late\n";
}

// What Bedrock counted is what arrived, and each request had one end.
void expect_counted(const SimulatedBedrockStats& stats, const std::vector<Arrival>& arrivals) {
  std::size_t throttled = 0;
  for (const auto& arrival : arrivals) throttled += arrival.throttled ? 1U : 0U;
  EXPECT_EQ(stats.calls, arrivals.size());
  EXPECT_EQ(stats.faults, throttled);
  EXPECT_EQ(stats.answers + stats.aborted, arrivals.size() - throttled);
  EXPECT_EQ(stats.refused, 0U) << "for their signatures";
  EXPECT_GT(throttled, 0U) << "or that was not under test";
}

}  // namespace

void run_simulation(SimulationPlan plan) {
  if (plan.seed == 0) plan.seed = chosen_seed();
  std::cout << "seed " << plan.seed << "; again: VALKEYCACHE_SIMULATION_SEED=" << plan.seed
            << std::endl;
  SimulationWorld world(plan);
  const auto begin = simulation::now_us();
  world.run();
  const auto seconds = static_cast<double>(simulation::now_us() - begin) / 1e6;

  const auto reports = world.reports();
  const auto arrivals = world.bedrock().arrivals();
  const auto totals = total(reports);
  SimulationJudge judge(plan, reports, arrivals, world.outages_of_valkey(),
                        world.outages_of_bedrock());
  judge.both_sides_agree();
  judge.one_at_a_time();
  judge.stopped_by_those_who_left();
  judge.once_until_it_expires();
  std::cout << totals.asks << " asks in " << seconds << " s, " << world.storms() << " storms; "
            << totals.model_calls << " calls of the model by " << arrivals.size()
            << " requests; outside of outages " << judge.calm_calls() << " calls, of them "
            << judge.calls_after_expiry() << " since an entry had expired\n";
  print(totals);

  for (const auto& report : reports) EXPECT_EQ(report.wrongs, std::vector<std::string>{});
  EXPECT_EQ(judge.first_wrongs(), "");
  EXPECT_EQ(totals.asks, static_cast<std::uint64_t>(plan.asks));
  expect_counted(world.bedrock().stats(), arrivals);

  EXPECT_GE(world.storms(), plan.storms);
  EXPECT_GT(totals.had_little_time, totals.asks / 50);
  if (!sanitized) {
    EXPECT_LE(totals.came_late, totals.had_little_time / 100);
  }
  for (const auto* counter : {"shared", "cache_errors", "breaker_trips"}) {
    EXPECT_GT(totals.counters.at(counter), 0U) << counter << ": or it was not under test";
  }
  for (const auto* error : {"timeout", "cancelled", "cache_miss"}) {
    EXPECT_TRUE(totals.errors.contains(error)) << error << ": or it was not under test";
  }
  EXPECT_GT(totals.counters.at("hits"), totals.asks / 4);
  EXPECT_GT(judge.calm_calls(), totals.model_calls / 8);
  EXPECT_GT(judge.calls_after_expiry(), 0U);
}

}  // namespace valkeycache::test
