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
  while (!wait_until(ended, calm)) storm(storms_++);
  for (auto& process : processes_) EXPECT_EQ(process->wait(patience), 0);
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

// Each kind of trouble alone, and both together.
void SimulationWorld::storm(int number) {
  const auto during = [](Outages& outages, const auto& troubles) {
    const auto from = simulation::now_us();
    troubles();
    outages.add(from, simulation::now_us());
  };
  switch (number % 5) {
    case 0:
      during(of_valkey_, [this] {
        kill_valkey();
        stop_valkey_for_a_while();
      });
      break;
    case 1:
      return slow_model();
    case 2:
      during(of_bedrock_, [this] { throttle(100, 1500ms); });
      break;
    case 3:
      during(of_valkey_, [&] {
        during(of_bedrock_, [this] {
          restart_valkey();
          throttle(100, 1500ms);
        });
      });
      break;
    default:
      during(of_bedrock_, [this] { throttle(60, 3000ms); });
  }
  last(simulation::felt_after);
}

void SimulationWorld::kill_valkey() {
  valkey_.kill();
  last(300ms);
  valkey_.start();
}

void SimulationWorld::stop_valkey_for_a_while() {
  valkey_.pause();
  last(simulation::command_timeout + 300ms);
  valkey_.resume();
}

void SimulationWorld::restart_valkey() {
  valkey_.stop();
  last(300ms);
  valkey_.start();
}

void SimulationWorld::throttle(int percent, std::chrono::milliseconds time) {
  bedrock_.throttle(percent);
  last(time);
  bedrock_.throttle(0);
}

// Calm goes on. Who asks at the end of it waits as long again.
void SimulationWorld::slow_model() {
  bedrock_.set_delay(simulation::slow_model_delay);
  last(simulation::slow_model_delay);
  bedrock_.set_delay(simulation::model_delay);
  last(simulation::slow_model_delay);
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
