// One thread of a process of the simulation: asks in every way that there is, by a Zipf mix.
#pragma once

#include <valkeycache/cached_llm.hpp>

#include <chrono>
#include <cstdint>
#include <random>

#include "simulation_plan.hpp"
#include "simulation_witness.hpp"

namespace valkeycache::test {

class SimulationCaller {
 public:
  SimulationCaller(const CachedLlm& llm, Witness& witness, const SimulationPlan& plan,
                   unsigned process, unsigned number);
  // Asks its part of the whole, at its part of the pace.
  void run();

 private:
  struct Asked {
    Expectation expected;
    Future<CachedAnswer> answer;
  };

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  int question() { return zipf_(random_); }
  std::chrono::milliseconds usual_timeout();
  Expectation expect(int question);

  void one();
  void without_a_deadline();
  void many_at_once(std::uint64_t number);
  void by_stream();
  void from_the_cache();
  void cancelled();
  void impatient();

  const CachedLlm& llm_;
  Witness& witness_;
  std::mt19937_64 random_;
  std::discrete_distribution<int> zipf_;
  const int own_questions_;  // the first of those that no other process asks
  std::uint64_t left_;
  const std::chrono::nanoseconds pause_;  // from one ask to the next
};

}  // namespace valkeycache::test
