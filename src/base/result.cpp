#include <valkeycache/result.hpp>

namespace valkeycache::inline v0 {

const char* to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::invalid_uri:
      return "invalid_uri";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::timeout:
      return "timeout";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::overloaded:
      return "overloaded";
    case ErrorCode::closed:
      return "closed";
    case ErrorCode::forked:
      return "forked";
    case ErrorCode::would_deadlock:
      return "would_deadlock";
    case ErrorCode::not_ready:
      return "not_ready";
    case ErrorCode::consumed:
      return "consumed";
    case ErrorCode::abandoned:
      return "abandoned";
    case ErrorCode::callback_failed:
      return "callback_failed";
    case ErrorCode::connect_failed:
      return "connect_failed";
    case ErrorCode::tls_failed:
      return "tls_failed";
    case ErrorCode::connection_lost:
      return "connection_lost";
    case ErrorCode::protocol_error:
      return "protocol_error";
    case ErrorCode::authentication:
      return "authentication";
    case ErrorCode::too_large:
      return "too_large";
    case ErrorCode::server_error:
      return "server_error";
    case ErrorCode::server_unavailable:
      return "server_unavailable";
    case ErrorCode::permission:
      return "permission";
    case ErrorCode::throttled:
      return "throttled";
    case ErrorCode::model_unavailable:
      return "model_unavailable";
    case ErrorCode::model_timeout:
      return "model_timeout";
    case ErrorCode::model_error:
      return "model_error";
    case ErrorCode::invalid_request:
      return "invalid_request";
    case ErrorCode::access_denied:
      return "access_denied";
    case ErrorCode::credentials:
      return "credentials";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::transport:
      return "transport";
    case ErrorCode::invalid_response:
      return "invalid_response";
    case ErrorCode::cache_miss:
      return "cache_miss";
    case ErrorCode::file_failed:
      return "file_failed";
    case ErrorCode::file_refused:
      return "file_refused";
  }
  return "unknown";
}

BadResult::BadResult(Error error)
    : error_(std::move(error)),
      what_(std::string(to_string(error_.code)) + ": " + error_.message) {}
BadResult::~BadResult() = default;
const char* BadResult::what() const noexcept {
  return what_.c_str();
}

namespace detail {

void throw_bad_result(const Error& error) {
  throw BadResult(error);
}

const Error& moved_from_error() noexcept {
  static const Error error{.code = ErrorCode::consumed, .message = "the result was moved from"};
  return error;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
