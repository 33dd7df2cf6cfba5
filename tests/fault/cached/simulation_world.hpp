// The world of the simulation: a Valkey, a Bedrock, the processes, and what happens to them.
#pragma once

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
  // Calm and storms by turns, until the processes have asked what they had to. Each storm goes on
  // where the last one left off: Valkey is killed, is stopped for a while, Bedrock throttles,
  // Valkey is restarted.
  void run();

  [[nodiscard]] const SimulationBedrock& bedrock() const { return bedrock_; }
  [[nodiscard]] const Outages& outages() const { return outages_; }
  // Throws where a process has left none.
  [[nodiscard]] std::vector<SimulationReport> reports() const;

 private:
  static constexpr int troubles_of_a_storm = 2;

  void launch();
  bool all_ended();
  void trouble(int number);
  [[nodiscard]] std::string report_file(int process) const;

  const SimulationPlan& plan_;
  TemporaryFolder folder_;
  ValkeyServer valkey_;
  SimulationBedrock bedrock_;
  Outages outages_;
  int troubles_ = 0;
  std::vector<std::unique_ptr<ChildProcess>> processes_;
};

}  // namespace valkeycache::test
