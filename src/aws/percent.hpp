// Percent encoding as RFC 3986 and AWS want it.
#pragma once

#include <valkeycache/config.hpp>

#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// Appends `text` with every byte but A-Z a-z 0-9 - . _ ~ as %XX (upper-case hex). `kept` names
// further bytes to leave alone.
void append_percent_encoded(std::string& out, std::string_view text, std::string_view kept = {});
[[nodiscard]] std::string percent_encoded(std::string_view text);

// Decodes %XX; a percent sign that no two hex digits follow stands for itself. "+" stays "+".
[[nodiscard]] std::string percent_decoded(std::string_view text);

}  // namespace detail
}  // namespace valkeycache::inline v0
