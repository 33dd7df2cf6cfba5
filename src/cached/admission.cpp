#include "cached/admission.hpp"

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

namespace {

bool blank(std::string_view text) noexcept {
  return text.find_first_not_of(" \t\n\v\f\r") == std::string_view::npos;
}

bool is_one_of(std::string_view reason, std::initializer_list<std::string_view> names) noexcept {
  return std::find(names.begin(), names.end(), reason) != names.end();
}

// As the makers of models name them, beside Converse's names. Embeddings have none.
std::string_view converse_name(std::string_view reason) noexcept {
  if (is_one_of(reason, {"", "stop", "FINISH", "FINISHED", "COMPLETE", "endoftext"})) {
    return "end_turn";
  }
  if (is_one_of(reason, {"length", "LENGTH", "MAX_TOKENS"})) return "max_tokens";
  if (is_one_of(reason, {"tool_calls", "TOOL_CALL"})) return "tool_use";
  if (is_one_of(reason, {"content_filter", "CONTENT_FILTERED", "ERROR_TOXIC", "refusal"})) {
    return "content_filtered";
  }
  return reason;
}

// Stop reasons as Converse names them. One that is not known is not trusted.
Rejection judge_stop_reason(std::string_view reason, const AdmissionRules& rules) noexcept {
  if (reason == "end_turn" || reason == "stop_sequence") return Rejection::none;
  if (reason == "guardrail_intervened" || reason == "content_filtered") return Rejection::filtered;
  if (reason == "malformed_model_output" || reason == "malformed_tool_use") {
    return Rejection::malformed;
  }
  if (reason == "max_tokens" && rules.max_tokens) return Rejection::none;
  if (reason == "tool_use" && rules.tool_use) return Rejection::none;
  return Rejection::stop_reason;
}

}  // namespace

Rejection judge_answer(const Completion& completion, const AdmissionRules& rules) noexcept {
  const auto by_reason = judge_stop_reason(
      rules.invoke ? converse_name(completion.stop_reason) : completion.stop_reason, rules);
  if (by_reason != Rejection::none) return by_reason;
  // A call of a tool says what it has to say in its content blocks.
  const bool says_something = completion.stop_reason == "tool_use" && !rules.invoke
                                  ? !blank(completion.content)
                                  : !blank(completion.text);
  if (!says_something) return Rejection::empty;
  // The entry is longer still; this spares making it.
  if (completion.text.size() > rules.max_bytes || completion.content.size() > rules.max_bytes ||
      completion.extra.size() > rules.max_bytes) {
    return Rejection::too_large;
  }
  return Rejection::none;
}

bool predicate_allows(const AdmissionPredicate& predicate, const ChatRequest& request,
                      const Completion& completion, bool& threw) noexcept {
  threw = false;
  if (!predicate) return true;
  try {
    return predicate(request, completion);
  } catch (...) {
    threw = true;
    return false;
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
