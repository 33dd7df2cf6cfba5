#include "transfer/checks.hpp"

#include "base/crypto.hpp"
#include "base/errors.hpp"

namespace valkeycache::inline v0 {
namespace detail {

std::optional<Error> cannot_begin(const CacheCore& core, const std::optional<std::string>& secret) {
  if (core.forked()) return error_cache_forked();
  if (on_io_thread()) return error_would_deadlock();
  if (secret && secret->size() < min_secret_bytes) {
    return error_invalid("the secret is shorter than 16 bytes");
  }
  return std::nullopt;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
