// For rows that only compute: no server, no waiting, and so shorter turns.
#pragma once

#include <algorithm>
#include <string>

#include "bench/measure.hpp"

namespace valkeycache::bench {

inline Options computing(Options options) {
  options.slice = std::max(options.slice / 10, std::chrono::milliseconds(1));
  return options;
}

// The compiler must make this value.
inline void keep(unsigned value) {
  __asm__ __volatile__("" : : "r"(value) : "memory");
}

// Calls f until the time has come, without asking for the time too often.
template <class F>
auto again_and_again(F f) {
  return [f](Clock::time_point until, Tally& tally) {
    while (Clock::now() < until) {
      for (int i = 0; i < 32; ++i) f();
      tally.operations += 32;
    }
  };
}

// So many bytes of what may stand in a prompt.
inline std::string text(std::size_t bytes) {
  std::string result;
  while (result.size() < bytes) result += "What is Amazon ElastiCache for Valkey, and for whom? ";
  result.resize(bytes - 1);
  return result + '?';
}

}  // namespace valkeycache::bench
