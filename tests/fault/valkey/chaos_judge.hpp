// What may be read under chaos, and who counts what was.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "fault.hpp"
#include "support/sanitized.hpp"

namespace valkeycache::test {

// The one value that a version of a key has. It names both, and no part of it fits another.
std::string chaos_value(std::string_view key, std::uint64_t version);

// Thread-safe. Counts the calls and keeps the first things that went wrong.
class ChaosJudge {
 public:
  static constexpr std::size_t shared_keys = 256;
  // Calls that name no time-out have this one.
  static constexpr std::chrono::milliseconds usual_timeout{3000};
  // How much later than its deadline a call may end on a machine that has other things to do.
  static constexpr std::chrono::seconds margin{sanitized ? 20 : 5};

  explicit ChaosJudge(std::uint64_t calls) : calls_(calls) {}

  // False once there were enough.
  bool begin(std::uint64_t calls) { return begun_.fetch_add(calls) < calls_; }

  static std::string shared_key(std::size_t number) { return "shared-" + std::to_string(number); }
  // The value for the next set of a shared key.
  std::string next_value(std::size_t number) {
    return chaos_value(shared_key(number), issued_[number].fetch_add(1));
  }
  [[nodiscard]] bool is_there(std::size_t number) const { return there_[number]; }

  // A get of a shared key; was_there: is_there() before the call.
  void got(std::size_t number, bool was_there, const Result<Found>& found);
  void stored(std::size_t number, const Result<void>& result);
  // A get of a key with one right answer.
  void got_exactly(const std::string& key, const Found& right, const Result<Found>& found);
  // An error is one that the faults explain.
  void failed(const Error& error);
  // A call ended now that had to be over by then.
  void ended(SteadyClock::time_point by);

  void wrong(const std::string& what);
  [[nodiscard]] std::string first_wrongs() const;
  [[nodiscard]] std::uint64_t ends() const { return ended_; }
  [[nodiscard]] std::uint64_t hits() const { return hits_; }
  [[nodiscard]] std::uint64_t errors() const { return errors_; }

 private:
  const std::uint64_t calls_;
  std::atomic<std::uint64_t> begun_{0}, ended_{0}, hits_{0}, errors_{0}, wrongs_{0};
  std::array<std::atomic<std::uint64_t>, shared_keys> issued_{};
  std::array<std::atomic<bool>, shared_keys> there_{};
  mutable std::mutex mutex_;
  std::string first_wrongs_;
};

}  // namespace valkeycache::test
