// From the server's error replies to typed errors.
#pragma once

#include <valkeycache/result.hpp>

#include <string_view>

#include "valkey/reply.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// `what` names the command or step, e.g. "GET". Of the reply only its first word is kept, since the
// rest may quote arguments.
Error server_error(std::string_view what, std::string_view reply_text);

// For a reply that is of no type the command can have.
Error unexpected_reply(std::string_view what);

// The error of a reply that is not what was asked for: the server's own, or unexpected_reply.
Error reply_error(std::string_view what, const Reply& reply);

}  // namespace detail
}  // namespace valkeycache::inline v0
