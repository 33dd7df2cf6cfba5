// What a stream has said so far, kept once for all who listen.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/llm.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

class StreamReader;

// Thread-safe. Events stay where they are for as long as it lives.
class Recording {
 public:
  static constexpr std::size_t max_bytes = std::size_t{32} << 20;

  // Readers that had nothing left are told. False: it is full, and nothing was kept.
  bool push(const StreamEvent& event);
  void add(std::shared_ptr<StreamReader> reader);
  // Its stream broke off: who has heard nothing yet shall hear nothing of it.
  void break_off() noexcept;

  // Null when there is no such event, or not yet.
  [[nodiscard]] const StreamEvent* at(std::size_t index) const noexcept;
  [[nodiscard]] bool broken() const noexcept;
  [[nodiscard]] bool full() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return at(0) == nullptr; }

  // The events as Entry::events; empty where they could not be told again by that and the entry.
  // Text is written as lengths, since the entry has it already.
  [[nodiscard]] std::string to_json(const Completion& completion) const;

 private:
  mutable std::mutex mutex_;
  std::deque<StreamEvent> events_;
  std::size_t bytes_ = 0;
  bool broken_ = false;
  bool full_ = false;
  std::vector<std::shared_ptr<StreamReader>> readers_;
};

// An answer's events: those that its entry kept, else as few as tell it.
std::shared_ptr<Recording> replay_of(const CachedAnswer& answer, std::string_view events);

}  // namespace detail
}  // namespace valkeycache::inline v0
