// Ends calls that wait for the model when their time is up, when their caller cancels them, and
// when the CachedLlm goes away: a model may ignore all three.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/detail/future_state.hpp>
#include <valkeycache/result.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace valkeycache::inline v0 {
namespace detail {

// Thread-safe. It has a thread of its own, started for the first call that has a deadline or can be
// cancelled; that thread is where such a call's continuation runs, unless there is an executor.
// (A cancelled call must not go on inside request_stop(), under whatever locks its caller holds.)
class Watchdog {
 public:
  using Watched = FutureState<CachedAnswer>;
  using TimePoint = std::chrono::steady_clock::time_point;

  // Ends a call that is watched; it may have been ended already.
  using End = void (*)(Watched& call, Error error);
  static void complete(Watched& call, Error error) { call.complete(std::move(error)); }

  explicit Watchdog(End end = &complete);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  // close() must have come first.
  ~Watchdog();

  // Watches a call until disarm(). Each call at most once.
  void arm(Ref<Watched> call, std::optional<TimePoint> deadline, bool cancellable);
  // The call goes on by itself.
  void disarm(const Watched* call) noexcept;
  // Ends the call with ErrorCode::cancelled, soon; nothing when it is not watched. Runs no
  // continuation and drops no reference, so it may be called from a stop_callback of the call's.
  void cancel(const Watched* call) noexcept;

  // Ends all calls with ErrorCode::closed, on this thread, and the watchdog's own thread.
  void close() noexcept;
  // In the child of a fork(): leaves everything where it is, since the thread and perhaps the
  // lock's owner are the parent's.
  void leak();

 private:
  struct State;
  static void run(const std::shared_ptr<State>& state) noexcept;

  std::shared_ptr<State> state_;
  std::unique_ptr<std::thread> thread_;  // guarded by the state's mutex until close()
};

}  // namespace detail
}  // namespace valkeycache::inline v0
