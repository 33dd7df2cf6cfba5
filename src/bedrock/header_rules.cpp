#include "bedrock/header_rules.hpp"

#include <algorithm>
#include <array>

#include "base/ascii.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

bool is_token(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 256 && std::all_of(name.begin(), name.end(), [](char c) {
    return is_alphanumeric(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_field_value(std::string_view value) noexcept {
  return std::all_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || c == '\t';
  });
}

constexpr std::array<std::string_view, 14> reserved{"host",
                                                    "content-type",
                                                    "content-length",
                                                    "transfer-encoding",
                                                    "connection",
                                                    "expect",
                                                    "te",
                                                    "trailer",
                                                    "upgrade",
                                                    "keep-alive",
                                                    "x-amz-date",
                                                    "x-amz-security-token",
                                                    "x-amz-content-sha256",
                                                    "accept-encoding"};

Error refused(std::string message) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(message)};
}

}  // namespace

std::optional<Error> check_headers(const HeaderList& headers, bool may_authorize) {
  for (const auto& [name, value] : headers) {
    if (!is_token(name)) return refused("headers: a name is not a valid header name");
    const auto lower = to_lower(name);
    if (std::find(reserved.begin(), reserved.end(), lower) != reserved.end()) {
      return refused("headers: " + name + " is the library's own");
    }
    if (lower == "authorization" && !may_authorize) {
      return refused("headers: " + name + " may only be given with auth = none");
    }
    if (!is_field_value(value)) {
      return refused("headers: the value of " + name + " holds a control character");
    }
  }
  return std::nullopt;
}

bool is_amz_header(std::string_view name) {
  return to_lower(name.substr(0, 6)) == "x-amz-";
}

}  // namespace detail
}  // namespace valkeycache::inline v0
