#include "base/io_thread.hpp"

#include <valkeycache/detail/future_state.hpp>

#include <ctime>

#include <pthread.h>

namespace valkeycache::inline v0 {
namespace detail {

namespace {
thread_local int io_thread_depth = 0;
}

IoThreadScope::IoThreadScope() noexcept {
  ++io_thread_depth;
}
IoThreadScope::~IoThreadScope() {
  --io_thread_depth;
}

bool on_io_thread() noexcept {
  return io_thread_depth > 0;
}

AllSignalsBlocked::AllSignalsBlocked() noexcept : before_() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_);
}
AllSignalsBlocked::~AllSignalsBlocked() {
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

namespace {
sigset_t sigpipe_alone() noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  return set;
}
bool sigpipe_pending() noexcept {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  return sigismember(&pending, SIGPIPE) == 1;
}
}  // namespace

SigPipeHeld::SigPipeHeld() noexcept : before_(), pending_before_(sigpipe_pending()) {
  const auto set = sigpipe_alone();
  pthread_sigmask(SIG_BLOCK, &set, &before_);
}
SigPipeHeld::~SigPipeHeld() {
  // A pending one from before is the program's.
  if (!pending_before_ && sigpipe_pending()) {
    const auto set = sigpipe_alone();
    const timespec at_once{};
    sigtimedwait(&set, nullptr, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void name_this_thread(const char* name) noexcept {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), name);
#else
  (void)name;
#endif
}

}  // namespace detail
}  // namespace valkeycache::inline v0
