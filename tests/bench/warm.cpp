// warm() under a rate limit: how near to the limit it comes.
#include <valkeycache/warm.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/stage.hpp"

namespace valkeycache::bench {

std::vector<Row> warming(Stage& stage) {
  constexpr double limit = 500;
  const std::size_t count = stage.options().smoke ? 50 : 2000;
  const auto cache = stage.open({});
  const auto model = make_text_llm({.model = "m"}, [](const ChatRequest&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the model's own time
    return std::string(1024, 'a');
  });
  const CachedLlm llm(cache, model);
  std::vector<std::string> prompts;
  for (std::size_t i = 0; i < count; ++i) prompts.push_back("warm " + std::to_string(i));
  const auto report = warm(llm, prompts, {.concurrency = 32, .per_second = limit}).value();
  if (report.stored != count) throw std::runtime_error("warm() did not store everything");
  Row row;
  row.name = "warm.rate";
  row.value = static_cast<double>(count) / std::chrono::duration<double>(report.elapsed).count();
  row.unit = "1/s";
  row.baseline = limit;
  row.ratio = row.value / limit;
  row.must = "ratio >= 0.9";
  return {row};
}

}  // namespace valkeycache::bench
