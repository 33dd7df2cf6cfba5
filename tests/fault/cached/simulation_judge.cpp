#include "simulation_judge.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

namespace valkeycache::test {
namespace {

// By how much less than its TTL an entry may live: the server's clock ticks, and so does ours.
constexpr std::int64_t ticks_us = 20'000;

// A request may still be under way when its call is stopped.
constexpr std::int64_t under_way_us = 5'000'000;

bool during(const ModelCall& call, const Arrival& arrival) {
  return call.begin_us <= arrival.at_us &&
         arrival.at_us <= call.end_us + (call.stopped() ? under_way_us : 0);
}

void in_order(std::vector<const ModelCall*>& calls) {
  std::sort(calls.begin(), calls.end(),
            [](const auto* a, const auto* b) { return a->begin_us < b->begin_us; });
}

}  // namespace

SimulationJudge::SimulationJudge(const SimulationPlan& plan,
                                 const std::vector<SimulationReport>& reports,
                                 const std::vector<Arrival>& arrivals, const Outages& of_valkey,
                                 const Outages& of_bedrock)
    : plan_(plan),
      reports_(reports),
      arrivals_(arrivals),
      of_valkey_(of_valkey),
      of_bedrock_(of_bedrock) {
  for (std::size_t process = 0; process < reports.size(); ++process) {
    for (const auto& call : reports[process].model_calls) {
      calls_[{process, call.question}].push_back(&call);
    }
  }
  for (auto& [whose, calls] : calls_) in_order(calls);
}

void SimulationJudge::wrong(const std::string& what, int question, std::int64_t at_us) {
  if (wrongs_++ >= 10) return;
  first_wrongs_ +=
      what + " (question " + std::to_string(question) + ", at " + std::to_string(at_us) + " us)\n";
}

// Each answer that a process has is one that Bedrock gave to this call of it.
void SimulationJudge::match_answers(std::vector<bool>& heard) {
  std::unordered_map<std::string, std::size_t> by_id;
  for (std::size_t i = 0; i < arrivals_.size(); ++i) by_id.emplace(arrivals_[i].request_id, i);
  for (const auto& [whose, calls] : calls_) {
    for (const auto* call : calls) {
      if (!call->answered()) continue;
      const auto found = by_id.find(call->request_id);
      const auto* arrival = found == by_id.end() ? nullptr : &arrivals_[found->second];
      if (!arrival || arrival->process != whose.first || arrival->question != whose.second ||
          arrival->throttled || !during(*call, *arrival) || heard[found->second]) {
        wrong("an answer that Bedrock did not give", call->question, call->end_us);
      } else {
        heard[found->second] = true;
      }
    }
  }
}

void SimulationJudge::both_sides_agree() {
  std::vector<bool> heard(arrivals_.size());
  match_answers(heard);

  std::vector<std::uint64_t> arrived(reports_.size());
  std::set<std::string> attempts;
  std::set<const ModelCall*> throttled;
  std::set<const ModelCall*> unheard;
  for (std::size_t i = 0; i < arrivals_.size(); ++i) {
    const auto& arrival = arrivals_[i];
    ++arrived.at(arrival.process);
    if (!attempts.insert(arrival.attempt).second) {
      wrong("an attempt that arrived twice", arrival.question, arrival.at_us);
    }
    if (heard[i]) continue;
    // Refused, or answered to a call that was stopped; no call is answered twice. Nobody can tell
    // what is refused late to a call that was stopped from what is refused to the one after it.
    bool explained = false;
    for (const auto* call : calls_[{arrival.process, arrival.question}]) {
      if (!during(*call, arrival)) continue;
      if (arrival.throttled) {
        throttled.insert(call);
        explained = true;
      } else if (!explained && call->stopped()) {
        explained = unheard.insert(call).second;
      }
    }
    if (!explained) wrong("a request that no call made", arrival.question, arrival.at_us);
  }

  for (std::size_t process = 0; process < reports_.size(); ++process) {
    const auto& report = reports_[process];
    std::uint64_t stopped = 0;
    for (const auto& call : report.model_calls) {
      stopped += call.stopped() ? 1 : 0;
      if (!call.answered() && !call.stopped() &&
          (call.error != "throttled" || !throttled.contains(&call))) {
        wrong("a call failed that Bedrock did not refuse: " + call.error, call.question,
              call.begin_us);
      }
    }
    // One that was stopped before it was sent has not arrived.
    if (arrived[process] > report.attempts || report.attempts - arrived[process] > stopped) {
      wrong("process " + std::to_string(process) + " made " + std::to_string(report.attempts) +
                " requests, and " + std::to_string(arrived[process]) + " arrived",
            -1, 0);
    }
  }
}

void SimulationJudge::one_at_a_time() {
  for (const auto& [whose, calls] : calls_) {
    const ModelCall* last = nullptr;
    for (const auto* call : calls) {
      if (call->stopped()) continue;  // it may not have noticed yet
      if (last && call->begin_us < last->end_us) {
        wrong("two calls at a time", call->question, call->begin_us);
      }
      last = call;
    }
  }
}

void SimulationJudge::stopped_by_those_who_left() {
  for (const auto& [whose, calls] : calls_) {
    const auto& left = reports_[whose.first].left;
    const auto at = left.find(whose.second);
    const auto who_left = at == left.end() ? 0U : at->second;
    const auto stopped = static_cast<std::uint64_t>(std::count_if(
        calls.begin(), calls.end(), [](const auto* call) { return call->stopped(); }));
    if (stopped > who_left) {
      wrong(std::to_string(stopped) + " calls were stopped, and " + std::to_string(who_left) +
                " asks had left",
            whose.second, calls.front()->begin_us);
    }
  }
}

void SimulationJudge::once_until_it_expires() {
  std::map<int, Calls> by_question;
  for (const auto& [whose, calls] : calls_) {
    for (const auto* call : calls) {
      if (call->stopped() || felt(of_valkey_, *call)) continue;
      by_question[whose.second].push_back(call);
      if (felt(of_bedrock_, *call)) continue;
      ++calm_calls_;
      if (!call->answered()) wrong("a call failed: " + call->error, call->question, call->end_us);
    }
  }
  for (auto& [question, calls] : by_question) {
    in_order(calls);
    once_until_it_expires(question, calls);
  }
  for (const auto& report : reports_) {
    for (const auto& trouble : report.cache_troubles) {
      if (!of_valkey_.felt_between(trouble.begin_us, trouble.end_us)) {
        wrong("the cache was not used, and nothing was wrong with it", -1, trouble.end_us);
      }
    }
  }
}

// Whoever was throttled for long may have let others tire of his lease: of answers that overlap
// the first one is the entry.
void SimulationJudge::once_until_it_expires(int question, const Calls& calls) {
  std::optional<std::int64_t> stored_us;
  std::int64_t ended_us = 0;  // the last of those before
  for (const auto* call : calls) {
    if (call->begin_us < ended_us && !felt(of_bedrock_, *call)) {
      wrong("asked while another asks", question, call->begin_us);
    }
    ended_us = std::max(ended_us, call->end_us);
    if (stored_us && call->begin_us < *stored_us) {
      if (call->answered()) stored_us = std::min(*stored_us, call->end_us);
      continue;
    }
    if (stored_us && call->begin_us < *stored_us + plan_.ttl_ms * 1000 - ticks_us) {
      wrong("asked again after " + std::to_string((call->begin_us - *stored_us) / 1000) + " ms",
            question, call->begin_us);
    }
    if (stored_us) ++calls_after_expiry_;
    if (call->answered()) stored_us = call->end_us;
  }
}

}  // namespace valkeycache::test
