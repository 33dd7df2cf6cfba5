#include "bedrock/invoke_model.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bedrock/json_members.hpp"
#include "bedrock/json_response.hpp"
#include "bedrock/service_error.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

bool names_stop_reason(std::string_view member) noexcept {
  static constexpr std::array<std::string_view, 5> names{
      "stop_reason", "stopReason", "completionReason", "finish_reason", "finishReason"};
  return std::find(names.begin(), names.end(), member) != names.end();
}

// Stability's models: null, or why an image is missing
// (docs.aws.amazon.com/bedrock/latest/userguide/
// model-parameters-diffusion-stable-image-core-text-image-request-response.html).
constexpr std::string_view list_of_reasons = "finish_reasons";
// Of whatever model, when the request named a guardrail: "NONE" or "INTERVENED"
// (…/userguide/guardrails-use-invoke-api.html).
constexpr std::string_view guardrail_action = "amazon-bedrock-guardrailAction";
// Amazon's image models: a text when some image is missing.
constexpr std::string_view error_text = "error";

bool says_nothing(std::string_view raw) noexcept {
  return raw == "null" || raw == R"("")";
}

class StopReasons {
 public:
  // A reason that is null is none. AI21 puts its own into an object of one member, "reason".
  bool take(std::string_view raw) {
    std::string reason;
    if (raw.front() == '{') {
      const bool good = for_each_member(raw, [&](std::string_view name, std::string_view value) {
        return name != "reason" || append_string_value(reason, value);
      });
      if (!good) return false;
    } else if (raw != "null" && !append_string_value(reason, raw)) {
      return false;
    }
    const bool known = std::find(reasons_.begin(), reasons_.end(), reason) != reasons_.end();
    if (!reason.empty() && !known) reasons_.push_back(std::move(reason));
    return true;
  }
  // Those of the objects in a list.
  bool take_list(std::string_view raw) {
    return for_each_element(raw, [this](std::string_view element) {
      if (element.front() != '{') return true;
      return for_each_member(element, [this](std::string_view name, std::string_view value) {
        return !names_stop_reason(name) || take(value);
      });
    });
  }
  bool take_texts(std::string_view raw) {
    return for_each_element(raw, [this](std::string_view element) { return take(element); });
  }
  void add(std::string reason) { reasons_.push_back(std::move(reason)); }
  [[nodiscard]] std::string joined() const {
    std::string all;
    for (const auto& reason : reasons_) (all += all.empty() ? "" : ",") += reason;
    return all;
  }

 private:
  std::vector<std::string> reasons_;
};

}  // namespace

Result<Completion> parse_invoke_response(HttpResponse response) {
  if (auto error = check_json_response(response)) return *std::move(error);

  StopReasons reasons;
  const char* fault = nullptr;
  const bool is_object =
      for_each_member(response.body, [&](std::string_view name, std::string_view raw) {
        if (name == "__type") {
          fault = "it carries an error type";
        } else if (names_stop_reason(name) && !reasons.take(raw)) {
          fault = "its stop reason is not a string";
        } else if (name == list_of_reasons) {
          if (raw.front() == '[' ? !reasons.take_texts(raw) : !reasons.take(raw)) {
            fault = "its finish reasons are not strings";
          }
        } else if (name == guardrail_action && raw != R"("NONE")") {
          reasons.add("guardrail_intervened");
        } else if (name == error_text && !says_nothing(raw)) {
          reasons.add("error");
        } else if (raw.front() == '[' && !reasons.take_list(raw)) {
          fault = "a stop reason in it is not a string";
        }
        return fault == nullptr;
      });
  if (fault) return unusable_response(fault, response);
  if (!is_object) return unusable_response("it is not one well-formed JSON object", response);

  Completion completion;
  completion.stop_reason = reasons.joined();
  const auto& head = response.invocation;
  auto& usage = completion.usage;
  usage.input_tokens = head.input_tokens.value_or(0);
  usage.output_tokens = head.output_tokens.value_or(0);
  usage.cache_read_tokens = head.cache_read_tokens.value_or(0);
  usage.cache_write_tokens = head.cache_write_tokens.value_or(0);
  // Neither is near the end of its type in a good response.
  constexpr auto most = INT64_MAX / 2;
  usage.total_tokens = std::min<std::int64_t>(usage.input_tokens, most) +
                       std::min<std::int64_t>(usage.output_tokens, most);
  completion.model_latency = std::chrono::milliseconds(head.latency_ms.value_or(0));
  completion.request_id = clean_request_id(response.request_id);
  completion.text = std::move(response.body);
  return completion;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
