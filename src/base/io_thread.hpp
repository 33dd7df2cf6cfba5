// What the library's own threads have in common.
#pragma once

#include <valkeycache/config.hpp>

#include <csignal>

namespace valkeycache::inline v0 {
namespace detail {

// Marks the current thread as one that completes futures, for the scope's life: get() refuses to
// wait there.
class VALKEYCACHE_API IoThreadScope {
 public:
  IoThreadScope() noexcept;
  ~IoThreadScope();
  IoThreadScope(const IoThreadScope&) = delete;
  IoThreadScope& operator=(const IoThreadScope&) = delete;
};

// Blocks all signals on this thread for the scope's life. A thread started within it has them
// blocked for good: signals of the program are for the program's own threads.
class VALKEYCACHE_API AllSignalsBlocked {
 public:
  AllSignalsBlocked() noexcept;
  ~AllSignalsBlocked();
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// For a thread of the program's that does the library's work meanwhile: a SIGPIPE that its own
// writes raise in the scope's life does not reach the program.
class VALKEYCACHE_API SigPipeHeld {
 public:
  SigPipeHeld() noexcept;
  ~SigPipeHeld();
  SigPipeHeld(const SigPipeHeld&) = delete;
  SigPipeHeld& operator=(const SigPipeHeld&) = delete;

 private:
  sigset_t before_;
  bool pending_before_;
};

// At most 15 characters are shown by the system.
VALKEYCACHE_API void name_this_thread(const char* name) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
