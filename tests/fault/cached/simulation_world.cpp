#include "simulation_world.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "support/valkey/wait.hpp"

namespace valkeycache::test {
namespace {

using namespace std::chrono_literals;

void last(std::chrono::milliseconds time) {
  std::this_thread::sleep_for(time);
}

}  // namespace

// What it has confirmed it knows after a restart, even after a kill: the file has it before the
// reply is sent. (It need not be on the disk: the machine stays up.)
SimulationWorld::SimulationWorld(const SimulationPlan& plan)
    : plan_(plan), valkey_({.config = {"appendonly yes", "appendfsync no"}}) {}

void SimulationWorld::run() {
  launch();
  const auto ended = [this] {
    return all_ended();
  };
  const auto calm = std::chrono::milliseconds(plan_.calm_ms) + simulation::felt_before;
  while (!wait_until(ended, calm)) {
    const auto from = simulation::now_us();
    for (int i = 0; i < troubles_of_a_storm; ++i) trouble(troubles_++);
    outages_.add(from, simulation::now_us());
    last(simulation::felt_after);
  }
}

void SimulationWorld::launch() {
  const auto plan = nlohmann::json(plan_).dump();
  for (int i = 0; i < plan_.processes; ++i) {
    processes_.push_back(std::make_unique<ChildProcess>(
        std::vector<std::string>{VALKEYCACHE_SIMULATION_ASKER, plan, std::to_string(i),
                                 valkey_.uri(), bedrock_.url(), report_file(i)}));
  }
  EXPECT_TRUE(wait_until([this] { return bedrock_.processes_heard_of() == processes_.size(); }))
      << "not all processes ask";
}

bool SimulationWorld::all_ended() {
  return std::none_of(processes_.begin(), processes_.end(),
                      [](const auto& process) { return process->running(); });
}

void SimulationWorld::trouble(int number) {
  switch (number % 4) {
    case 0:
      valkey_.kill();
      last(300ms);
      valkey_.start();
      break;
    case 1:
      valkey_.pause();
      last(simulation::command_timeout + 300ms);
      valkey_.resume();
      break;
    case 2:
      bedrock_.throttle(number % 8 == 2 ? 60 : 100);
      last(1500ms);
      bedrock_.throttle(0);
      break;
    default:
      valkey_.stop();
      last(300ms);
      valkey_.start();
  }
}

std::string SimulationWorld::report_file(int process) const {
  return folder_.path() + "/report-" + std::to_string(process);
}

std::vector<SimulationReport> SimulationWorld::reports() const {
  std::vector<SimulationReport> reports;
  for (int i = 0; i < plan_.processes; ++i) {
    reports.push_back(nlohmann::json::parse(read_text(report_file(i), std::string::npos))
                          .get<SimulationReport>());
  }
  return reports;
}

}  // namespace valkeycache::test
