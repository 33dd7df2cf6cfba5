#include <valkeycache/valkey_cache.hpp>

#include <algorithm>
#include <chrono>

#include "valkey/near_entry.hpp"

namespace valkeycache::inline v0 {

const std::string& NearHit::value() const noexcept {
  return entry_->value();
}

Ttl NearHit::ttl() const noexcept {
  using std::chrono::milliseconds;
  const auto expires = entry_->expires();
  if (expires == detail::SteadyTime::max()) return Ttl::none();
  const auto left =
      std::chrono::duration_cast<milliseconds>(expires - detail::SteadyTime::clock::now());
  return std::max(left, milliseconds(1));  // it may have ended since it was found
}

const void* NearHit::object_of(const void* type) const noexcept {
  return entry_->decoded(type);
}

const char* to_string(NearCoherence coherence) noexcept {
  switch (coherence) {
    case NearCoherence::off:
      return "off";
    case NearCoherence::tracking:
      return "tracking";
    case NearCoherence::max_age:
      return "max_age";
  }
  return "unknown";
}

}  // namespace valkeycache::inline v0
