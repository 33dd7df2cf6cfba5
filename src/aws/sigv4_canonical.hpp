// The parts of SigV4's canonical request, each a function of its own.
#pragma once

#include <valkeycache/config.hpp>

#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// The path of the wire in canonical form. `normalize` drops empty, "." and ".." segments;
// `encode` percent-encodes every segment once more.
void append_canonical_path(std::string& out, std::string_view path, bool normalize, bool encode);

// The query's parameters, each in one encoding, sorted by name and value.
void append_canonical_query(std::string& out, std::string_view query);

// A header value trimmed, with each run of blanks as one.
void append_canonical_value(std::string& out, std::string_view value);

// Headers that are never signed, since proxies change them; `lower_name` in lower case.
bool is_unsignable_header(std::string_view lower_name) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
