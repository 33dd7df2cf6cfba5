#include "cached/freshness.hpp"

#include <algorithm>
#include <random>

#include "base/unix_time.hpp"

namespace valkeycache::inline v0 {
namespace detail {

using std::chrono::milliseconds;

Lifetime lifetime_of(Ttl ttl, const CachedLlmAdvanced& advanced) noexcept {
  const auto longer = std::max(advanced.stale_while_revalidate, advanced.stale_if_error);
  if (!ttl.is_finite() || longer <= milliseconds::zero()) return {.hard = ttl};
  const auto soft = ttl.duration();
  if (longer > milliseconds::max() - soft) return {.hard = ttl};
  const Ttl hard = soft + longer;
  if (!hard.is_valid()) return {.hard = ttl};  // beyond what Valkey takes
  return {.hard = hard, .soft_ms = soft.count()};
}

Ttl jittered(Ttl ttl, double random) noexcept {
  if (!ttl.is_finite()) return ttl;
  const auto most = std::chrono::floor<std::chrono::seconds>(ttl.duration()) / 10;
  const auto less = static_cast<double>(most.count() + 1) * random;
  return ttl.duration() -
         std::min(most, std::chrono::seconds(static_cast<std::int64_t>(std::max(less, 0.0))));
}

double random_part() {
  thread_local std::minstd_rand random{std::random_device()()};
  return std::uniform_real_distribution<double>(0, 1)(random);
}

std::optional<milliseconds> age_by_clock(const Entry& entry) noexcept {
  if (entry.created_ms <= 0) return std::nullopt;
  const auto now = unix_time_ms();
  // Writers' clocks differ: an entry from the future is a fresh one.
  return milliseconds{entry.created_ms < now ? now - entry.created_ms : 0};
}

std::optional<milliseconds> age_by_ttl(const Entry& entry, Ttl left) noexcept {
  if (entry.hard_ttl_ms <= 0 || !left.is_finite()) return age_by_clock(entry);
  // It has more left where somebody has given it more: it is as good as new.
  return std::max(milliseconds(entry.hard_ttl_ms) - left.duration(), milliseconds::zero());
}

Freshness judge_age(const Entry& entry, std::optional<milliseconds> age, Ttl left,
                    const CachedLlmAdvanced& advanced,
                    std::optional<milliseconds> max_age) noexcept {
  if (max_age && (!age || *age > *max_age)) return Freshness::too_old;
  const bool may_be_stale = advanced.stale_while_revalidate > milliseconds::zero() ||
                            advanced.stale_if_error > milliseconds::zero();
  if (!may_be_stale || entry.soft_ttl_ms <= 0 || !age || !left.is_finite()) {
    return Freshness::fresh;
  }
  const auto past = *age - milliseconds(entry.soft_ttl_ms);
  if (past < milliseconds::zero()) return Freshness::fresh;
  if (past < advanced.stale_while_revalidate) return Freshness::stale;
  if (past < advanced.stale_if_error) return Freshness::last_resort;
  return Freshness::too_old;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
