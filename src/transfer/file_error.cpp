#include "transfer/file_error.hpp"

#include <string>
#include <system_error>

namespace valkeycache::inline v0 {
namespace detail {

Error file_error(std::string_view what, int number) {
  return {.code = ErrorCode::file_failed,
          .message = std::string(what) + ": " + std::generic_category().message(number)};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
