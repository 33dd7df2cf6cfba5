// One thread of the many that call a cache under chaos, in every way that there is to call it.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <cstdint>
#include <random>
#include <stop_token>
#include <string>

#include "chaos_judge.hpp"

namespace valkeycache::test {

// Triggers stop tokens on a thread that has nothing to do with the calls.
class Canceller;

class ChaosCaller {
 public:
  ChaosCaller(ValkeyCache cache, ChaosJudge& judge, Canceller& canceller, unsigned number,
              std::uint64_t seed);
  // Calls until the judge has had enough.
  void run();

 private:
  struct Call {
    CallOptions options;
    SteadyClock::time_point by;  // when it has to be over
  };
  struct Asked;

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  Call some_call();
  Asked ask();

  void one_by_one();
  void many_at_once();
  void impatient();
  void continued();
  void awaited();
  void dropped();
  void lists();
  void own_key();

  ValkeyCache cache_;
  ChaosJudge& judge_;
  Canceller& canceller_;
  std::mt19937_64 random_;
  std::stop_source stop_;
  // A key that nobody else writes, and what it is certain to hold.
  std::string own_name_;
  std::uint64_t own_keys_ = 0;
  std::uint64_t own_version_ = 0;
};

}  // namespace valkeycache::test
