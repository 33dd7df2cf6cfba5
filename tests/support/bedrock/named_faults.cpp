#include "support/bedrock/named_faults.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>

namespace valkeycache::test {
namespace {

const std::map<std::string, Fault>& faults_by_name() {
  static const std::map<std::string, Fault> known{
      {"throttled", faults::throttled()},
      {"internal", faults::internal_error()},
      {"unavailable", faults::unavailable()},
      {"model-timeout", faults::model_timeout()},
      {"model-error", faults::model_error()},
      {"expired", faults::expired_token()},
      {"not-found", faults::error(404, "ResourceNotFoundException")},
      {"denied", faults::error(403, "AccessDeniedException")},
      {"stream-throttled", faults::stream_exception(3, "throttlingException")},
      {"stream-model-error", faults::stream_exception(3, "modelStreamErrorException")},
      {"stream-internal", faults::stream_exception(3, "internalServerException")},
      {"stream-throttled-first", faults::stream_exception(0, "throttlingException")},
      {"stream-error-frame",
       faults::in_stream(
           {.end_after = 3, .error = "InternalError", .message = "a simulated error"})},
      {"stream-corrupt", faults::in_stream({.corrupt = 2})},
      {"stream-ends-early", faults::stream_ends_after(3)},
      {"reset", faults::reset()},
  };
  return known;
}

// "fault.reset" in "/model/fault.reset/converse"; "" where there is none.
std::string fault_model(const std::string& target) {
  static const std::string before = "/model/fault.";
  const auto from = target.find(before);
  if (from == std::string::npos) return "";
  const auto start = from + before.size();
  return target.substr(start, target.find('/', start) - start);
}

}  // namespace

std::function<std::optional<Fault>(const RecordedRequest&)> named_faults() {
  return [seen = std::make_shared<std::set<std::string>>()](
             const RecordedRequest& request) -> std::optional<Fault> {
    auto name = fault_model(request.target);
    if (name.empty()) return std::nullopt;
    static const std::string once = "once.";
    if (name.rfind(once, 0) == 0) {
      if (!seen->insert(name).second) return std::nullopt;
      name = name.substr(once.size());
      name = name.substr(0, name.find('.'));
    }
    const auto found = faults_by_name().find(name);
    if (found == faults_by_name().end()) {
      return faults::error(400, "ValidationException", "no fault is called so");
    }
    return found->second;
  };
}

}  // namespace valkeycache::test
