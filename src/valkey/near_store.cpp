#include "valkey/near_store.hpp"

#include <functional>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// Shards so large hold an answer of the largest size that CachedLlm stores; more than so many do
// not help.
constexpr std::size_t least_shard_bytes = std::size_t{4} << 20;
constexpr std::size_t most_shards = 16;

// What comes with an entry, beside its key, value and object: itself with its reference counts, its
// node in the index with a share of the buckets, and what the allocator adds to four blocks.
constexpr std::size_t overhead = sizeof(NearEntry) + (2 + 6 + 8) * sizeof(void*);

}  // namespace

NearStore::NearStore(std::size_t max_bytes) {
  std::size_t count = 1;
  while (count < most_shards && max_bytes / (count * 2) >= least_shard_bytes) count *= 2;
  shard_bytes_ = max_bytes / count;
  for (std::size_t i = 0; i < count; ++i) shards_.push_back(std::make_unique<Shard>());
}

std::size_t NearStore::cost_of(std::size_t key_bytes, std::size_t value_bytes) noexcept {
  return overhead + key_bytes + value_bytes;
}

std::uint64_t NearStore::hash_of(std::string_view key) noexcept {
  return std::hash<std::string_view>{}(key);
}

NearStore::Shard& NearStore::shard_of(std::uint64_t hash) const noexcept {
  return *shards_[(hash >> 56) & (shards_.size() - 1)];
}

std::uint64_t& NearStore::stripe_of(Shard& shard, std::uint64_t hash) noexcept {
  return shard.stripe[(hash >> 40) % stripes];
}

// --- one shard, under its lock ---

void NearStore::link(Shard& shard, NearEntry& entry) noexcept {
  entry.older_ = shard.newest;
  entry.newer_ = nullptr;
  (shard.newest ? shard.newest->newer_ : shard.oldest) = &entry;
  shard.newest = &entry;
  shard.bytes += entry.cost_;
  entries_.fetch_add(1, std::memory_order_relaxed);
}

void NearStore::unlink(Shard& shard, NearEntry& entry) noexcept {
  if (shard.hand == &entry) shard.hand = entry.newer_;
  (entry.newer_ ? entry.newer_->older_ : shard.newest) = entry.older_;
  (entry.older_ ? entry.older_->newer_ : shard.oldest) = entry.newer_;
  entry.newer_ = entry.older_ = nullptr;
  shard.bytes -= entry.cost_;
  entries_.fetch_sub(1, std::memory_order_relaxed);
}

NearStore::Entry NearStore::take_out(Shard& shard, NearEntry& entry) {
  unlink(shard, entry);
  const auto at = shard.index.find(Name{entry.hash_, entry.key_});
  auto taken = std::move(at->second);
  shard.index.erase(at);
  return taken;
}

void NearStore::take_all(Shard& shard, Leavers& leavers) {
  leavers.reserve(leavers.size() + shard.index.size());
  entries_.fetch_sub(shard.index.size(), std::memory_order_relaxed);
  for (auto& [name, entry] : shard.index) leavers.push_back(std::move(entry));
  shard.index.clear();
  shard.newest = shard.oldest = shard.hand = nullptr;
  shard.bytes = 0;
}

void NearStore::make_room(Shard& shard, std::size_t bytes, SteadyTime now, const NearEntry* spared,
                          Leavers& leavers) {
  while (shard.bytes + bytes > shard_bytes_ && shard.oldest) {
    auto* candidate = shard.hand ? shard.hand : shard.oldest;
    shard.hand = candidate->newer_;
    const bool expired = candidate->deadline_ <= now;
    if (candidate == spared || (candidate->visited_ && !expired)) {
      candidate->visited_ = false;
      continue;
    }
    leavers.push_back(take_out(shard, *candidate));
    if (!expired) ++shard.evictions;
  }
}

// --- from any thread ---

std::shared_ptr<NearEntry> NearStore::find(std::string_view key, SteadyTime now, bool count_miss) {
  const auto hash = hash_of(key);
  auto& shard = shard_of(hash);
  Entry expired;
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.index.find(Name{hash, key});
  if (at != shard.index.end()) {
    auto& entry = *at->second;
    if (now < entry.deadline_) {
      entry.visited_ = true;
      ++shard.hits;
      return at->second;
    }
    expired = take_out(shard, entry);
  }
  if (count_miss) ++shard.misses;
  return nullptr;
}

