#include "simulation_bedrock.hpp"

#include <cstdio>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "simulation_plan.hpp"

namespace valkeycache::test {

SimulationBedrock::SimulationBedrock() : bedrock_({.delay = simulation::model_delay}) {
  bedrock_.set_rule([this](const RecordedRequest& request) { return arrived(request); });
}

// On the simulation's thread, one after the other.
std::optional<Fault> SimulationBedrock::arrived(const RecordedRequest& request) {
  const auto body = nlohmann::json::parse(request.body);
  const std::string prompt = body.at("messages").at(0).at("content").at(0).at("text");
  Arrival arrival;
  arrival.attempt = header_value(request.headers, "x-attempt");
  arrival.process = std::stoul(arrival.attempt);
  arrival.question = simulation::question_of(prompt);
  arrival.at_us = simulation::now_us();

  const std::lock_guard lock(mutex_);
  // As the simulation names the n-th request.
  char id[40];
  std::snprintf(id, sizeof id, "00000000-0000-4000-8000-%012zu", arrivals_.size() + 1);
  arrival.request_id = id;
  const auto dice = static_cast<int>(arrivals_.size() * 7919 % 100);
  arrival.throttled = dice < throttled_percent_;
  arrivals_.push_back(arrival);
  return arrival.throttled ? std::optional(faults::throttled()) : std::nullopt;
}

std::vector<Arrival> SimulationBedrock::arrivals() const {
  const std::lock_guard lock(mutex_);
  return arrivals_;
}

std::size_t SimulationBedrock::processes_heard_of() const {
  const std::lock_guard lock(mutex_);
  std::set<std::size_t> heard_of;
  for (const auto& arrival : arrivals_) heard_of.insert(arrival.process);
  return heard_of.size();
}

}  // namespace valkeycache::test
