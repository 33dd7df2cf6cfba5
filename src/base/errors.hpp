// Errors that several rooms make.
#pragma once

#include <valkeycache/result.hpp>

#include <string>
#include <utility>

namespace valkeycache::inline v0 {
namespace detail {

inline Error error_invalid(std::string message) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(message)};
}

inline Error error_cancelled() {
  return {.code = ErrorCode::cancelled, .message = "the call was cancelled by its stop_token"};
}

// Of calls to a model, which may go on by itself.
inline Error error_cancelled_under_way() {
  return {.code = ErrorCode::cancelled,
          .message = "the call was cancelled by its stop_token",
          .maybe_applied = true};
}
inline Error error_timeout_under_way() {
  return {.code = ErrorCode::timeout,
          .message = "the model did not answer before the call's deadline",
          .retryable = true,
          .maybe_applied = true};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
