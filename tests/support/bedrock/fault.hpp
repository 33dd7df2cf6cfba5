// Faults that the simulated Bedrock can be told to have.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace valkeycache::test {

// What goes wrong inside a streamed answer.
struct StreamFault {
  // So many frames of it are sent, and then it ends cleanly, ...
  std::optional<std::size_t> end_after = {};
  // ... or not at all until the client goes away, ...
  bool stall = false;
  // ... or with an exception ("throttlingException") or an error ("InternalError") in a last frame.
  std::string exception = {};
  std::string error = {};
  std::string message = {};
  // The checksum of this frame, counted from 0, is wrong.
  std::optional<std::size_t> corrupt = {};
};

// What is sent in place of the answer; unset members leave it as it would have been.
struct Fault {
  // An error response in AWS's shape.
  int status = 0;
  std::string type = {};     // x-amzn-ErrorType
  std::string message = {};  // in the body
  std::vector<std::pair<std::string, std::string>> headers = {};

  // Another body or content type than the answer's.
  std::optional<std::string> body = {};
  std::optional<std::string> content_type = {};
  // Exactly these bytes instead of a response.
  std::optional<std::string> raw = {};

  // Only where the answer is streamed.
  std::optional<StreamFault> stream = {};

  // Nothing is sent at all, until the client goes away.
  bool hang = false;
  // Only so many bytes of the response body are sent ...
  std::optional<std::size_t> cut_body_at = {};
  // ... and then the connection ends, by a FIN or, with `reset`, a RST. Without cut_body_at the
  // reset comes in place of the whole response, head included.
  bool reset = false;
  // Over HTTP/2 the stream alone ends, by RST_STREAM with this code: in place of the response, or
  // after cut_body_at.
  std::optional<std::uint32_t> stream_error = {};
  // Over HTTP/2: GOAWAY tells that this request was not looked at.
  bool refuse_by_goaway = false;
  // Sent in pieces of so many bytes with a pause after each.
  std::size_t piece = 0;
  std::chrono::milliseconds pause{0};
  // Close the connection after the response.
  bool close_after = false;
  // The request is not checked for a signature first.
  bool before_authentication = false;
};

namespace faults {

inline Fault error(int status, std::string type, std::string message = "a simulated error") {
  return {.status = status, .type = std::move(type), .message = std::move(message)};
}
inline Fault throttled(std::optional<std::chrono::milliseconds> hint = {}) {
  Fault fault =
      error(429, "ThrottlingException", "Too many requests, please wait before trying again.");
  if (hint) fault.headers.emplace_back("x-amz-retry-after", std::to_string(hint->count()));
  return fault;
}
inline Fault internal_error() {
  return error(500, "InternalServerException");
}
inline Fault unavailable() {
  return error(503, "ServiceUnavailableException");
}
inline Fault model_timeout() {
  return error(408, "ModelTimeoutException");
}
inline Fault model_error() {
  return error(424, "ModelErrorException");
}
inline Fault expired_token() {
  return error(403, "ExpiredTokenException",
               "The security token included in the request is expired");
}
inline Fault reset() {
  return {.reset = true};
}
inline Fault reset_in_body(std::size_t at = 20) {
  return {.cut_body_at = at, .reset = true};
}
inline Fault truncated(std::size_t at = 20) {
  return {.cut_body_at = at};
}
// Of RFC 9113, section 7.
inline constexpr std::uint32_t h2_internal_error = 0x2;
inline constexpr std::uint32_t h2_refused_stream = 0x7;
inline Fault stream_error(std::uint32_t code, std::optional<std::size_t> cut_body_at = {}) {
  return {.cut_body_at = cut_body_at, .stream_error = code};
}
inline Fault refused_by_goaway() {
  return {.refuse_by_goaway = true};
}
inline Fault slow(std::size_t piece, std::chrono::milliseconds pause) {
  return {.piece = piece, .pause = pause};
}
inline Fault hang() {
  return {.hang = true};
}
inline Fault with_body(std::string body, std::string content_type = "application/json") {
  return {.body = std::move(body), .content_type = std::move(content_type)};
}
inline Fault in_stream(StreamFault stream) {
  return {.stream = std::move(stream)};
}
inline Fault stream_exception(std::size_t after, std::string type,
                              std::string message = "a simulated exception") {
  return in_stream(
      {.end_after = after, .exception = std::move(type), .message = std::move(message)});
}
inline Fault stream_ends_after(std::size_t frames) {
  return in_stream({.end_after = frames});
}
inline Fault stream_stalls_after(std::size_t frames) {
  return in_stream({.end_after = frames, .stall = true});
}
inline Fault raw(std::string bytes) {
  return {.raw = std::move(bytes), .close_after = true};
}

}  // namespace faults
}  // namespace valkeycache::test
