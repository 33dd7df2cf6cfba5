#include "cached/meter.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace valkeycache::inline v0 {
namespace detail {

namespace {

// Most counts are 0: a look is cheaper than a write to a line that all threads share.
void add(std::atomic<std::uint64_t>& sum, std::int64_t count) noexcept {
  if (count > 0) sum.fetch_add(static_cast<std::uint64_t>(count), std::memory_order_relaxed);
}

}  // namespace

std::size_t latency_bucket(std::uint64_t nanoseconds) noexcept {
  const auto microseconds = nanoseconds / 1000 + (nanoseconds % 1000 != 0 ? 1 : 0);
  if (microseconds <= 1) return 0;
  const auto bucket = static_cast<std::size_t>(std::bit_width(microseconds - 1));
  return bucket < LatencyHistogram::bucket_count ? bucket : LatencyHistogram::bucket_count - 1;
}

void Meter::answered(AnswerSource source, double total_ms) noexcept {
  auto& histogram = histograms_[static_cast<std::size_t>(source)];
  const auto nanoseconds = static_cast<std::uint64_t>(total_ms > 0 ? total_ms * 1e6 : 0);
  histogram.buckets[latency_bucket(nanoseconds)].fetch_add(1, std::memory_order_relaxed);
  histogram.nanoseconds.fetch_add(nanoseconds, std::memory_order_relaxed);
}

void Meter::Sum::add(Meter& meter, const Usage& usage, std::string_view model) noexcept {
  detail::add(input, usage.input_tokens);
  detail::add(output, usage.output_tokens);
  detail::add(cache_read, usage.cache_read_tokens);
  detail::add(cache_write, usage.cache_write_tokens);
  if (meter.prices_.models.empty()) return;
  if (const auto price = meter.prices_.cost(usage, model)) {
    cost.fetch_add(*price, std::memory_order_relaxed);
  } else {
    meter.unpriced_.fetch_add(1, std::memory_order_relaxed);
  }
}

TokenTotals Meter::Sum::read() const noexcept {
  return {.input = input.load(std::memory_order_relaxed),
          .output = output.load(std::memory_order_relaxed),
          .cache_read = cache_read.load(std::memory_order_relaxed),
          .cache_write = cache_write.load(std::memory_order_relaxed)};
}

void Meter::read(CachedLlmStats& stats) const {
  stats.failed = failed_.load(std::memory_order_relaxed);
  stats.consumed = spent_.read();
  stats.avoided = avoided_.read();
  stats.consumed_cost = spent_.cost.load(std::memory_order_relaxed);
  stats.avoided_cost = avoided_.cost.load(std::memory_order_relaxed);
  stats.currency = prices_.currency;
  stats.unpriced = unpriced_.load(std::memory_order_relaxed);
  for (std::size_t source = 0; source < sources; ++source) {
    auto& to = stats.latency[source];
    const auto& from = histograms_[source];
    for (std::size_t bucket = 0; bucket < to.buckets.size(); ++bucket) {
      to.buckets[bucket] = from.buckets[bucket].load(std::memory_order_relaxed);
    }
    to.sum_seconds = static_cast<double>(from.nanoseconds.load(std::memory_order_relaxed)) / 1e9;
  }
}

}  // namespace detail

std::optional<double> PriceTable::cost(const Usage& usage, std::string_view model) const noexcept {
  const auto price = std::find_if(models.begin(), models.end(),
                                  [model](const auto& one) { return one.model == model; });
  if (price == models.end()) return std::nullopt;
  const auto part = [](std::int64_t tokens, double per_million) {
    return tokens > 0 ? static_cast<double>(tokens) * per_million / 1e6 : 0.0;
  };
  return part(usage.input_tokens, price->input) + part(usage.output_tokens, price->output) +
         part(usage.cache_read_tokens, price->cache_read) +
         part(usage.cache_write_tokens, price->cache_write);
}

std::uint64_t LatencyHistogram::count() const noexcept {
  std::uint64_t sum = 0;
  for (const auto bucket : buckets) sum += bucket;
  return sum;
}

double LatencyHistogram::bound(std::size_t bucket) noexcept {
  if (bucket + 1 >= bucket_count) return std::numeric_limits<double>::infinity();
  return static_cast<double>(std::uint64_t{1} << bucket) / 1e6;
}

}  // namespace valkeycache::inline v0
