// How long an entry is good: what it is stored with, and what becomes of it when it is found.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/entry.hpp>
#include <valkeycache/ttl.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace valkeycache::inline v0 {
namespace detail {

// What an entry is stored with.
struct Lifetime {
  Ttl hard;                  // in Valkey
  std::int64_t soft_ms = 0;  // stale after this; 0: never
};
Lifetime lifetime_of(Ttl ttl, const CachedLlmAdvanced& advanced) noexcept;

// The same, or up to a tenth shorter, by whole seconds. `random` is drawn evenly from [0, 1).
Ttl jittered(Ttl ttl, double random) noexcept;
double random_part();

// Time since the entry was stored, by the storing machine's clock; none where it does not say.
std::optional<std::chrono::milliseconds> age_by_clock(const Entry& entry) noexcept;
// By what Valkey says is left of its TTL, no matter whose clock shows what; by the clock where that
// tells nothing: an entry without an end, or without a TTL of its own.
std::optional<std::chrono::milliseconds> age_by_ttl(const Entry& entry, Ttl left) noexcept;

enum class Freshness : std::uint8_t {
  fresh,
  stale,        // good at once, and to be refreshed
  last_resort,  // good only when the model fails
  too_old,      // no answer
};
// `left`: of its TTL. Without an end it is never stale.
Freshness judge_age(const Entry& entry, std::optional<std::chrono::milliseconds> age, Ttl left,
                    const CachedLlmAdvanced& advanced,
                    std::optional<std::chrono::milliseconds> max_age) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
