#include "bedrock/converse.hpp"

#include <optional>

#include "aws/percent.hpp"
#include "base/json_string.hpp"
#include "bedrock/converse_parts.hpp"
#include "bedrock/json_members.hpp"
#include "bedrock/json_response.hpp"
#include "bedrock/service_error.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// Returns what is wrong with the blocks; nullptr when nothing is.
const char* read_content(std::string_view raw, Completion& completion) {
  std::size_t blocks = 0;
  bool only_text = true;
  const char* fault = nullptr;
  const bool is_array = for_each_element(raw, [&](std::string_view block) {
    ++blocks;
    std::size_t members = 0;
    bool is_text = false;
    const bool is_object =
        for_each_member(block, [&](std::string_view name, std::string_view value) {
          ++members;
          if (name != "text") return true;
          is_text = true;
          if (append_string_value(completion.text, value)) return true;
          fault = "a text block whose text is not a string";
          return false;
        });
    if (!is_object || members == 0) {
      if (!fault) fault = "a content block that is not an object";
      return false;
    }
    only_text = only_text && is_text && members == 1;
    return true;
  });
  if (fault) return fault;
  if (!is_array) return "output.message.content is not an array";
  if (blocks == 0) return "output.message.content is empty";
  if (!only_text) completion.content = raw;
  return nullptr;
}

const char* read_message(std::string_view raw, Completion& completion, ObjectText& rest) {
  std::string role;
  std::optional<std::string_view> content;
  const bool is_object = for_each_member(raw, [&](std::string_view name, std::string_view value) {
    if (name == "role") return append_string_value(role, value);
    if (name != "content") {
      rest.add(name, value);
      return true;
    }
    if (content) return false;
    content = value;
    return true;
  });
  if (!is_object) return "output.message is not a proper object";
  if (role.empty()) return "output.message has no role";
  if (!content) return "output.message has no content";
  return read_content(*content, completion);
}

const char* read_output(std::string_view raw, Completion& completion, ObjectText& rest) {
  std::optional<std::string_view> message;
  const bool is_object = for_each_member(raw, [&](std::string_view name, std::string_view value) {
    if (name != "message") {
      rest.add(name, value);
      return true;
    }
    if (message) return false;
    message = value;
    return true;
  });
  if (!is_object) return "its member output is not an object";
  if (!message) return "it has no output.message";
  ObjectText of_message;
  if (const char* fault = read_message(*message, completion, of_message)) return fault;
  if (!of_message.empty()) rest.add("message", of_message.json());
  return nullptr;
}

// The response's top level.
struct Parts {
  std::optional<std::string_view> output;
  std::optional<std::string_view> stop_reason;
  std::optional<std::string_view> usage;
  std::optional<std::string_view> metrics;
  ObjectText rest;

  // False for a member that stands there twice.
  bool take(std::string_view name, std::string_view raw) {
    for (const auto& [known, place] :
         {std::pair{"output", &output}, std::pair{"stopReason", &stop_reason},
          std::pair{"usage", &usage}, std::pair{"metrics", &metrics}}) {
      if (name != known) continue;
      if (place->has_value()) return false;
      *place = raw;
      return true;
    }
    rest.add(name, raw);
    return true;
  }
};

}  // namespace

std::string model_target(std::string_view base_path, std::string_view model,
                         std::string_view operation) {
  std::string target;
  target.reserve(base_path.size() + model.size() + operation.size() + 32);
  target.append(base_path).append("/model/");
  append_percent_encoded(target, model);
  target.append("/").append(operation);
  return target;
}

Result<Completion> parse_converse_response(const HttpResponse& response) {
  if (auto error = check_json_response(response)) return *std::move(error);

  Parts parts;
  bool repeated = false;
  const bool is_object =
      for_each_member(response.body, [&](std::string_view name, std::string_view raw) {
        repeated = !parts.take(name, raw);
        return !repeated;
      });
  if (repeated) return unusable_response("a member stands there twice", response);
  if (!is_object) return unusable_response("it is not one well-formed JSON object", response);

  Completion completion;
  if (!parts.output) return unusable_response("it has no output", response);
  ObjectText of_output;
  ObjectText of_usage;
  ObjectText of_metrics;
  if (const char* fault = read_output(*parts.output, completion, of_output))
    return unusable_response(fault, response);
  if (!parts.stop_reason || !append_string_value(completion.stop_reason, *parts.stop_reason) ||
      completion.stop_reason.empty()) {
    return unusable_response("it has no stopReason", response);
  }
  if (parts.usage && !is_null(*parts.usage) &&
      !read_usage(*parts.usage, completion.usage, of_usage)) {
    return unusable_response("its usage is not an object", response);
  }
  if (parts.metrics && !is_null(*parts.metrics) &&
      !read_metrics(*parts.metrics, completion, of_metrics)) {
    return unusable_response("its metrics are not an object", response);
  }
  for (const auto& [name, rest] : {std::pair<const char*, const ObjectText&>{"output", of_output},
                                   {"usage", of_usage},
                                   {"metrics", of_metrics}}) {
    if (!rest.empty()) parts.rest.add(name, rest.json());
  }
  completion.request_id = clean_request_id(response.request_id);
  if (!parts.rest.empty()) completion.extra = parts.rest.json();
  return completion;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
