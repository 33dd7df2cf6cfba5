// NearStore: values kept in this process, bounded by bytes, which die when they may be stale.
//
// Sans-I/O: time is passed in, and whoever reads from the server tells it what has become invalid.
// Thread-safe; sharded, each shard with a lock of its own. Eviction is SIEVE (Zhang et al., NSDI
// 2024): a queue in the order of arrival, a mark on what was hit since the hand last came by, and a
// hand that evicts what has none. What is read only once goes soon, and a hit moves nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "valkey/near_entry.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class NearStore {
 public:
  explicit NearStore(std::size_t max_bytes);
  NearStore(const NearStore&) = delete;
  NearStore& operator=(const NearStore&) = delete;

  // The leave to put in a value that is being fetched just now. It counts the invalidations that
  // the key's stripe has seen: one more, and the value may be older than what it tells of, so it
  // stays out. Keys share stripes, so a fill may be refused for another key's sake; never the
  // reverse.
  struct Fill {
    bool allowed = false;
    std::uint64_t hash = 0;
    std::uint64_t stripe = 0;      // invalidations that the key's stripe had seen
    std::uint64_t generation = 0;  // those that concern all keys of the shard
  };

  // Null: not there, expired, or the store is shut. Otherwise it stays readable for as long as it
  // is held. Counts a hit or, where asked to, a miss.
  [[nodiscard]] std::shared_ptr<NearEntry> find(std::string_view key, SteadyTime now,
                                                bool count_miss);
  // Before the value is asked for.
  [[nodiscard]] Fill begin_fill(std::string_view key);
  // Afterwards. `expires` is the entry's end in Valkey, which may be after the deadline that it has
  // here. False: it was invalidated meanwhile, has no time left, or is too large to keep.
  bool fill(const Fill& leave, std::string_view key, std::string_view value, SteadyTime deadline,
            SteadyTime now, SteadyTime expires = SteadyTime::max());
  // Keeps an object made of the entry's value with it; `bytes` is what it takes. False: there is
  // one already, the entry is no longer kept, or the two together are too large.
  bool attach(NearEntry& entry, std::shared_ptr<const void> object, const void* tag,
              std::size_t bytes, SteadyTime now);

  // The value under the key may have changed: it goes, and so do fills under way.
  void invalidate(std::string_view key);
  // Likewise all whose keys begin so.
  void invalidate_prefix(std::string_view prefix);
  void invalidate_all();

  // Empty and without effect until opened; as it is made. Once shut() has returned, nothing that
  // was in it is found any more.
  void open();
  void shut();
  // As of now, without a lock.
  [[nodiscard]] bool empty() const noexcept {
    return entries_.load(std::memory_order_relaxed) == 0;
  }

  struct Stats {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evictions = 0;
    std::uint64_t invalidations = 0;  // entries lost to one; not the fills
    std::size_t entries = 0;
    std::size_t bytes = 0;
  };
  [[nodiscard]] Stats stats() const;

  // What an entry takes of the bound, its share of the index included.
  [[nodiscard]] static std::size_t cost_of(std::size_t key_bytes, std::size_t value_bytes) noexcept;
  [[nodiscard]] std::size_t shards() const noexcept { return shards_.size(); }
  // An entry that would take more is not kept: it would cost all others their place.
  [[nodiscard]] std::size_t max_entry_bytes() const noexcept { return shard_bytes_ / 4; }

 private:
  // A key and its hash; the text is the entry's own.
  struct Name {
    std::uint64_t hash;
    std::string_view text;
    friend bool operator==(const Name& a, const Name& b) noexcept { return a.text == b.text; }
  };
  struct HashOfName {
    std::size_t operator()(const Name& name) const noexcept {
      return static_cast<std::size_t>(name.hash);
    }
  };
  using Entry = std::shared_ptr<NearEntry>;
  // What leaves the store is destroyed after its lock has been released: a decoded object's
  // destructor is somebody else's code.
  using Leavers = std::vector<Entry>;

  static constexpr std::size_t stripes = 256;
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    bool open = false;
    std::unordered_map<Name, Entry, HashOfName> index;
    NearEntry* newest = nullptr;
    NearEntry* oldest = nullptr;
    NearEntry* hand = nullptr;
    std::size_t bytes = 0;
    std::uint64_t generation = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evictions = 0;
    std::uint64_t invalidations = 0;
    std::uint64_t stripe[stripes] = {};
  };

  static std::uint64_t hash_of(std::string_view key) noexcept;
  [[nodiscard]] Shard& shard_of(std::uint64_t hash) const noexcept;
  static std::uint64_t& stripe_of(Shard& shard, std::uint64_t hash) noexcept;

  void link(Shard& shard, NearEntry& entry) noexcept;
  void unlink(Shard& shard, NearEntry& entry) noexcept;
  Entry take_out(Shard& shard, NearEntry& entry);
  void take_all(Shard& shard, Leavers& leavers);
  // Evicts until so much fits; never `spared`.
  void make_room(Shard& shard, std::size_t bytes, SteadyTime now, const NearEntry* spared,
                 Leavers& leavers);

  std::size_t shard_bytes_ = 0;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<std::size_t> entries_{0};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
