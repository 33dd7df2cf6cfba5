// What CachedLlm measures beside its counters: tokens and their cost, and how long calls took; and
// all of it as Prometheus reads it.
#pragma once

#include <valkeycache/config.hpp>
#include <valkeycache/llm.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {

// What a million tokens cost. Prices change and differ by contract: none are built in.
struct ModelPrice {
  std::string model = {};  // its id as it is asked
  double input = 0;
  double output = 0;
  double cache_read = 0;
  double cache_write = 0;
};

// Empty, as by default: costs are not reckoned.
struct PriceTable {
  // Of all prices; only shown.
  std::string currency = {};
  // Of two for one model the first counts. A model that is not here costs nothing in the sums and
  // is counted (CachedLlmStats::unpriced).
  std::vector<ModelPrice> models = {};

  // Usage::input_tokens are taken not to hold those of the prompt cache, as Bedrock counts.
  [[nodiscard]] VALKEYCACHE_API std::optional<double> cost(const Usage& usage,
                                                           std::string_view model) const noexcept;
};

struct TokenTotals {
  std::uint64_t input = 0;
  std::uint64_t output = 0;
  std::uint64_t cache_read = 0;
  std::uint64_t cache_write = 0;

  friend bool operator==(const TokenTotals&, const TokenTotals&) = default;
};

// How long calls took. Bucket n < 31 holds those of at most 2^n microseconds that are in no bucket
// before it, the last one the rest (over 17 minutes).
struct LatencyHistogram {
  static constexpr std::size_t bucket_count = 32;
  std::array<std::uint64_t, bucket_count> buckets{};
  double sum_seconds = 0;

  [[nodiscard]] VALKEYCACHE_API std::uint64_t count() const noexcept;
  // A bucket's upper bound, in seconds; of the last one infinity.
  [[nodiscard]] VALKEYCACHE_API static double bound(std::size_t bucket) noexcept;
};

struct CachedLlmStats;

// The text format 0.0.4 of Prometheus. Every name begins with "valkeycache_"; times are seconds.
// `labels` go onto every sample; left out are those whose name is no label name, begins with "__",
// comes twice, or is one of the text's own: source, reason, fault, kind, currency, le.
VALKEYCACHE_API std::string prometheus_text(
    const CachedLlmStats& stats,
    const std::vector<std::pair<std::string, std::string>>& labels = {});

}  // namespace valkeycache::inline v0
