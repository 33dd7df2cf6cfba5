// CachedLlm::ask() on a hit beside ValkeyCache::get(): one caller, one call at a time.
#include <valkeycache/cached_llm.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/computing.hpp"
#include "bench/measure.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {
namespace {

constexpr const char* model_name = "us.anthropic.claude-sonnet-4-20250514-v1:0";

}  // namespace

std::vector<Row> asks(Stage& stage) {
  const auto cache = stage.open();
  const auto model =
      make_text_llm({.model = model_name}, [](const ChatRequest&) { return text(1024); });
  CachedLlmOptions patient;  // a busy machine must not make a miss of a hit
  patient.advanced.command_timeout = patient.advanced.connect_timeout = std::chrono::seconds(5);
  const CachedLlm llm(cache, model, patient);
  const auto prompt = text(128);
  const auto key = llm.key_of(prompt).value();
  static_cast<void>(llm.ask(prompt).get().value());
  static_cast<void>(cache.flush(std::chrono::seconds(5)).get().value());

  auto tallies = take_turns(
      stage.options(), {{"get",
                         [&](auto until, Tally& tally) {
                           one_after_the_other(until, tally, [&](std::uint64_t) {
                             const auto found = cache.get(key).get();
                             if (!found || !*found) throw std::runtime_error("get: not the value");
                           });
                         }},
                        {"ask",
                         [&](auto until, Tally& tally) {
                           one_after_the_other(until, tally, [&](std::uint64_t) {
                             const auto answer = llm.ask(prompt).get();
                             if (!answer || answer->source != AnswerSource::valkey) {
                               throw std::runtime_error("ask: no hit");
                             }
                           });
                         }},
                        {"key", again_and_again([&] {
                           keep(static_cast<unsigned char>(llm.key_of(prompt).value().path()[0]));
                         })}});

  Row hash;
  hash.name = "ask.key";
  hash.value = cpu_costs(tallies).of(2);
  hash.unit = "ns";
  const auto keys = std::move(tallies[2]);
  tallies.resize(2);
  // What the key takes is not the overhead's. It waits for nobody: the processor's time is its own.
  std::vector<double> ratios;
  for (std::size_t round = 0; round < keys.size(); ++round) {
    const auto& made = keys[round];
    const auto key_us =
        static_cast<double>(made.cpu.count()) / 1e3 / static_cast<double>(made.operations);
    ratios.push_back((tallies[1][round].percentile_us(0.5) - key_us) /
                     tallies[0][round].percentile_us(0.5));
  }
  std::vector<Row> rows{percentiles(tallies, 0.5).row("ask.p50", "us", 1, 0, "ratio <= 1.15"),
                        percentiles(tallies, 0.99).row("ask.p99", "us", 1, 0),
                        cpu_costs(tallies).row("cpu.ask", "ns", 1, 0), std::move(hash)};
  rows[0].ratio = median(std::move(ratios));
  return rows;
}

}  // namespace valkeycache::bench
