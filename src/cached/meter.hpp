// What calls cost, spared and took: lock-free sums and histograms.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/stats.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// Which bucket of a LatencyHistogram holds it.
std::size_t latency_bucket(std::uint64_t nanoseconds) noexcept;

class Meter {
 public:
  // The prices must outlive it.
  explicit Meter(const PriceTable& prices) noexcept : prices_(prices) {}

  // The cost, where the model has a price.
  void spent(const Usage& usage, std::string_view model) noexcept {
    spent_.add(*this, usage, model);
  }
  void avoided(const Usage& usage, std::string_view model) noexcept {
    avoided_.add(*this, usage, model);
  }
  void answered(AnswerSource source, double total_ms) noexcept;
  void failed() noexcept { failed_.fetch_add(1, std::memory_order_relaxed); }

  void read(CachedLlmStats& stats) const;

 private:
  using Number = std::atomic<std::uint64_t>;
  static constexpr std::size_t sources = static_cast<std::size_t>(AnswerSource::bypass) + 1;

  struct Sum {
    Number input{0}, output{0}, cache_read{0}, cache_write{0};
    std::atomic<double> cost{0};
    void add(Meter& meter, const Usage& usage, std::string_view model) noexcept;
    [[nodiscard]] TokenTotals read() const noexcept;
  };
  // Sources on cache lines of their own.
  struct alignas(64) Histogram {
    std::array<Number, LatencyHistogram::bucket_count> buckets{};
    Number nanoseconds{0};
  };

  const PriceTable& prices_;
  Sum spent_, avoided_;
  Number failed_{0}, unpriced_{0};
  std::array<Histogram, sources> histograms_{};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
