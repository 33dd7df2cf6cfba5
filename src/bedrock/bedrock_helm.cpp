// Who carries a BedrockLoop's work on: its own thread, or a caller who waits for his answer.
#include <algorithm>
#include <iterator>
#include <utility>

#include "base/futex.hpp"
#include "base/io_thread.hpp"
#include "bedrock/bedrock_loop.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using Milliseconds = std::chrono::milliseconds;

// How often the client's thread looks in while callers steer; the time doubles while one and the
// same stays at the helm.
constexpr Milliseconds look_in_interval{2};
constexpr Milliseconds longest_look_in_interval{128};

}  // namespace

// --- for all threads ----------------------------------------------------------------------------

template <class F>
void BedrockLoop::tell(F leave) {
  {
    const std::lock_guard lock(mutex_);
    leave();
    if (!std::exchange(asleep_, false)) return;
  }
  rouse();  // without the lock, which the other one wants first of all
}

template <class F>
bool BedrockLoop::tell_if_open(F leave) {
  bool open = false;
  tell([&] {
    open = !closed_;
    if (open) leave();
  });
  return open;
}

void BedrockLoop::rouse() noexcept {
  roused_.fetch_add(1, std::memory_order_acq_rel);
  if (watch_.load() != Watch::sockets) futex_wake_all(roused_);
  wake_.set();
}

bool BedrockLoop::submit(CallPointer call) {
  if (!callers_.note()) go_on_alone();
  if (submit_at_helm(call)) return true;
  return tell_if_open([&] { inbox_.submitted.push_back(std::move(call)); });
}

void BedrockLoop::cancel(CallPointer call) {
  tell_if_open([&] { inbox_.cancelled.push_back(std::move(call)); });
}

void BedrockLoop::resume(CallPointer call) {
  tell_if_open([&] { inbox_.resumed.push_back(std::move(call)); });
}

void BedrockLoop::deliver(Result<AwsCredentials> result) {
  tell([&] {  // after close(), too: shut_down() may wait for it
    inbox_.credentials = std::move(result);
    changed_.notify_all();
  });
}

void BedrockLoop::close() noexcept {
  tell([&] { closed_ = inbox_.close = true; });
}

bool BedrockLoop::wait_until_over(Milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [this] { return over_; });
}

// --- at the helm --------------------------------------------------------------------------------

bool BedrockLoop::declare_asleep() {
  const std::lock_guard lock(mutex_);
  if (!inbox_.empty()) return false;
  asleep_ = true;
  return true;
}

// What was left before goes first, and a closed loop takes nothing.
bool BedrockLoop::nothing_left_for_us() {
  const std::lock_guard lock(mutex_);
  return inbox_.empty() && !closed_;
}

void BedrockLoop::wait(SteadyTime until) noexcept {
  try {
    engine_->wait(until);
  } catch (...) {  // no memory: what is ready stays so
  }
}

void BedrockLoop::leave_helm(KeepContinuations::Kept kept, bool hand_over) noexcept {
  if (!kept.empty()) {
    hand_over = true;
    const std::lock_guard lock(mutex_);
    if (inbox_.continuations.empty()) inbox_.continuations.swap(kept);
    std::move(kept.begin(), kept.end(), std::back_inserter(inbox_.continuations));
  }
  hand_over = !declare_asleep() || hand_over;
  if (hand_over) take_over_.store(true, std::memory_order_release);
  helm_.release();
  if (hand_over) rouse();
}

// --- a caller -----------------------------------------------------------------------------------

// The request leaves on this thread, where nothing of the user's would run. Should its caller go
// away the client's thread finds the answer when it looks in, if that is soon.
bool BedrockLoop::submit_at_helm(const CallPointer& call) noexcept {
  if (!callers_steer_.load(std::memory_order_acquire) || watch_.load() != Watch::often ||
      !callers_.alone() || config_->header_callback || config_->context->log || !helm_.try_take()) {
    return false;
  }
  helms_of_callers_.fetch_add(1, std::memory_order_relaxed);
  const bool taken = callers_steer_.load(std::memory_order_relaxed) &&
                     !take_over_.load(std::memory_order_acquire) && watch_.load() == Watch::often &&
                     deadlines_.empty() && nothing_left_for_us();
  KeepContinuations::Kept kept;
  if (taken) {
    const Steering steering(this);
    const SigPipeHeld no_sigpipe;
    const KeepContinuations keep(kept);
    try {
      accept(call);
    } catch (...) {  // no memory: the call ends by its deadline
    }
    turn_of_a_caller();
  }
  leave_helm(std::move(kept), false);
  if (taken && watch_.load() != Watch::often) go_on_alone();
  return taken;
}

