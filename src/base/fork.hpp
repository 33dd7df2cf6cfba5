// Telling the child of a fork() from its parent.
#pragma once

#include <valkeycache/config.hpp>

#include <cstdint>

namespace valkeycache::inline v0 {
namespace detail {

// How many fork()s lie between the process in which this was first called and this one. An object
// that owns a thread or a socket remembers the value it was made under; another value later means
// that the thread is not here and that the socket is the parent's. Async-signal-safe after its
// first call, never blocks. (Not getpid(): process ids are used again.)
VALKEYCACHE_API std::uint64_t fork_generation() noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
