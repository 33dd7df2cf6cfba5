#include "bedrock/json_response.hpp"

#include <string>

#include "base/json_depth.hpp"
#include "base/utf8.hpp"
#include "bedrock/converse_parts.hpp"
#include "bedrock/service_error.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

const char* fault_of(const HttpResponse& response) noexcept {
  if (response.status != 200) return "its status is not 200";
  if (!response.error_type.empty()) return "it carries an error type";
  if (response.body.empty()) return "it is empty";
  if (!is_media_type(response.content_type, "application/json"))
    return "its content type is not application/json";
  if (!is_valid_utf8(response.body)) return "it is not valid UTF-8";
  if (!json_depth_within(response.body, max_json_depth)) return "it is nested too deeply";
  return nullptr;
}

}  // namespace

Error unusable_response(std::string_view what, const HttpResponse& response) {
  return {.code = ErrorCode::invalid_response,
          .message = "Bedrock's answer is not usable: " + std::string(what),
          .maybe_applied = true,
          .http_status = response.status,
          .request_id = clean_request_id(response.request_id)};
}

std::optional<Error> check_json_response(const HttpResponse& response) {
  if (const char* fault = fault_of(response)) return unusable_response(fault, response);
  return std::nullopt;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
