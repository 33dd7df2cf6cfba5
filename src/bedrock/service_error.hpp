// What Bedrock's error responses mean.
//
// Foreign text goes nowhere: an error response may quote the prompt (ValidationException), the
// signed headers with the session token (InvalidSignatureException), or whatever a gateway thinks
// fit. So Error::message is made of our own words; where the service's message holds a phrase that
// we know, a hint says the same thing. Error::server_code and request_id are taken over only as far
// as they look like a name and an id.
#pragma once

#include <valkeycache/result.hpp>

#include <string>
#include <string_view>

#include "bedrock/http_response.hpp"
#include "bedrock/retry_policy.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct ServiceError {
  Error error;
  RetryKind retry = RetryKind::never;
};

// For any response but a plain 200.
ServiceError make_service_error(const HttpResponse& response);

// For an exception in an event stream ("throttlingException", with its payload) or, with an empty
// payload, an error there ("InternalError"). It says what the same error would as a response, with
// the status that it then has; 0 for one that is not known.
ServiceError make_stream_error(std::string_view type, std::string_view payload,
                               std::string_view request_id);

// AWS's name of an error: of "a#ThrottlingException:http://...", "ThrottlingException"; "" where
// there is nothing of that form.
std::string error_type_name(std::string_view text);

// The id, if it looks like one; else "".
std::string clean_request_id(std::string_view text);

}  // namespace detail
}  // namespace valkeycache::inline v0
