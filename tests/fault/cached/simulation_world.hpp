// The world of the simulation: a Valkey, a Bedrock, the processes, and what happens to them.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "simulation_bedrock.hpp"
#include "simulation_outages.hpp"
#include "simulation_plan.hpp"
#include "simulation_report.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/valkey_server.hpp"

namespace valkeycache::test {

class SimulationWorld {
 public:
  explicit SimulationWorld(const SimulationPlan& plan);
  // Calm and storms by turns, until the processes have asked what they had to.
  void run();

  [[nodiscard]] const SimulationBedrock& bedrock() const { return bedrock_; }
  [[nodiscard]] const Outages& outages_of_valkey() const { return of_valkey_; }
  [[nodiscard]] const Outages& outages_of_bedrock() const { return of_bedrock_; }
  [[nodiscard]] int storms() const { return storms_; }
  // Throws where a process has left none.
  [[nodiscard]] std::vector<SimulationReport> reports() const;

 private:
  void launch();
  bool all_ended();
  void storm(int number);
  void kill_valkey();
  void stop_valkey_for_a_while();
  void restart_valkey();
  void throttle(int percent, std::chrono::milliseconds time);
  void slow_model();
  [[nodiscard]] std::string report_file(int process) const;

  const SimulationPlan& plan_;
  TemporaryFolder folder_;
  ValkeyServer valkey_;
  SimulationBedrock bedrock_;
  Outages of_valkey_, of_bedrock_;
  int storms_ = 0;
  std::vector<std::unique_ptr<ChildProcess>> processes_;
};

}  // namespace valkeycache::test
