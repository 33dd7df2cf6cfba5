// Environment variables behind a function, so that tests need not change the process's own.
#pragma once

#include <valkeycache/config.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// The value of a variable; nothing where it is unset. Thread-safe.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

// The process's own (std::getenv: not to be changed by other threads meanwhile).
Environment process_environment();

// As AWS's tools read it: an empty value counts as unset, and blanks around one do not count.
std::optional<std::string> variable(const Environment& environment, std::string_view name);

// Whether the variable says "true", in any case.
bool is_true(const Environment& environment, std::string_view name);
bool is_true(const std::optional<std::string>& value);

}  // namespace detail
}  // namespace valkeycache::inline v0
