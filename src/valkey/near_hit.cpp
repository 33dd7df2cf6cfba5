#include <valkeycache/valkey_cache.hpp>

#include "valkey/near_entry.hpp"

namespace valkeycache::inline v0 {

const std::string& NearHit::value() const noexcept {
  return entry_->value();
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
