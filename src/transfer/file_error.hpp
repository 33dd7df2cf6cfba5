// What went wrong with a file.
#pragma once

#include <valkeycache/result.hpp>

#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// `what` begins the message, errno's own words end it.
Error file_error(std::string_view what, int number);

}  // namespace detail
}  // namespace valkeycache::inline v0
