// One of the simulation's processes.
//
//   cached_simulation_asker <plan as JSON> <number> <Valkey's URI> <Bedrock's URL> <report file>
#include <valkeycache/valkeycache.hpp>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "simulation_caller.hpp"
#include "simulation_model.hpp"
#include "simulation_plan.hpp"
#include "simulation_witness.hpp"
#include "support/bedrock/simulated_bedrock.hpp"
#include "unit/cached/ask_support.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

ValkeyCache open_cache(const SimulationPlan& plan, const std::string& uri, unsigned number) {
  ValkeyCacheOptions options;
  options.ttl = std::chrono::milliseconds(plan.ttl_ms);
  options.connect_timeout = simulation::connect_timeout;
  options.command_timeout = simulation::command_timeout;
  options.reconnect_cap = std::chrono::milliseconds(100);
  if (number % 2 != 0) options.near_cache.max_bytes = std::size_t{1} << 20;
  return ValkeyCache::open(uri, options).value();
}

// Each attempt bears a number.
std::shared_ptr<Llm> bedrock(const std::string& url, unsigned process,
                             std::atomic<std::uint64_t>& attempts) {
  BedrockOptions options{.model = simulation::model,
                         .region = "us-west-2",
                         .endpoint = url,
                         .auth = BedrockAuth::sigv4,
                         .credentials = AwsCredentials{simulated_access_key, simulated_secret_key}};
  options.header_callback = [&attempts, process] {
    return std::vector<std::pair<std::string, std::string>>{
        {"x-attempt", std::to_string(process) + "-" + std::to_string(++attempts)}};
  };
  options.timeout = simulation::model_timeout;
  return std::make_shared<BedrockClient>(BedrockClient::create(options).value());
}

CachedLlmOptions ask_options() {
  CachedLlmOptions options;
  auto& advanced = options.advanced;
  advanced.command_timeout = simulation::command_timeout;
  advanced.connect_timeout = simulation::connect_timeout;
  advanced.store_timeout = simulation::store_timeout;
  advanced.breaker_open = simulation::breaker_open;
  advanced.lease = simulation::lease;
  advanced.lease_life = simulation::lease_life;
  advanced.prices = {.currency = "EUR",
                     .models = {{.model = simulation::model, .input = 3, .output = 15}}};
  return options;
}

// That what CachedLlm counted is what its callers and its model saw, to the last one.
void compare(Witness& witness, const SimulationReport& seen, const CachedLlmStats& stats) {
  const auto same = [&](const char* what, std::uint64_t counted, std::uint64_t was) {
    if (counted == was) return;
    witness.wrong(std::string(what) + ": counted " + std::to_string(counted) + ", there were " +
                  std::to_string(was));
  };
  if (!adds_up(stats)) witness.wrong(adds_up(stats).message());
  same("calls", stats.calls, seen.asks);
  std::uint64_t failed = 0;
  for (const auto& [code, count] : seen.errors) failed += count;
  same("failed", stats.failed, failed);
  for (int i = 0; i < static_cast<int>(stats.latency.size()); ++i) {
    const auto source = static_cast<AnswerSource>(i);
    const auto at = seen.answers.find(to_string(source));
    same(to_string(source), stats.latency_of(source).count(),
         at == seen.answers.end() ? 0 : at->second);
  }
  same("hits", stats.hits,
       stats.latency_of(AnswerSource::near).count() +
           stats.latency_of(AnswerSource::valkey).count());
  // Nothing of that was asked for.
  const auto& s = stats;
  same("refused", s.refused, 0);
  same("stale", s.stale, 0);
  same("bypassed", s.bypassed, 0);
  same("store_dropped", s.store_dropped, 0);
  same("rejected for other reasons",
       s.rejected_no_store + s.rejected_unpinned + s.rejected_not_deterministic +
           s.rejected_foreign_entry + s.rejected_stop_reason + s.rejected_filtered +
           s.rejected_malformed + s.rejected_empty + s.rejected_too_large + s.rejected_predicate,
       0);
  same("entries that were no answers", s.corrupt_entries + s.foreign_format, 0);
  same("tokens avoided", stats.avoided.input, witness.avoided().input);
  same("tokens avoided", stats.avoided.output, witness.avoided().output);

  same("model_calls", stats.model_calls, seen.model_calls.size());
  std::uint64_t errors = 0;
  TokenTotals consumed;
  for (const auto& call : seen.model_calls) {
    errors += call.answered() ? 0 : 1;
    consumed.input += static_cast<std::uint64_t>(call.input_tokens);
    consumed.output += static_cast<std::uint64_t>(call.output_tokens);
  }
  same("model_errors", stats.model_errors, errors);
  same("tokens consumed", stats.consumed.input, consumed.input);
  same("tokens consumed", stats.consumed.output, consumed.output);
  const auto cost_of = [](const TokenTotals& tokens) {
    return (3.0 * static_cast<double>(tokens.input) + 15.0 * static_cast<double>(tokens.output)) /
           1e6;
  };
  // Sums of so many small numbers are not exact.
  const auto same_cost = [&](const char* what, double counted, double was) {
    if (std::abs(counted - was) <= 1e-6 * was) return;
    witness.wrong(std::string(what) + ": counted " + std::to_string(counted) + ", it was " +
                  std::to_string(was));
  };
  same_cost("cost consumed", stats.consumed_cost, cost_of(consumed));
  same_cost("cost avoided", stats.avoided_cost, cost_of(witness.avoided()));
  same("calls without a price", stats.unpriced, 0);
}

// For the whole picture.
std::map<std::string, std::uint64_t> counters(const CachedLlmStats& stats) {
  return {{"hits", stats.hits},
          {"misses", stats.misses},
          {"shared", stats.shared},
          {"cache_errors", stats.cache_errors},
          {"unfinished", stats.unfinished},
          {"model_calls", stats.model_calls},
          {"model_errors", stats.model_errors},
          {"stored", stats.stored},
          {"store_errors", stats.store_errors},
          {"rejected_cache_error", stats.rejected_cache_error},
          {"rejected_superseded", stats.rejected_superseded},
          {"breaker_trips", stats.breaker_trips}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const auto plan = nlohmann::json::parse(argv[1]).get<SimulationPlan>();
  const auto number = static_cast<unsigned>(std::stoul(argv[2]));

  std::atomic<std::uint64_t> attempts{0};
  const auto model = std::make_shared<NotedModel>(bedrock(argv[4], number, attempts));
  const auto cache = open_cache(plan, argv[3], number);
  const CachedLlm llm(cache, model, ask_options());
  if (!cache.ping().get()) return 3;

  Witness witness;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < static_cast<unsigned>(plan.callers); ++i) {
    threads.emplace_back([&, i] { SimulationCaller(llm, witness, plan, number, i).run(); });
  }
  for (auto& thread : threads) thread.join();
  // Calls of the model for which nobody waits, and stores.
  wait_until([&] {
    const auto stats = llm.stats();
    return adds_up(stats) && stats.model_calls == model->calls().size();
  });

  auto seen = witness.report();
  seen.model_calls = model->calls();
  const auto stats = llm.stats();
  compare(witness, seen, stats);
  seen.wrongs = witness.report().wrongs;
  seen.counters = counters(stats);
  seen.attempts = attempts;
  std::ofstream(argv[5]) << nlohmann::json(seen).dump();
}
