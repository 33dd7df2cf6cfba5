// NearEntry: a value in the near cache, and what somebody made of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "valkey/command.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Key and value never change. The object made of the value is set once, later; whoever holds the
// entry may read all three at any time, whether or not the store still has it.
class NearEntry {
 public:
  NearEntry(std::uint64_t hash, std::string_view key, std::string_view value, SteadyTime deadline,
            SteadyTime expires)
      : hash_(hash), key_(key), value_(value), deadline_(deadline), expires_(expires) {}

  [[nodiscard]] const std::string& key() const noexcept { return key_; }
  [[nodiscard]] const std::string& value() const noexcept { return value_; }
  // In Valkey; SteadyTime::max(): never.
  [[nodiscard]] SteadyTime expires() const noexcept { return expires_; }

  // The object, where there is one with this tag.
  [[nodiscard]] const void* decoded(const void* tag) const noexcept {
    return decoded_tag_.load(std::memory_order_acquire) == tag ? decoded_.get() : nullptr;
  }

 private:
  friend class NearStore;

  const std::uint64_t hash_;
  const std::string key_;
  const std::string value_;
  const SteadyTime deadline_;  // of its being served
  const SteadyTime expires_;

  std::shared_ptr<const void> decoded_;
  std::atomic<const void*> decoded_tag_{nullptr};  // set when decoded_ may be read

  // Of the store, under its shard's lock.
  std::size_t cost_ = 0;
  NearEntry* newer_ = nullptr;
  NearEntry* older_ = nullptr;
  bool visited_ = false;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
