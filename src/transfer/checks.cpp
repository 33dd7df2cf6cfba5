#include "transfer/checks.hpp"

#include <cstddef>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::size_t min_secret_bytes = 16;

}  // namespace

std::optional<Error> cannot_begin(const CacheCore& core, const std::optional<std::string>& secret) {
  if (core.forked()) {
    return Error{.code = ErrorCode::forked,
                 .message = "this cache was opened before a fork(); open a new one in the child"};
  }
  if (on_io_thread()) return error_would_deadlock();
  if (secret && secret->size() < min_secret_bytes) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "the secret is shorter than 16 bytes"};
  }
  return std::nullopt;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
