// Result<T> and Error: how every operation says what happened.
//
// The member names are those of std::expected, so that code reads the same once that is available.
// Nothing here blocks or locks; a Result is an ordinary value and belongs to whoever holds it.
#pragma once

#include <valkeycache/config.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace valkeycache::inline v0 {

// What went wrong, coarse enough to switch over. The server's or AWS's own word is in
// Error::server_code.
enum class ErrorCode : std::uint8_t {
  // The call itself. Nothing was sent.
  invalid_argument,  // a value breaks a contract; the message names the field
  invalid_uri,       // the address could not be understood
  unsupported,       // understood, but this build or this object cannot do it
  // The life of a call.
  timeout,          // its deadline passed
  cancelled,        // its stop_token was triggered
  overloaded,       // a bounded queue is full; try again later
  closed,           // the object it was asked of is being destroyed
  forked,           // used in the child of a fork(); open a new one there
  would_deadlock,   // get() on a thread that has to make the future ready
  not_ready,        // get(timeout) gave up waiting; the future stays valid
  consumed,         // the future was already consumed, moved from or never had a state
  abandoned,        // whoever promised the value went away without giving one
  callback_failed,  // a callback of the caller threw
  // The connection to Valkey.
  connect_failed,      // no connection could be made
  tls_failed,          // the certificate was not accepted, or TLS could not be agreed on
  connection_lost,     // it broke while the command was under way
  protocol_error,      // the peer does not speak RESP, or answered with the wrong type
  authentication,      // the server refused user or password
  too_large,           // a value or reply exceeds the configured limit
  server_error,        // the server refused the command; see server_code
  server_unavailable,  // the server refuses for now: OOM, READONLY, MISCONF, LOADING, ...
  permission,          // the server's ACL forbids it (NOPERM)
  // The model.
  throttled,          // too many requests
  model_unavailable,  // the service or model is not available now
  model_timeout,      // the model took too long, as the service says
  model_error,        // the model failed
  invalid_request,    // the service refused the request as malformed
  access_denied,      // the service refused the caller
  credentials,        // no usable credentials, or they expired
  not_found,          // no such model or resource
  transport,          // no whole answer arrived: connection, TLS or HTTP trouble
  invalid_response,   // an answer arrived, but not a well-formed one
  // The cache-aside call.
  cache_miss,  // cache_only was asked for and there is no entry
  // Files of entries.
  file_failed,   // could not be opened, read, written or put into its place
  file_refused,  // no export, of another prefix, or without the MAC that was asked for
};

// The enumerator's own name, e.g. "timeout". Never null, static storage.
VALKEYCACHE_API const char* to_string(ErrorCode code) noexcept;

// An error as a value. `message` says what to do and names fields and limits; it never holds
// secrets, prompts, answers or cached bytes.
struct Error {
  ErrorCode code = ErrorCode::invalid_argument;
  std::string message;
  // The same call may well succeed when it is made again.
  bool retryable = false;
  // The command was (or may have been) sent, so that its effect may have taken place.
  bool maybe_applied = false;
  // The first word of Valkey's error reply ("OOM", "NOPERM", ...) or AWS's error type
  // ("ThrottlingException"); empty when the other side said nothing.
  std::string server_code = {};
  // HTTP status and AWS request id, where there are any.
  int http_status = 0;
  std::string request_id = {};
};

// Thrown by Result::value() alone, for those who like exceptions. what() is "code: message".
class VALKEYCACHE_API BadResult : public std::exception {
 public:
  explicit BadResult(Error error);
  ~BadResult() override;
  BadResult(const BadResult&) = default;
  BadResult& operator=(const BadResult&) = default;
  [[nodiscard]] const Error& error() const noexcept { return error_; }
  [[nodiscard]] const char* what() const noexcept override;

 private:
  Error error_;
  std::string what_;
};

namespace detail {
[[noreturn]] VALKEYCACHE_API void throw_bad_result(const Error& error);
// What error() of a moved-from result refers to.
VALKEYCACHE_API const Error& moved_from_error() noexcept;
}  // namespace detail

// A value or an Error. T must be movable. Small on the good path: the error lives on the heap.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  using error_type = Error;

  // Implicit only where U becomes T implicitly: else a Result<int> would pass for a Result<bool>.
  template <class U = T>
  requires(std::is_constructible_v<T, U&&> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
           !std::is_same_v<std::remove_cvref_t<U>, Error>)  //
      explicit(!std::is_convertible_v<U&&, T>) Result(U&& value)
      : value_(std::in_place, std::forward<U>(value)) {}
  Result(Error error) : error_(std::make_unique<Error>(std::move(error))) {}

  Result(Result&&) noexcept(std::is_nothrow_move_constructible_v<T>) = default;
  Result& operator=(Result&&) noexcept(
      std::is_nothrow_move_constructible_v<T>&& std::is_nothrow_move_assignable_v<T>) = default;
  Result(const Result& other) requires std::is_copy_constructible_v<T>
      : value_(other.value_),
        error_(other.error_ ? std::make_unique<Error>(*other.error_) : nullptr) {}
  Result& operator=(const Result& other) requires std::is_copy_constructible_v<T> {
    if (this != &other) *this = Result(other);
    return *this;
  }
  ~Result() = default;

  [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  // The value; throws BadResult where there is none.
  T& value() & {
    require();
    return *value_;
  }
  const T& value() const& {
    require();
    return *value_;
  }
  // By value, unlike std::expected: `for (auto& x : call().get().value())` must not dangle.
  T value() && {
    require();
    return *std::move(value_);
  }

  // The value, unchecked: only after has_value().
  T& operator*() & noexcept { return *value_; }
  const T& operator*() const& noexcept { return *value_; }
  T operator*() && noexcept(std::is_nothrow_move_constructible_v<T>) { return *std::move(value_); }
  T* operator->() noexcept { return &*value_; }
  const T* operator->() const noexcept { return &*value_; }

  template <class U>
  [[nodiscard]] T value_or(U&& other) const& {
    return has_value() ? *value_ : static_cast<T>(std::forward<U>(other));
  }
  template <class U>
  [[nodiscard]] T value_or(U&& other) && {
    return has_value() ? *std::move(value_) : static_cast<T>(std::forward<U>(other));
  }

  // The error; only where there is no value.
  [[nodiscard]] const Error& error() const& noexcept {
    return error_ ? *error_ : detail::moved_from_error();
  }
  [[nodiscard]] Error error() && {
    if (!error_) return detail::moved_from_error();
    return std::move(*error_);
  }

 private:
  void require() const {
    if (!value_) detail::throw_bad_result(error());
  }
  std::optional<T> value_;
  std::unique_ptr<Error> error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  using error_type = Error;

  Result() noexcept = default;
  Result(Error error) : error_(std::make_unique<Error>(std::move(error))) {}
  Result(Result&&) noexcept = default;
  Result& operator=(Result&&) noexcept = default;
  Result(const Result& other)
      : error_(other.error_ ? std::make_unique<Error>(*other.error_) : nullptr) {}
  Result& operator=(const Result& other) {
    if (this != &other) *this = Result(other);
    return *this;
  }
  ~Result() = default;

  [[nodiscard]] bool has_value() const noexcept { return error_ == nullptr; }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const {
    if (error_) detail::throw_bad_result(*error_);
  }
  [[nodiscard]] const Error& error() const& noexcept {
    return error_ ? *error_ : detail::moved_from_error();
  }
  [[nodiscard]] Error error() && {
    if (!error_) return detail::moved_from_error();
    return std::move(*error_);
  }

 private:
  std::unique_ptr<Error> error_;
};

}  // namespace valkeycache::inline v0
