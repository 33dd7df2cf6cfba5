// What a ChatRequest is made of.
#pragma once

#include <valkeycache/llm.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace valkeycache::inline v0 {

// Canonical JSON texts; the three that grow by parts are joined when the body is asked for. An
// empty one is not an absent one.
struct ChatRequest::Parts {
  using Members = std::map<std::string, std::string, std::less<>>;
  std::string model = {};
  Members members = {};
  std::optional<Members> inference = {};
  std::optional<std::vector<std::string>> messages = {};
  std::optional<std::vector<std::string>> system = {};
  std::optional<std::string> invoke_body = {};
  std::optional<Error> error = {};
};

}  // namespace valkeycache::inline v0
