// The near cache: what a hit costs from prompt to value, and how often its eviction hits.
#include <valkeycache/cached_llm.hpp>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include <openssl/sha.h>

#include "bench/computing.hpp"
#include "bench/measure.hpp"
#include "bench/stage.hpp"
#include "support/near_trace.hpp"

namespace valkeycache::bench {
namespace {

constexpr const char* model_name = "us.anthropic.claude-sonnet-4-20250514-v1:0";

CacheKey key_of(const std::string& prompt) {
  return CacheKey::builder().model(model_name).temperature(0.7).prompt(prompt).build().value();
}

// Until both the bytes and the decoded answer are near.
void warm(const ValkeyCache& cache, const CachedLlm& llm, const std::string& prompt) {
  const auto give_up = Clock::now() + std::chrono::seconds(10);
  for (int near = 0; near < 3;) {
    const auto answer = llm.ask(prompt).get();
    if (answer && answer->source == AnswerSource::near) ++near;
    if (Clock::now() > give_up) throw std::runtime_error("nothing stays near");
    static_cast<void>(cache.flush(std::chrono::seconds(1)).get());
  }
}

}  // namespace

std::vector<Row> near_hits(Stage& stage) {
  std::vector<Row> rows;
  ValkeyCacheOptions options;
  options.near_cache.max_bytes = std::size_t{64} << 20;
  const auto cache = stage.open(options);
  const auto model =
      make_text_llm({.model = model_name}, [](const ChatRequest&) { return text(1024); });
  const CachedLlm llm(cache, model);
  struct Case {
    const char* name;
    std::size_t bytes;
    const char* must;
  };
  for (const auto& at : {Case{"4KiB", 4096, "ratio <= 1.6"}, Case{"128B", 128, "value <= 600"}}) {
    const auto prompt = text(at.bytes);
    warm(cache, llm, prompt);
    const auto* data = reinterpret_cast<const unsigned char*>(prompt.data());
    const auto tallies =
        take_turns(computing(stage.options()),
                   {{"SHA256()", again_and_again([&] {
                       unsigned char digest[SHA256_DIGEST_LENGTH];
                       keep(SHA256(data, prompt.size(), digest)[0]);
                     })},
                    {"find_near", again_and_again([&] {
                       const auto hit = cache.find_near(key_of(prompt));
                       if (!hit) throw std::runtime_error("not near");
                       keep(static_cast<unsigned char>(hit.value().back()));
                     })},
                    {"get", again_and_again([&] {
                       const auto found = cache.get(key_of(prompt)).get();
                       keep(static_cast<unsigned char>(found.value().value().back()));
                     })},
                    {"ask", again_and_again([&] {
                       const auto answer = llm.ask(prompt).get();
                       keep(static_cast<unsigned char>(answer.value().response.back()));
                     })}});
    const auto all = costs(tallies);
    const std::string name = std::string("near.") + at.name;
    rows.push_back(all.row(name + ".find_near", "ns", 1, 0, at.must));
    rows.push_back(all.row(name + ".get", "ns", 2, 0, at.must));
    rows.push_back(all.row(name + ".ask", "ns", 3, 0));
  }
  return rows;
}

std::vector<Row> near_hit_rates(Stage& stage) {
  test::TraceOptions zipf;
  if (stage.options().smoke) zipf.requests = 20'000;
  auto scans = zipf;
  scans.scan_every = 5000;
  scans.scan_length = 5000;
  std::vector<Row> rows;
  for (const auto& [name, options] : {std::pair{"zipf", zipf}, std::pair{"zipf+scans", scans}}) {
    const auto trace = test::make_trace(options);
    for (const std::size_t percent : {1, 5, 20}) {
      const auto room = test::room_for(options.keys * percent / 100);
      Row row;
      row.name = std::string("near.hit_rate.") + name + "." + std::to_string(percent) + "%";
      row.value = test::near_hit_rate(trace, room);
      row.unit = "of 1";
      row.baseline = test::lru_hit_rate(trace, room);
      row.ratio = row.value / *row.baseline;
      row.must = "ratio >= 1";
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace valkeycache::bench
