// What every answer of a model has to be before it is looked into.
#pragma once

#include <valkeycache/result.hpp>

#include <optional>
#include <string_view>

#include "bedrock/http_response.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// ErrorCode::invalid_response: `what` names the rule that was broken and quotes nothing.
Error unusable_response(std::string_view what, const HttpResponse& response);

// Status 200, no x-amzn-ErrorType, not empty, application/json, valid UTF-8, nesting within 128
// levels. Nothing when all of it holds.
std::optional<Error> check_json_response(const HttpResponse& response);

}  // namespace detail
}  // namespace valkeycache::inline v0
