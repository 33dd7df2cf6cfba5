// The Converse operation: its target, and what a response to it has to look like.
#pragma once

#include <valkeycache/llm.hpp>
#include <valkeycache/result.hpp>

#include <string>
#include <string_view>

#include "bedrock/http_response.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// The last segment of a target, and the first word of a client's cache_identity() (where a streamed
// answer goes by "converse" as well).
inline constexpr std::string_view converse_operation = "converse";
inline constexpr std::string_view converse_stream_operation = "converse-stream";
inline constexpr std::string_view invoke_operation = "invoke";

// "{base_path}/model/{id}/{operation}", the id as one segment: its ":" and "/" are encoded.
std::string model_target(std::string_view base_path, std::string_view model,
                         std::string_view operation);

// The answer, if it is a whole and well-formed one. Stricter than AWS's own clients, since what is
// taken here may be kept: what check_json_response() says, and one JSON object that has an
// output.message with a role and at least one content block, and a stop reason.
// Members and block kinds that are not known are kept (Completion::extra, ::content), in the text
// in which they came. Anything else is ErrorCode::invalid_response; its message names the rule that
// was broken and quotes nothing.
Result<Completion> parse_converse_response(const HttpResponse& response);

}  // namespace detail
}  // namespace valkeycache::inline v0
