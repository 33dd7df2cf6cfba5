// The errors that a call itself ends with.
#pragma once

#include <valkeycache/result.hpp>

#include "base/errors.hpp"

namespace valkeycache::inline v0 {
namespace detail {

inline Error error_of(ErrorCode code, const char* message) {
  return {.code = code, .message = message};
}
inline Error error_closed() {
  return error_of(ErrorCode::closed, "the CachedLlm was destroyed during the call");
}
inline Error error_timeout() {
  auto error =
      error_of(ErrorCode::timeout, "the call's deadline passed before the model was asked");
  error.retryable = true;
  return error;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
