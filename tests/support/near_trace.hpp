// What the near cache's eviction is judged by: a trace of requests, and how many of them a cache
// would have answered.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <list>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "valkey/near_store.hpp"

namespace valkeycache::test {

struct TraceOptions {
  std::size_t requests = 200'000;
  std::size_t keys = 20'000;    // that Zipf's law chooses from
  double exponent = 0.9;        // of that law
  std::size_t scan_every = 0;   // requests between two scans; 0: none
  std::size_t scan_length = 0;  // keys of a scan, each asked for this once
  std::uint64_t seed = 1;
};

// The same on every machine: a distribution of our own over a generator that the standard defines.
inline std::vector<std::uint32_t> make_trace(const TraceOptions& options) {
  std::vector<double> sums;
  sums.reserve(options.keys);
  double sum = 0;
  for (std::size_t rank = 1; rank <= options.keys; ++rank) {
    sums.push_back(sum += 1.0 / std::pow(static_cast<double>(rank), options.exponent));
  }
  std::mt19937_64 random(options.seed);
  std::vector<std::uint32_t> trace;
  trace.reserve(options.requests);
  auto next_of_scans = static_cast<std::uint32_t>(options.keys);
  std::size_t until_scan = options.scan_every;
  while (trace.size() < options.requests) {
    if (options.scan_every != 0 && until_scan-- == 0) {
      for (std::size_t i = 0; i < options.scan_length; ++i) trace.push_back(next_of_scans++);
      until_scan = options.scan_every;
    }
    const double at = static_cast<double>(random() >> 11) * 0x1.0p-53 * sum;
    trace.push_back(
        static_cast<std::uint32_t>(std::lower_bound(sums.begin(), sums.end(), at) - sums.begin()));
  }
  return trace;
}

inline constexpr std::size_t traced_value_bytes = 1024;

inline std::string traced_key(std::uint32_t number) {
  auto digits = std::to_string(number);
  return "llm_responses/" + std::string(16 - digits.size(), '0') + digits;
}

// Room for so many entries of the trace.
inline std::size_t room_for(std::size_t entries) {
  return entries * detail::NearStore::cost_of(traced_key(0).size(), traced_value_bytes);
}

inline double near_hit_rate(const std::vector<std::uint32_t>& trace, std::size_t max_bytes) {
  detail::NearStore store(max_bytes);
  store.open();
  const auto now = detail::SteadyTime{};
  const std::string value(traced_value_bytes, 'v');
  std::size_t hits = 0;
  for (const auto number : trace) {
    const auto key = traced_key(number);
    if (store.find(key, now, true)) {
      ++hits;
    } else {
      store.fill(store.begin_fill(key), key, value, detail::SteadyTime::max(), now);
    }
  }
  return static_cast<double>(hits) / static_cast<double>(trace.size());
}

inline double lru_hit_rate(const std::vector<std::uint32_t>& trace, std::size_t max_bytes) {
  const auto capacity = max_bytes / room_for(1);
  std::list<std::uint32_t> order;
  std::unordered_map<std::uint32_t, std::list<std::uint32_t>::iterator> index;
  std::size_t hits = 0;
  for (const auto number : trace) {
    const auto at = index.find(number);
    if (at != index.end()) {
      ++hits;
      order.splice(order.begin(), order, at->second);
      continue;
    }
    if (index.size() == capacity) {
      index.erase(order.back());
      order.pop_back();
    }
    order.push_front(number);
    index.emplace(number, order.begin());
  }
  return static_cast<double>(hits) / static_cast<double>(trace.size());
}

}  // namespace valkeycache::test
