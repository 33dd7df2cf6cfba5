#include <valkeycache/future.hpp>

#include <cstdio>

#include "base/parking.hpp"

namespace valkeycache::inline v0 {
namespace detail {

FutureCore::~FutureCore() = default;

void FutureCore::reset() noexcept {
  refs_.store(1, std::memory_order_relaxed);
  phase_.store(Phase::pending, std::memory_order_relaxed);
  claimed_.store(false, std::memory_order_relaxed);
  inline_ = false;
  helper_ = nullptr;
  continuation_.reset();
  context_.reset();
}

FutureCore::Waited FutureCore::wait(const TimePoint* deadline) noexcept {
  if (ready()) return Waited::ready;
  if (context_ && context_->generation != fork_generation()) return Waited::forked;
  if (on_io_thread()) return Waited::would_deadlock;
  auto phase = Phase::pending;
  if (helper_) {
    helper_->help(*this, deadline);
    if (ready()) return Waited::ready;
  }
  const auto place = my_parking_place();
  waiter_.store(place, std::memory_order_relaxed);
  // From waited_for too, which an earlier wait may have left: the place goes with it.
  while (phase != Phase::ready &&
         !phase_.compare_exchange_weak(phase, Phase::waited_for, std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
  }
  for (;;) {
    const auto ticket = take_parking_ticket(place);
    if (ready()) return Waited::ready;
    if (!park(place, ticket, deadline) && !ready()) return Waited::timed_out;
  }
}

bool FutureCore::attach(Continuation& continuation) noexcept {
  if (ready()) return false;
  // A step of the library's own may run wherever the work is done.
  auto* const alone = inline_ ? nullptr : helper_;
  // The continuation may drop whatever keeps this state and the helper.
  const auto self = alone ? Ref<FutureCore>::share(this) : Ref<FutureCore>();
  continuation_ = std::move(continuation);
  // A wait that timed out leaves waited_for behind; nobody waits any more.
  auto phase = phase_.load(std::memory_order_acquire);
  while (phase != Phase::ready) {
    if (phase_.compare_exchange_weak(phase, Phase::continued, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
      if (alone) alone->go_on_alone();
      return true;
    }
  }
  continuation = std::move(continuation_);
  return false;
}

void FutureCore::publish_kept() noexcept {
  switch (phase_.exchange(Phase::ready, std::memory_order_acq_rel)) {
    case Phase::waited_for:
      unpark(waiter_.load(std::memory_order_relaxed));
      break;
    case Phase::helped:
      helper_->helped();
      break;
    case Phase::continued:
      unpark_now();
      dispatch(std::move(continuation_));
      break;
    case Phase::pending:
    case Phase::ready:
      break;
  }
}

namespace {
thread_local KeepContinuations::Kept* keeping = nullptr;
}

KeepContinuations::KeepContinuations(Kept& kept) noexcept : outer_(std::exchange(keeping, &kept)) {}
KeepContinuations::~KeepContinuations() {
  keeping = outer_;
}

void run_or_keep(UniqueFunction<void()> work) noexcept {
  if (keeping) {
    keeping->push_back(std::move(work));
  } else {
    work();
  }
}

void FutureCore::dispatch(Continuation continuation) noexcept {
  if (keeping && !inline_) {
    keeping->emplace_back(
        [self = Ref<FutureCore>::share(this), kept = std::move(continuation)]() mutable {
          self->dispatch(std::move(kept));
        });
    return;
  }
  if (inline_ || !context_ || !context_->executor) {
    run(continuation);
    return;
  }
  // Shared, so that the continuation survives an executor that throws after moving the task.
  struct Pending {
    Continuation continuation;
    std::atomic<bool> taken{false};
  };
  auto pending = std::make_shared<Pending>();
  pending->continuation = std::move(continuation);
  try {
    context_->executor(Task([self = Ref<FutureCore>::share(this), pending] {
      if (!pending->taken.exchange(true)) self->run(pending->continuation);
    }));
  } catch (...) {
    report(context_->log, LogLevel::error, "future",
           "the executor threw; the continuation runs on this thread instead");
    if (!pending->taken.exchange(true)) run(pending->continuation);
  }
}

namespace {

// Tells the log of a continuation that kept an I/O thread from its work. Of nested ones only the
// outermost is told of.
thread_local bool watching_hold = false;
class HoldWatch {
 public:
  HoldWatch(const CallbackContext* context, bool own_step) noexcept {
    if (own_step || !context || !context->log || !on_io_thread() || watching_hold) return;
    log_ = &context->log;
    watching_hold = true;
    begin_ = Clock::now();
  }
  HoldWatch(const HoldWatch&) = delete;
  HoldWatch& operator=(const HoldWatch&) = delete;
  ~HoldWatch() {
    if (!log_) return;
    watching_hold = false;
    const auto held = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin_);
    if (held <= longest_hold) return;
    char text[128];
    (void)std::snprintf(
        text, sizeof text,
        "a continuation held the library's I/O thread for %lld ms; give an executor",
        static_cast<long long>(held.count()));
    report(*log_, LogLevel::warning, "future", text);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds longest_hold{10};

  const LogHook* log_ = nullptr;
  Clock::time_point begin_{};
};
}  // namespace

void FutureCore::run(Continuation& continuation) noexcept {
  const HoldWatch watch(context_.get(), inline_);
  try {
    continuation(*this);
  } catch (...) {
    if (context_) report(context_->log, LogLevel::error, "future", error_callback_failed().message);
  }
  continuation.reset();
}

Error error_consumed() {
  return {.code = ErrorCode::consumed,
          .message = "the future has no result to give: it was consumed or moved from"};
}
Error error_abandoned() {
  return {.code = ErrorCode::abandoned,
          .message = "the operation went away without a result",
          .retryable = true,
          .maybe_applied = true};
}
Error error_not_ready() {
  return {.code = ErrorCode::not_ready,
          .message = "no result within the time given to get(); the future stays valid",
          .retryable = true};
}
Error error_would_deadlock() {
  return {
      .code = ErrorCode::would_deadlock,
      .message = "get() on the library's I/O thread would wait for itself; use then() or co_await"};
}
Error error_pending_at_fork() {
  return {
      .code = ErrorCode::forked,
      .message = "the call was pending when fork() was called; only the parent gets its result"};
}

Error error_callback_failed() {
  // The text of a foreign exception may hold anything, a prompt included: its type is all we tell.
  return {.code = ErrorCode::callback_failed, .message = "a callback threw an exception"};
}

void report(const LogHook& hook, LogLevel level, std::string_view component,
            std::string_view message) noexcept {
  if (!hook) return;
  try {
    hook(LogRecord{level, component, message});
  } catch (...) {  // by contract a hook's failure is nobody's failure
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
