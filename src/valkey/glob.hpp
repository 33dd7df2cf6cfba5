// Valkey's glob patterns, as far as this library writes them.
#pragma once

#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// A pattern that matches `text` itself and nothing else: namespace "*" is not everything.
// https://valkey.io/commands/keys/
std::string glob_escape(std::string_view text);

// Whether `text` matches a pattern made of literal characters, escapes and '*'.
bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace detail
}  // namespace valkeycache::inline v0
