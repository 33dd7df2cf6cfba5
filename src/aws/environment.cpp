#include "aws/environment.hpp"

#include <algorithm>
#include <cstdlib>

namespace valkeycache::inline v0 {
namespace detail {

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (!value) return std::nullopt;
    return value;
  };
}

std::optional<std::string> variable(const Environment& environment, std::string_view name) {
  auto value = environment ? environment(name) : std::nullopt;
  if (!value) return std::nullopt;
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = value->find_first_not_of(blanks);
  if (first == std::string::npos) return std::nullopt;
  const auto last = value->find_last_not_of(blanks);
  return value->substr(first, last - first + 1);
}

bool is_true(const std::optional<std::string>& value) {
  static constexpr std::string_view word = "true";
  return value && std::equal(value->begin(), value->end(), word.begin(), word.end(),
                             [](char a, char b) { return (a | 0x20) == b; });
}

bool is_true(const Environment& environment, std::string_view name) {
  return is_true(variable(environment, name));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
