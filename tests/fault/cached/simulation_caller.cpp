#include "simulation_caller.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace valkeycache::test {
namespace {

using std::chrono::milliseconds;

std::discrete_distribution<int> zipf(int questions) {
  std::vector<double> weights;
  for (int i = 1; i <= questions; ++i) weights.push_back(1.0 / i);
  return {weights.begin(), weights.end()};
}

constexpr int own_questions = 20;  // of each process

std::uint64_t part_of(int whole, int parts, unsigned number) {
  const auto rest = static_cast<unsigned>(whole % parts);
  return static_cast<std::uint64_t>(whole / parts) + (number < rest ? 1U : 0U);
}

}  // namespace

SimulationCaller::SimulationCaller(const CachedLlm& llm, Witness& witness,
                                   const SimulationPlan& plan, unsigned process, unsigned number)
    : llm_(llm),
      witness_(witness),
      random_(plan.seed + process * 1000 + number),
      zipf_(zipf(plan.questions)),
      own_questions_(plan.questions + static_cast<int>(process) * own_questions),
      left_(part_of(plan.asks, plan.processes * plan.callers,
                    process * static_cast<unsigned>(plan.callers) + number)),
      pause_(std::chrono::nanoseconds(std::chrono::seconds(1)) * plan.processes * plan.callers /
             plan.asks_per_second) {}

void SimulationCaller::run() {
  auto due = std::chrono::steady_clock::now();
  while (left_ > 0) {
    std::this_thread::sleep_until(due);
    const auto style = below(100);
    std::uint64_t asks = 1;
    if (style < 4) {
      asks = std::min<std::uint64_t>(left_, 24);
      many_at_once(asks);
    } else if (style < 14) {
      by_stream();
    } else if (style < 19) {
      from_the_cache();
    } else if (style < 22) {
      cancelled();
    } else if (style < 25) {
      without_a_deadline();
    } else if (style < 28) {
      impatient();
    } else {
      one();
    }
    left_ -= asks;
    due += pause_ * asks;
  }
}

// Half of it is longer than the model takes in any case, so that nobody tires of a lease that
// another process holds while all is well.
milliseconds SimulationCaller::usual_timeout() {
  return 2 * simulation::margin + milliseconds(below(4000));
}

Expectation SimulationCaller::expect(int question) {
  return {.question = question, .timeout = usual_timeout(), .begin_us = simulation::now_us()};
}

void SimulationCaller::one() {
  const auto expected = expect(question());
  const auto prompt = simulation::prompt_of(expected.question);
  witness_.ended(expected, llm_.ask(prompt, {.timeout = expected.timeout}).get(), expected.timeout);
}

void SimulationCaller::without_a_deadline() {
  auto expected = expect(question());
  expected.timeout.reset();
  witness_.ended(expected, llm_.ask(simulation::prompt_of(expected.question)).get(), {});
}

// Half of them the same.
void SimulationCaller::many_at_once(std::uint64_t number) {
  const int same = question();
  std::vector<Asked> asked;
  milliseconds longest{0};
  for (std::uint64_t i = 0; i < number; ++i) {
    auto expected = expect(i % 2 == 0 ? same : question());
    longest = std::max(longest, *expected.timeout);
    auto answer = llm_.ask(simulation::prompt_of(expected.question), {.timeout = expected.timeout});
    asked.push_back({expected, std::move(answer)});
  }
  for (auto& [expected, answer] : asked) witness_.ended(expected, answer.get(), longest);
}

void SimulationCaller::by_stream() {
  const auto expected = expect(question());
  const auto heard = std::make_shared<std::string>();
  const auto result =
      llm_.stream(ChatRequest(simulation::prompt_of(expected.question)).temperature(0.7),
                  [heard](const StreamEvent& event) {
                    if (event.type == StreamEvent::Type::text_delta) {
                      *heard += event.text;
                    }
                  },
                  {.timeout = expected.timeout})
          .get();
  witness_.ended(expected, result, expected.timeout);
  const auto whole = simulation::answer_to(expected.question);
  if (result ? *heard != whole : !whole.starts_with(*heard)) {
    witness_.wrong("who asked question " + std::to_string(expected.question) +
                   " by stream() heard: " + *heard);
  }
}

void SimulationCaller::from_the_cache() {
  auto expected = expect(question());
  expected.timeout = milliseconds(5 + below(50));
  expected.cache_only = true;
  witness_.ended(expected,
                 llm_.ask(simulation::prompt_of(expected.question),
                          {.cache_only = true, .timeout = expected.timeout})
                     .get(),
                 expected.timeout);
}

// While it waits for whatever it may be.
void SimulationCaller::cancelled() {
  auto expected = expect(question());
  expected.may_be_cancelled = true;
  std::stop_source stop;
  auto answer = llm_.ask(simulation::prompt_of(expected.question),
                         {.timeout = expected.timeout, .stop_token = stop.get_token()});
  auto result = answer.get(std::chrono::microseconds(below(20'000)));
  if (!result && result.error().code == ErrorCode::not_ready) {
    stop.request_stop();
    result = answer.get();
  }
  witness_.ended(expected, result, expected.timeout);
}

// About as long as the model takes, or up to its slow times. Who has little time tires of a lease,
// and asks beside its holder: so this is of questions that only this process asks.
void SimulationCaller::impatient() {
  auto expected = expect(own_questions_ + static_cast<int>(below(own_questions)));
  expected.timeout = milliseconds(below(2) == 0 ? 5 + below(20) : 100 + below(2000));
  witness_.ended(
      expected,
      llm_.ask(simulation::prompt_of(expected.question), {.timeout = expected.timeout}).get(),
      expected.timeout);
}

}  // namespace valkeycache::test
