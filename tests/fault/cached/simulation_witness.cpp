#include "simulation_witness.hpp"

#include <utility>

#include "simulation_plan.hpp"

namespace valkeycache::test {
namespace {

using std::chrono::milliseconds;

// A call without a deadline ends when lookup, lease and two calls of the model may have ended.
constexpr milliseconds longest_of_all = simulation::connect_timeout + simulation::command_timeout +
                                        simulation::lease_life + 2 * simulation::model_timeout;

bool is_of_the_cache(ErrorCode code) {
  switch (code) {
    case ErrorCode::timeout:
    case ErrorCode::connect_failed:
    case ErrorCode::connection_lost:
    case ErrorCode::server_unavailable:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Witness::ended(const Expectation& expected, const Result<CachedAnswer>& result,
                    std::optional<milliseconds> longest) {
  const auto now = simulation::now_us();
  const milliseconds took{(now - expected.begin_us) / 1000};
  {
    const std::lock_guard lock(mutex_);
    ++report_.asks;
  }
  if (result) {
    answered(expected, *result, now);
  } else {
    failed(expected, result.error(), took);
  }
  const auto late = took - longest.value_or(longest_of_all);
  if (late > simulation::margin) {
    wrong("a call ended " + std::to_string(late.count()) + " ms after its deadline");
  }
  if (longest && *longest < simulation::little_time) {
    const std::lock_guard lock(mutex_);
    ++report_.had_little_time;
    if (late > simulation::late) ++report_.came_late;
  }
}

void Witness::answered(const Expectation& expected, const CachedAnswer& answer,
                       std::int64_t now_us) {
  if (answer.response != simulation::answer_to(expected.question)) {
    wrong("question " + std::to_string(expected.question) + " was answered: " + answer.response);
  }
  const std::lock_guard lock(mutex_);
  ++report_.answers[to_string(answer.source)];
  avoided_.input += static_cast<std::uint64_t>(answer.avoided_usage.input_tokens);
  avoided_.output += static_cast<std::uint64_t>(answer.avoided_usage.output_tokens);
  if (answer.cache_status == CacheStatus::error) {
    report_.cache_troubles.push_back(
        {now_us - static_cast<std::int64_t>(answer.total_ms * 1000), now_us});
  }
}

void Witness::failed(const Expectation& expected, const Error& error, milliseconds took) {
  {
    const std::lock_guard lock(mutex_);
    ++report_.errors[to_string(error.code)];
    if (error.code == ErrorCode::timeout || error.code == ErrorCode::cancelled) {
      ++report_.left[expected.question];
    }
  }
  // A timer counts whole milliseconds.
  const bool its_time_is_up = expected.timeout && took + milliseconds(1) >= *expected.timeout;
  const bool timed_out = error.code == ErrorCode::timeout && its_time_is_up;
  const bool by_the_cache = expected.cache_only && !timed_out && is_of_the_cache(error.code);
  if (by_the_cache) {
    const auto now = simulation::now_us();
    const std::lock_guard lock(mutex_);
    report_.cache_troubles.push_back({now - took.count() * 1000, now});
  }
  const bool may_be = timed_out || by_the_cache ||
                      (error.code == ErrorCode::cancelled && expected.may_be_cancelled) ||
                      (error.code == ErrorCode::throttled && !expected.cache_only) ||
                      (error.code == ErrorCode::cache_miss && expected.cache_only);
  if (!may_be) {
    wrong("an ask failed after " + std::to_string(took.count()) + " ms: " + to_string(error.code) +
          ": " + error.message);
  }
}

void Witness::wrong(std::string what) {
  const std::lock_guard lock(mutex_);
  if (report_.wrongs.size() < 10) report_.wrongs.push_back(std::move(what));
}

TokenTotals Witness::avoided() const {
  const std::lock_guard lock(mutex_);
  return avoided_;
}

SimulationReport Witness::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

}  // namespace valkeycache::test
