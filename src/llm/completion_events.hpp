// A whole answer told as the events of a stream.
#pragma once

#include <valkeycache/llm.hpp>

namespace valkeycache::inline v0 {
namespace detail {

// Calls `on_event` for each: message_start, the blocks (a text or a tool's input in one piece),
// message_stop, usage. Lets out what on_event throws.
VALKEYCACHE_API void tell_as_events(const Completion& completion, const StreamHandler& on_event);

}  // namespace detail
}  // namespace valkeycache::inline v0
