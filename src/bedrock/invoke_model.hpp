// The InvokeModel operation: what a response to it has to look like.
#pragma once

#include <valkeycache/llm.hpp>
#include <valkeycache/result.hpp>

#include "bedrock/http_response.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// The answer, if it is a whole and well-formed one: what check_json_response() says, and one JSON
// object, which is Completion::text as it came. Its form is the model's own, so only this is read:
//
//   stop_reason  of the members stop_reason, stopReason, completionReason, finish_reason and
//                finishReason at the top, or in the objects of a list at the top (results,
//                generations, choices ...). Where several differ, all of them, joined by commas.
//   usage, model_latency   from the head
//
// An object with "__type", by which AWS's services mark errors, is none. Anything else is
// ErrorCode::invalid_response.
Result<Completion> parse_invoke_response(HttpResponse response);

}  // namespace detail
}  // namespace valkeycache::inline v0
