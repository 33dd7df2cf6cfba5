#include "bedrock/service_error.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/ascii.hpp"
#include "base/number.hpp"
#include "bedrock/json_members.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::size_t max_error_body = std::size_t{64} << 10;
constexpr std::size_t max_name_size = 100;
constexpr std::size_t max_id_size = 128;

// What an error's body says about itself.
struct ErrorBody {
  std::string type;
  std::string message;  // in lower case; for comparing only
  int original_status = 0;
};

ErrorBody read_error_body(std::string_view body) {
  ErrorBody found;
  if (body.size() > max_error_body) return found;
  std::string code;
  std::string type;
  for_each_member(body, [&](std::string_view name, std::string_view raw) {
    if (name == "message" || name == "Message") {
      append_string_value(found.message, raw);
    } else if (name == "code") {
      append_string_value(code, raw);
    } else if (name == "__type") {
      append_string_value(type, raw);
    } else if (name == "originalStatusCode") {
      found.original_status = parse_number<int>(raw).value_or(0);
    }
    return true;
  });
  found.message = to_lower(found.message);
  found.type = error_type_name(code);
  if (found.type.empty()) found.type = error_type_name(type);
  return found;
}

// What AWS's types stand for. Those that are missing here go by their status.
struct TypeMeaning {
  std::string_view type;
  ErrorCode code;
  RetryKind retry;
  bool retryable;
};
constexpr std::array<TypeMeaning, 27> meanings{{
    {"ThrottlingException", ErrorCode::throttled, RetryKind::throttling, true},
    {"TooManyRequestsException", ErrorCode::throttled, RetryKind::throttling, true},
    {"RequestLimitExceeded", ErrorCode::throttled, RetryKind::throttling, true},
    {"ModelNotReadyException", ErrorCode::model_unavailable, RetryKind::throttling, true},
    {"InternalServerException", ErrorCode::model_unavailable, RetryKind::transient, true},
    {"InternalFailure", ErrorCode::model_unavailable, RetryKind::transient, true},
    {"ServiceUnavailableException", ErrorCode::model_unavailable, RetryKind::transient, true},
    {"ServiceUnavailable", ErrorCode::model_unavailable, RetryKind::transient, true},
    {"ModelTimeoutException", ErrorCode::model_timeout, RetryKind::never, true},
    {"ModelErrorException", ErrorCode::model_error, RetryKind::never, false},
    {"ModelStreamErrorException", ErrorCode::model_error, RetryKind::never, false},
    {"ValidationException", ErrorCode::invalid_request, RetryKind::never, false},
    {"SerializationException", ErrorCode::invalid_request, RetryKind::never, false},
    {"ServiceQuotaExceededException", ErrorCode::throttled, RetryKind::never, false},
    {"AccessDeniedException", ErrorCode::access_denied, RetryKind::never, false},
    {"AccessDenied", ErrorCode::access_denied, RetryKind::never, false},
    {"ResourceNotFoundException", ErrorCode::not_found, RetryKind::never, false},
    {"UnknownOperationException", ErrorCode::not_found, RetryKind::never, false},
    {"ExpiredTokenException", ErrorCode::credentials, RetryKind::renew_credentials, false},
    {"ExpiredToken", ErrorCode::credentials, RetryKind::renew_credentials, false},
    {"UnrecognizedClientException", ErrorCode::credentials, RetryKind::never, false},
    {"MissingAuthenticationTokenException", ErrorCode::credentials, RetryKind::never, false},
    {"IncompleteSignatureException", ErrorCode::credentials, RetryKind::never, false},
    {"InvalidSignatureException", ErrorCode::credentials, RetryKind::correct_clock, false},
    {"SignatureDoesNotMatch", ErrorCode::credentials, RetryKind::correct_clock, false},
    {"RequestExpired", ErrorCode::credentials, RetryKind::correct_clock, false},
    {"RequestTimeTooSkewed", ErrorCode::credentials, RetryKind::correct_clock, false},
}};

TypeMeaning meaning_of_status(int status) noexcept {
  switch (status) {
    case 401:
      return {"", ErrorCode::credentials, RetryKind::never, false};
    case 403:
    case 407:
      return {"", ErrorCode::access_denied, RetryKind::never, false};
    case 404:
      return {"", ErrorCode::not_found, RetryKind::never, false};
    case 408:
      return {"", ErrorCode::model_timeout, RetryKind::never, true};
    case 424:
      return {"", ErrorCode::model_error, RetryKind::never, false};
    case 429:
      return {"", ErrorCode::throttled, RetryKind::throttling, true};
    case 500:
    case 502:
    case 503:
    case 504:
      return {"", ErrorCode::model_unavailable, RetryKind::transient, true};
    default:
      break;
  }
  if (status >= 500) return {"", ErrorCode::model_unavailable, RetryKind::never, true};
  if (status >= 400) return {"", ErrorCode::invalid_request, RetryKind::never, false};
  return {"", ErrorCode::invalid_response, RetryKind::never, false};
}

TypeMeaning meaning_of(std::string_view type, int status) noexcept {
  for (const auto& meaning : meanings) {
    if (meaning.type == type) return meaning;
  }
  return meaning_of_status(status);
}

