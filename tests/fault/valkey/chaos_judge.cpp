#include "chaos_judge.hpp"

#include <charconv>

namespace valkeycache::test {
namespace {

std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

// What a value says of itself; for messages.
std::string described_value(const Found& found) {
  if (!found) return "nothing";
  return "\"" + found->substr(0, 40) + "\" (" + std::to_string(found->size()) + " bytes)";
}

}  // namespace

std::string chaos_value(std::string_view key, std::uint64_t version) {
  const auto hash = mixed(std::hash<std::string_view>{}(key) + version * 0x9e3779b97f4a7c15U);
  // Many sizes, so that replies end anywhere in a packet; some are larger than one read.
  const auto kind = hash % 1000;
  const std::size_t size = kind < 700   ? hash / 1000 % 200
                           : kind < 950 ? 1024
                           : kind < 998 ? 8000 + hash / 1000 % 400
                                        : 100'000;
  std::string value(key);
  value += '|';
  value += std::to_string(version);
  value += '|';
  char pattern[17];
  *std::to_chars(pattern, pattern + 16, hash, 16).ptr = '\0';
  value.reserve(value.size() + size + 16);
  for (const auto end = value.size() + size; value.size() < end;) value += pattern;
  return value;
}

void ChaosJudge::got(std::size_t number, bool was_there, const Result<Found>& found) {
  if (!found) return failed(found.error());
  const auto key = shared_key(number);
  if (!*found) {
    if (was_there) wrong("a get of " + key + ", which is there, found nothing");
    return;
  }
  hits_.fetch_add(1, std::memory_order_relaxed);
  const std::string_view value = **found;
  std::uint64_t version = 0;
  bool right = value.starts_with(key + "|");
  if (right) {
    std::from_chars(value.data() + key.size() + 1, value.data() + value.size(), version);
    right = version < issued_[number] && value == chaos_value(key, version);
  }
  if (!right) wrong("a get of " + key + " found " + described_value(*found));
}

void ChaosJudge::stored(std::size_t number, const Result<void>& result) {
  if (!result) return failed(result.error());
  there_[number] = true;
}

void ChaosJudge::got_exactly(const std::string& key, const Found& right,
                             const Result<Found>& found) {
  if (!found) return failed(found.error());
  if (*found) hits_.fetch_add(1, std::memory_order_relaxed);
  if (*found != right) {
    wrong("a get of " + key + " found " + described_value(*found) + " instead of " +
          described_value(right));
  }
}

void ChaosJudge::failed(const Error& error) {
  errors_.fetch_add(1, std::memory_order_relaxed);
  switch (error.code) {
    case ErrorCode::timeout:
    case ErrorCode::cancelled:
    case ErrorCode::connect_failed:
    case ErrorCode::connection_lost:
    case ErrorCode::protocol_error:
      return;
    default:
      wrong("a call ended with " + described(error));
  }
}

void ChaosJudge::ended(SteadyClock::time_point by) {
  ended_.fetch_add(1, std::memory_order_relaxed);
  const auto late = SteadyClock::now() - by;
  if (late > margin) {
    wrong("a call ended " +
          std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(late).count()) +
          " ms after its deadline");
  }
}

void ChaosJudge::wrong(const std::string& what) {
  if (wrongs_.fetch_add(1) >= 10) return;
  const std::lock_guard lock(mutex_);
  first_wrongs_ += what + "\n";
}

std::string ChaosJudge::first_wrongs() const {
  const std::lock_guard lock(mutex_);
  return first_wrongs_;
}

}  // namespace valkeycache::test
