// MemoryStore: the few commands of a cache, executed in this process. What memory:// names.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/futex.hpp"
#include "valkey/reply.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Takes requests as they would go over the wire and answers as a server would, so that everything
// above it is the same code as with a real one. Thread-safe.
class MemoryStore {
 public:
  using Clock = std::function<SteadyTime()>;

  explicit MemoryStore(Clock clock) : clock_(std::move(clock)) {}

  // The store of this name; it lives as long as somebody holds it. The first one's clock counts.
  static std::shared_ptr<MemoryStore> named(const std::string& name, Clock clock);

  Reply execute(std::string_view request);

 private:
  struct Item {
    std::string value;
    std::optional<SteadyTime> expires;
  };
  using Items = std::map<std::string, Item, std::less<>>;
  using Arguments = std::vector<std::string_view>;

  Reply run(const Arguments& arguments);
  Reply get(std::string_view key);
  Reply set(const Arguments& arguments);
  Reply erase(const Arguments& arguments);
  Reply expire(std::string_view key, std::int64_t count, std::chrono::milliseconds unit);
  Reply time_to_live(std::string_view key);
  Reply scan(const Arguments& arguments);
  Reply evaluate(const Arguments& arguments);

  // Null when it is not there, or no longer.
  Item* find(std::string_view key);
  void sweep();

  Clock clock_;
  std::mutex mutex_;
  Items items_;
  std::uint64_t sets_ = 0;
  // Where scans under way go on: after this key.
  std::map<std::uint64_t, std::string> cursors_;
  std::uint64_t next_cursor_ = 1;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