NearStore::Fill NearStore::begin_fill(std::string_view key) {
  const auto hash = hash_of(key);
  auto& shard = shard_of(hash);
  const std::lock_guard lock(shard.mutex);
  return {.allowed = shard.open,
          .hash = hash,
          .stripe = stripe_of(shard, hash),
          .generation = shard.generation};
}

bool NearStore::fill(const Fill& leave, std::string_view key, std::string_view value,
                     SteadyTime deadline, SteadyTime now, SteadyTime expires) {
  const auto cost = cost_of(key.size(), value.size());
  if (!leave.allowed || deadline <= now || cost > max_entry_bytes()) return false;
  // Made before the lock is taken: a large value takes its time to copy.
  auto entry = std::make_shared<NearEntry>(leave.hash, key, value, deadline, expires);
  entry->cost_ = cost;
  auto& shard = shard_of(leave.hash);
  Leavers leavers;
  const std::lock_guard lock(shard.mutex);
  if (!shard.open || shard.generation != leave.generation ||
      stripe_of(shard, leave.hash) != leave.stripe) {
    return false;
  }
  const auto at = shard.index.find(Name{leave.hash, key});
  if (at != shard.index.end()) leavers.push_back(take_out(shard, *at->second));
  make_room(shard, cost, now, nullptr, leavers);
  shard.index.emplace(Name{leave.hash, entry->key_}, entry);
  link(shard, *entry);
  return true;
}

bool NearStore::attach(NearEntry& entry, std::shared_ptr<const void> object, const void* tag,
                       std::size_t bytes, SteadyTime now) {
  auto& shard = shard_of(entry.hash_);
  Leavers leavers;
  const std::lock_guard lock(shard.mutex);
  if (entry.decoded_tag_.load(std::memory_order_relaxed)) return false;
  const auto at = shard.index.find(Name{entry.hash_, entry.key_});
  if (at == shard.index.end() || at->second.get() != &entry) return false;
  if (bytes > max_entry_bytes() || entry.cost_ + bytes > max_entry_bytes()) return false;
  make_room(shard, bytes, now, &entry, leavers);
  entry.cost_ += bytes;
  shard.bytes += bytes;
  entry.decoded_ = std::move(object);
  entry.decoded_tag_.store(tag, std::memory_order_release);
  return true;
}

// --- what may be stale goes ---

void NearStore::invalidate(std::string_view key) {
  const auto hash = hash_of(key);
  auto& shard = shard_of(hash);
  Entry leaver;
  const std::lock_guard lock(shard.mutex);
  ++stripe_of(shard, hash);
  const auto at = shard.index.find(Name{hash, key});
  if (at == shard.index.end()) return;
  leaver = take_out(shard, *at->second);
  ++shard.invalidations;
}

void NearStore::invalidate_prefix(std::string_view prefix) {
  for (auto& shard : shards_) {
    Leavers leavers;
    const std::lock_guard lock(shard->mutex);
    ++shard->generation;
    for (auto* entry = shard->oldest; entry;) {
      auto* const following = entry->newer_;
      if (std::string_view(entry->key_).starts_with(prefix)) {
        leavers.push_back(take_out(*shard, *entry));
        ++shard->invalidations;
      }
      entry = following;
    }
  }
}

void NearStore::invalidate_all() {
  for (auto& shard : shards_) {
    Leavers leavers;
    const std::lock_guard lock(shard->mutex);
    ++shard->generation;
    shard->invalidations += shard->index.size();
    take_all(*shard, leavers);
  }
}

void NearStore::open() {
  for (auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    ++shard->generation;
    shard->open = true;
  }
}

void NearStore::shut() {
  for (auto& shard : shards_) {
    Leavers leavers;
    const std::lock_guard lock(shard->mutex);
    ++shard->generation;
    shard->open = false;
    shard->invalidations += shard->index.size();
    take_all(*shard, leavers);
  }
}

NearStore::Stats NearStore::stats() const {
  Stats sum;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    sum.hits += shard->hits;
    sum.misses += shard->misses;
    sum.evictions += shard->evictions;
    sum.invalidations += shard->invalidations;
    sum.entries += shard->index.size();
    sum.bytes += shard->bytes;
  }
  return sum;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