// Phrases of the service's messages (in lower case) and what they come to.
struct Hint {
  std::string_view phrase;
  std::string_view words;
};
constexpr std::array<Hint, 19> hints{{
    {"on-demand throughput",
     "this model is reached through an inference profile; give its id (such as us.<model id>) or "
     "ARN instead"},
    {"model identifier is invalid", "there is no model of this id in this region"},
    {"is not authorized to perform",
     "the caller's IAM policy does not allow bedrock:InvokeModel on this model"},
    {"have access to the model", "access to this model has not been granted to the account"},
    {"use case details", "the account has to submit the model provider's use case form first"},
    {"end of its life", "the model has reached the end of its life"},
    {"too many tokens per day", "the account's tokens per day are used up"},
    {"too many tokens", "too many tokens per minute"},
    {"too many requests", "too many requests per minute"},
    {"input is too long", "the input is longer than the model takes"},
    {"prompt is too long", "the input is longer than the model takes"},
    {"too many input tokens", "the input is longer than the model takes"},
    {"signature expired", "the clock of this machine is behind the service's"},
    {"signature not yet current", "the clock of this machine is ahead of the service's"},
    {"signature we calculated does not match",
     "the secret access key does not belong to the access key id, or something on the way changed "
     "the request"},
    {"security token included in the request is invalid",
     "the access key id or the session token is not valid"},
    {"security token included in the request is expired", "the session token has expired"},
    {"missing authentication token", "the request carried no signature and no API key"},
    {"authentication failed", "the API key was not accepted"},
}};

// The statuses of what may come inside a stream.
struct TypeStatus {
  std::string_view type;
  int status;
};
constexpr std::array<TypeStatus, 14> statuses{{
    {"ThrottlingException", 429},
    {"ModelNotReadyException", 429},
    {"InternalServerException", 500},
    {"InternalFailure", 500},
    {"InternalError", 500},
    {"ServiceUnavailableException", 503},
    {"ModelTimeoutException", 408},
    {"ModelErrorException", 424},
    {"ModelStreamErrorException", 424},
    {"ValidationException", 400},
    {"ServiceQuotaExceededException", 400},
    {"AccessDeniedException", 403},
    {"ExpiredTokenException", 403},
    {"ResourceNotFoundException", 404},
}};

int status_of(std::string_view type) noexcept {
  for (const auto& known : statuses) {
    if (known.type == type) return known.status;
  }
  return 0;
}

std::string_view hint_for(std::string_view message) noexcept {
  for (const auto& hint : hints) {
    if (message.find(hint.phrase) != std::string_view::npos) return hint.words;
  }
  return {};
}

}  // namespace

std::string error_type_name(std::string_view text) {
  text = text.substr(0, text.find_first_of(",:"));
  const auto hash = text.find('#');
  if (hash != std::string_view::npos) text.remove_prefix(hash + 1);
  const bool is_name =
      text.size() <= max_name_size && std::all_of(text.begin(), text.end(), [](char c) {
        return is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
      });
  return is_name ? std::string(text) : std::string();
}

std::string clean_request_id(std::string_view text) {
  const bool is_id =
      text.size() <= max_id_size && std::all_of(text.begin(), text.end(), [](char c) {
        return is_alphanumeric(c) || std::string_view("-_.:=/+").find(c) != std::string_view::npos;
      });
  return is_id ? std::string(text) : std::string();
}

namespace {

// `did` is what Bedrock did, "answered".
ServiceError make_error(const HttpResponse& response, std::string_view did) {
  const auto body = read_error_body(response.body);
  auto type = error_type_name(response.error_type);
  if (type.empty()) type = body.type;
  auto meaning = meaning_of(type, response.status);
  const auto hint = hint_for(body.message);

  // A wrong API key is told by these words alone.
  if (meaning.code == ErrorCode::access_denied && type.empty() &&
      body.message.starts_with("authentication failed")) {
    meaning.code = ErrorCode::credentials;
  }
  // The model's own failure may pass; what it refused, it will refuse again.
  if (meaning.code == ErrorCode::model_error && body.original_status >= 500) {
    meaning.retryable = true;
  }

  ServiceError out;
  out.retry = meaning.retry;
  auto& error = out.error;
  error.code = meaning.code;
  error.retryable = meaning.retryable;
  // The model may have worked, and been paid for.
  error.maybe_applied = meaning.code == ErrorCode::model_timeout ||
                        meaning.code == ErrorCode::model_error || response.status == 500 ||
                        response.status == 502 || response.status == 504;
  error.http_status = response.status;
  error.request_id = clean_request_id(response.request_id);
  error.message.append("Bedrock ").append(did);
  if (response.status != 0) error.message.append(" ").append(std::to_string(response.status));
  if (!type.empty()) error.message.append(" ").append(type);
  if (response.status >= 300 && response.status < 400) {
    error.message.append(": redirects are not followed");
  } else if (!hint.empty()) {
    error.message.append(": ").append(hint);
  }
  error.server_code = std::move(type);
  return out;
}

}  // namespace

ServiceError make_service_error(const HttpResponse& response) {
  return make_error(response, "answered");
}

ServiceError make_stream_error(std::string_view type, std::string_view payload,
                               std::string_view request_id) {
  HttpResponse response;
  response.error_type = error_type_name(type);
  if (!response.error_type.empty() && response.error_type[0] >= 'a' &&
      response.error_type[0] <= 'z') {  // as the type is called everywhere else
    response.error_type[0] = static_cast<char>(response.error_type[0] - 'a' + 'A');
  }
  response.status = status_of(response.error_type);
  response.request_id = request_id;
  response.body = payload;
  auto made = make_error(response, "ended the stream with");
  if (response.status == 0) made.error.code = ErrorCode::model_error;
  return made;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
