// The time of day, as entries and files tell it.
#pragma once

#include <valkeycache/config.hpp>

#include <chrono>
#include <cstdint>

namespace valkeycache::inline v0 {
namespace detail {

inline std::int64_t unix_time_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
