// Which headers a caller may add to a request.
#pragma once

#include <valkeycache/result.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// Nothing where all may be sent; else ErrorCode::invalid_argument, which names the header and never
// shows its value. A name is a token (RFC 9110), a value holds no CR, LF, NUL or other control
// character than a tab. Headers of the library's own (host, content-type, the signature's, those
// that frame a message) may not be given; Authorization only where the library makes none.
std::optional<Error> check_headers(const HeaderList& headers, bool may_authorize);

// Whether a header is signed as x-amz-* has to be.
bool is_amz_header(std::string_view name);

}  // namespace detail
}  // namespace valkeycache::inline v0