// A thread that libcurl starts, to resolve a name, must not take the program's signals.
void BedrockLoop::turn_of_a_caller() noexcept {
  const AllSignalsBlocked blocked;
  turn();
}

void BedrockLoop::help(FutureCore& future, const TimePoint* deadline) noexcept {
  if (!callers_.alone()) return go_on_alone();
  if (Steering::steers_any() || !helm_.try_take()) return;
  if (closing_ || take_over_.load(std::memory_order_acquire) || !future.begin_help()) {
    helm_.release();
    return;
  }
  callers_steer_.store(true, std::memory_order_release);
  helms_of_callers_.fetch_add(1, std::memory_order_relaxed);
  KeepContinuations::Kept kept;
  bool hand_over = false;
  {
    const Steering steering(this);
    const SigPipeHeld no_sigpipe;
    const KeepContinuations keep(kept);
    for (;;) {
      turn_of_a_caller();
      hand_over = closing_ || take_over_.load(std::memory_order_acquire) || !kept.empty() ||
                  (deadline && std::chrono::steady_clock::now() >= *deadline);
      if (hand_over || future.ready()) break;
      auto until = next_time();
      if (deadline) until = std::min(until, *deadline);
      if (declare_asleep()) wait(until);
    }
    // Nobody waits for the others.
    hand_over = hand_over || !deadlines_.empty();
  }
  leave_helm(std::move(kept), hand_over);
}

void BedrockLoop::helped() noexcept {
  if (!Steering::steers(this)) wake_.set();
}

void BedrockLoop::go_on_alone() noexcept {
  if (!callers_steer_.load(std::memory_order_acquire)) return;
  if (!take_over_.exchange(true, std::memory_order_acq_rel)) rouse();
}

// --- the client's thread ------------------------------------------------------------------------

void BedrockLoop::run() noexcept {
  name_this_thread("vkc-bedrock");
  const IoThreadScope io_thread;
  begin();
  helm_.release();
  auto pause = look_in_interval;
  std::uint32_t helms_seen = 0;
  for (;;) {
    const auto roused = roused_.load(std::memory_order_acquire);
    if (!take_helm()) {
      const auto helms = helms_of_callers_.load(std::memory_order_relaxed);
      const bool same = std::exchange(helms_seen, helms) == helms;
      pause = same ? std::min(pause * 2, longest_look_in_interval) : look_in_interval;
      watch_.store(same ? Watch::seldom : Watch::often);
      const auto until = std::chrono::steady_clock::now() + pause;
      futex_wait(roused_, roused, &until);
      continue;
    }
    pause = look_in_interval;
    wait({});  // just what is there
    turn();
    if (closing_) break;
    const auto helms = helms_of_callers_.load(std::memory_order_relaxed);
    const bool theirs = callers_steer_.load(std::memory_order_relaxed) &&
                        !take_over_.load(std::memory_order_acquire) &&
                        std::exchange(helms_seen, helms) != helms;
    if (!theirs) {
      callers_steer_.store(false, std::memory_order_release);
      take_over_.store(false, std::memory_order_release);
    }
    const auto until = theirs ? std::chrono::steady_clock::now() + look_in_interval : next_time();
    const bool asleep = declare_asleep();
    watch_.store(theirs ? Watch::often : Watch::sockets);
    helm_.release();
    if (!asleep) continue;
    if (theirs) {
      futex_wait(roused_, roused, &until);
    } else {
      engine_->sleep(until);
    }
  }
  shut_down();
  helm_.release();
}

bool BedrockLoop::take_helm() noexcept {
  if (callers_steer_.load(std::memory_order_acquire) &&
      !take_over_.load(std::memory_order_acquire)) {
    return helm_.try_take();
  }
  if (!helm_.try_take()) {
    wake_.set();  // who steers may not have heard of it
    helm_.take();
  }
  return true;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
