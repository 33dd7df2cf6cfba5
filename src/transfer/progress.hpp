// Telling a caller how far an export or an import is.
#pragma once

#include <functional>
#include <string>

#include "valkey/cache_core.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What the callback throws is logged; `whose` it is goes into the log.
template <class Report>
void tell_progress(const std::function<void(const Report&)>& progress, const Report& so_far,
                   const CacheCore& core, const char* whose) {
  if (!progress) return;
  try {
    progress(so_far);
  } catch (...) {
    report(core.options().log, LogLevel::error, "valkey",
           std::string("the progress callback of ") + whose + " threw");
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
