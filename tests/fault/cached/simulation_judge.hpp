// What the calls of the model, as the processes and Bedrock noted them, have to be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "simulation_bedrock.hpp"
#include "simulation_outages.hpp"
#include "simulation_plan.hpp"
#include "simulation_report.hpp"

namespace valkeycache::test {

class SimulationJudge {
 public:
  // All of them have to stay. A report for each process, in their order.
  SimulationJudge(const SimulationPlan& plan, const std::vector<SimulationReport>& reports,
                  const std::vector<Arrival>& arrivals, const Outages& of_valkey,
                  const Outages& of_bedrock);

  // What one side noted the other did, too, request by request.
  void both_sides_agree();
  // Never two calls of one process for one question at a time.
  void one_at_a_time();
  // Who stops a call has left it, and was the last who waited.
  void stopped_by_those_who_left();
  // Where no outage of Valkey is felt, one of Bedrock or not: once a call was answered none follows
  // in any process until its entry has expired, and no ask finds the cache unusable. Where none of
  // Bedrock is felt either, no two processes ask at a time, and no call fails.
  void once_until_it_expires();

  // Empty when all is well.
  [[nodiscard]] std::string first_wrongs() const { return first_wrongs_; }
  // Calls outside of outages, and those of them that were due since an entry had expired.
  [[nodiscard]] std::size_t calm_calls() const { return calm_calls_; }
  [[nodiscard]] std::size_t calls_after_expiry() const { return calls_after_expiry_; }

 private:
  using Calls = std::vector<const ModelCall*>;

  void wrong(const std::string& what, int question, std::int64_t at_us);
  [[nodiscard]] static bool felt(const Outages& outages, const ModelCall& call) {
    return outages.felt_between(call.begin_us, call.end_us);
  }
  void once_until_it_expires(int question, const Calls& calls);
  void match_answers(std::vector<bool>& heard);

  const SimulationPlan& plan_;
  const std::vector<SimulationReport>& reports_;
  const std::vector<Arrival>& arrivals_;
  const Outages& of_valkey_;
  const Outages& of_bedrock_;
  // By process and question, in the order in which they began.
  std::map<std::pair<std::size_t, int>, Calls> calls_;
  std::size_t wrongs_ = 0, calm_calls_ = 0, calls_after_expiry_ = 0;
  std::string first_wrongs_;
};

}  // namespace valkeycache::test
