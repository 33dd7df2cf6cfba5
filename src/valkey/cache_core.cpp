#include "valkey/cache_core.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/errors.hpp"
#include "base/fork.hpp"
#include "base/io_thread.hpp"
#include "base/parking.hpp"
#include "valkey/near_tier.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// How long the I/O thread leaves things to callers who have gone away with replies on the way.
constexpr std::chrono::milliseconds look_in_interval{1};
// How late await_replies() may come back, roughly.
constexpr std::chrono::milliseconds steering_patience{10};
constexpr std::size_t few_in_flight = 8;

}  // namespace

CacheCore::CacheCore(ValkeyCacheOptions options, const MakeBackend& make_backend)
    : options_(std::move(options)),
      context_{.executor = options_.executor, .log = options_.log},
      fork_generation_(fork_generation()),
      backend_(make_backend(options_, poller_, counters_)),
      near_(backend_->near()),
      vigil_(options_.stay_awake),
      vigil_at_helm_(options_.stay_awake) {}

CacheCore::~CacheCore() = default;

Result<std::shared_ptr<CacheCore>> CacheCore::start(ValkeyCacheOptions options,
                                                    const char* thread_name,
                                                    const MakeBackend& make_backend) {
  auto core = std::make_shared<CacheCore>(std::move(options), make_backend);
  if (!core->poller_.usable()) {
    return Error{.code = ErrorCode::connect_failed,
                 .message = "no descriptors are left for the cache's I/O thread",
                 .retryable = true};
  }
  try {
    const AllSignalsBlocked blocked;
    core->thread_ = std::thread([core, thread_name] { core->run(thread_name); });
  } catch (const std::system_error&) {
    return Error{.code = ErrorCode::connect_failed,
                 .message = "the cache's I/O thread could not be started",
                 .retryable = true};
  }
  return core;
}

bool CacheCore::forked() const noexcept {
  return fork_generation() != fork_generation_;
}

SteadyTime CacheCore::deadline_for(const CallOptions& options) const {
  const auto now = SteadyTime::clock::now();
  // A year is for ever, and does not overflow.
  constexpr std::chrono::milliseconds longest = std::chrono::hours(24 * 365);
  if (options.timeout) {
    return now + std::clamp(*options.timeout, std::chrono::milliseconds::zero(), longest);
  }
  auto budget = options_.command_timeout;
  if (counters_.connects.get() == 0) budget += options_.connect_timeout;
  return now + budget;
}

void CacheCore::reject(Command& command, Error error) {
  command.unwatch();
  command.on_error(std::move(error));
  command.publish();
}

void CacheCore::submit(Ref<Command> command, const std::stop_token& token) {
  if (forked()) return reject(*command, error_cache_forked());
  if (token.stop_requested()) {
    counters_.errors.add();
    counters_.cancelled.add();
    return reject(*command, error_cancelled());
  }
  if (command->deadline != SteadyTime::max() && command->deadline <= SteadyTime::clock::now()) {
    counters_.errors.add();
    counters_.timeouts.add();
    return reject(*command, {.code = ErrorCode::timeout,
                             .message = "the call's time-out was over when it was made",
                             .retryable = true});
  }
  command->watch(token, *this);
  if (!callers_.note()) go_on_alone();
  auto verdict = submit_at_helm(command);
  try {
    if (!verdict) verdict = submit_to_inbox(command);
  } catch (...) {  // no memory: nobody has it, so nobody may be told to cancel it
    command->unwatch();
    throw;
  }
  if (*verdict == Verdict::full) {
    counters_.errors.add();
    counters_.overloaded.add();
    reject(*command, {.code = ErrorCode::overloaded,
                      .message = "the queue is full: max_queued_commands or max_queued_bytes",
                      .retryable = true});
  } else if (*verdict == Verdict::closed) {
    counters_.errors.add();
    reject(*command, error_cache_closed());
  }
}

bool CacheCore::over_limits(Backend::Load load, std::size_t bytes) const noexcept {
  return load.commands >= options_.max_queued_commands ||
         (load.commands > 0 && load.bytes + bytes > options_.max_queued_bytes);
}

// Without memory there is no going on in here, as on the I/O thread: what was begun must be
// finished.
std::optional<CacheCore::Verdict> CacheCore::submit_at_helm(Ref<Command>& command) noexcept {
  // What this thread left in the inbox goes first. Who steers another client has locks, perhaps,
  // under which nothing of the user's may run.
  if (Steering::steers_any() || !callers_steer_.load(std::memory_order_acquire) ||
      !callers_.alone() || inbox_filled_.load(std::memory_order_relaxed) || !helm_.try_take()) {
    return std::nullopt;
  }
  std::optional<Verdict> verdict;
  bool trouble = false;
  if (callers_steer_.load(std::memory_order_relaxed) && backend_->steerable()) {
    const Steering steering(this);
    if (over_limits(backend_->load(), command->request.size())) {
      verdict = Verdict::full;
    } else {
      verdict = Verdict::accepted;
      const auto kept = command;
      backend_->accept(std::move(command));
      if (kept->cancel_requested()) {
        backend_->cancel(*kept);
        trouble = true;  // somebody has to publish it
      }
      backend_->send_early();
      trouble = trouble || !backend_->steerable();
    }
  }
  helm_.release();
  if (trouble) go_on_alone();
  // It sleeps with a time that knows nothing of this command.
  if (verdict && watching_.load(std::memory_order_acquire)) poller_.wake();
  return verdict;
}

CacheCore::Verdict CacheCore::submit_to_inbox(Ref<Command>& command) {
  const auto bytes = command->request.size();
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return Verdict::closed;
    if (over_limits({taken_.commands + inbox_.commands.size(), taken_.bytes + inbox_.bytes},
                    bytes)) {
      return Verdict::full;
    }
    inbox_.bytes += bytes;
    inbox_.commands.push_back(std::move(command));
    inbox_filled_.store(true, std::memory_order_relaxed);
    wake = std::exchange(asleep_, false);
  }
  if (wake) poller_.wake();
  return Verdict::accepted;
}

void CacheCore::request_cancel(Ref<Command> command) noexcept {
  if (forked()) return;  // the lock's owner may be a thread of the parent's
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    inbox_.cancels.push_back(std::move(command));
    inbox_filled_.store(true, std::memory_order_relaxed);
    wake = std::exchange(asleep_, false);
  }
  if (wake) poller_.wake();
}

Future<void> CacheCore::flush(std::chrono::milliseconds timeout) {
  Promise<void> promise(context());
  auto future = promise.future();
  if (forked()) {
    promise.set(error_cache_forked());
    return future;
  }
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (!closing_) {
      inbox_filled_.store(true, std::memory_order_relaxed);
      inbox_.flushes.push_back(
          {.promise = std::move(promise), .deadline = deadline_for({.timeout = timeout})});
      wake = std::exchange(asleep_, false);
    }
  }
  if (wake) poller_.wake();
  // Without effect when it was moved into the inbox.
  promise.set(error_cache_closed());  // NOLINT(bugprone-use-after-move)
  return future;
}

void CacheCore::close() noexcept {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    asleep_ = false;
  }
  take_over_.store(true, std::memory_order_release);
  poller_.wake();
  // On a thread that the other one would wait for.
  if (thread_.get_id() == std::this_thread::get_id() || Steering::steers(this)) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

ValkeyCacheStats CacheCore::stats() const {
  ValkeyCacheStats stats{
      .gets = counters_.gets.get(),
      .hits = counters_.hits.get(),
      .misses = counters_.misses.get(),
      .sets = counters_.sets.get(),
      .erased = counters_.erased.get(),
      .errors = counters_.errors.get(),
      .timeouts = counters_.timeouts.get(),
      .cancelled = counters_.cancelled.get(),
      .overloaded = counters_.overloaded.get(),
      .connects = counters_.connects.get(),
      .connect_failures = counters_.connect_failures.get(),
      .bytes_sent = counters_.bytes_sent.get(),
      .bytes_received = counters_.bytes_received.get(),
      .connected = backend_->connected(),
      .protocol = backend_->protocol(),
  };
  if (!forked()) {  // in the child another thread may have held the lock for ever
    const std::lock_guard lock(mutex_);
    stats.in_flight = taken_.commands + inbox_.commands.size();
  }
  if (const auto* tier = near()) tier->add_to(stats, SteadyTime::clock::now());
  return stats;
}

// --- at the helm ---

bool CacheCore::turn(SteadyTime now, Poller::Ready ready) {
  const bool closing = take_inbox();
  backend_->drive(now, ready);
  // First: whoever takes a result and calls again must find the room that it left.
  tell_load();
  {
    const UnparkTogether waiters;
    backend_->publish();
  }
  settle_flushes(now);
  return closing;
}

bool CacheCore::take_inbox() {
  bool closing = false;
  {
    const std::lock_guard lock(mutex_);
    asleep_ = false;
    closing = closing_;
    const auto load = backend_->load();
    taken_ = {load.commands + inbox_.commands.size(), load.bytes + inbox_.bytes};
    std::swap(inbox_, taken_inbox_);
    inbox_filled_.store(false, std::memory_order_relaxed);
  }
  for (auto& command : taken_inbox_.commands) {
    const auto kept = command;
    backend_->accept(std::move(command));
    if (kept->cancel_requested()) backend_->cancel(*kept);
  }
  for (auto& command : taken_inbox_.cancels) backend_->cancel(*command);
  for (auto& flush : taken_inbox_.flushes) {
    flush.mark = backend_->mark_stores();
    flushes_.push_back(std::move(flush));
  }
  for (auto& continuation : taken_inbox_.continuations) run_or_keep(std::move(continuation));
  taken_inbox_.commands.clear();
  taken_inbox_.cancels.clear();
  taken_inbox_.flushes.clear();
  taken_inbox_.continuations.clear();
  taken_inbox_.bytes = 0;
  return closing;
}

bool CacheCore::declare_asleep() {
  const std::lock_guard lock(mutex_);
  if (!inbox_.empty() || (closing_ && Steering::steers(this))) return false;
  const auto load = backend_->load();
  taken_ = {load.commands, load.bytes};
  asleep_ = true;
  return true;
}

std::optional<SteadyTime> CacheCore::next_time() const {
  auto next = backend_->next_time();
  for (const auto& flush : flushes_) next = std::min(next.value_or(flush.deadline), flush.deadline);
  return next;
}

// --- a caller who waits ---

void CacheCore::help(FutureCore& future, const SteadyTime* deadline) noexcept {
  if (forked()) return;
  if (callers_.alone()) {
    if (steer(future, deadline)) return;
  } else {
    go_on_alone();
  }
  // Without the helm: the I/O thread only looks in, and will not be quick.
  if (callers_steer_.load(std::memory_order_acquire)) return;
  if (deadline && *deadline - SteadyTime::clock::now() < vigil_.longest()) return;
  (void)vigil_.keep([&] { return future.ready(); });
}

bool CacheCore::steer(FutureCore& future, const SteadyTime* deadline) noexcept {
  if (Steering::steers_any() || !helm_.try_take()) return false;
  if (take_over_.load(std::memory_order_acquire) || !backend_->steerable() ||
      !future.begin_help()) {
    helm_.release();
    return false;
  }
  callers_steer_.store(true, std::memory_order_release);
  KeepContinuations::Kept kept;
  bool hand_over = false;
  {
    const Steering steering(this);
    const KeepContinuations keep(kept);
    auto now = SteadyTime::clock::now();
    // With many on the way some are likely there.
    Poller::Ready ready{.readable = backend_->load().commands > few_in_flight, .writable = false};
    bool patient = true;
    for (;;) {
      ++turns_of_callers_;
      hand_over = turn(now, ready) || take_over_.load(std::memory_order_acquire) ||
                  !backend_->steerable() || !kept.empty();
      if (hand_over || future.ready() || backend_->idle()) break;
      if (deadline && now >= *deadline) {
        hand_over = true;
        break;
      }
      std::optional<SteadyTime> until = now;
      if (declare_asleep()) {
        until = next_time();
        if (deadline) until = std::min(until.value_or(*deadline), *deadline);
      }
      if (patient && until.value_or(SteadyTime::max()) - now > steering_patience) {
        // Replies to many are better read many at a time.
        const bool few = backend_->owes_replies() && backend_->load().commands <= few_in_flight;
        const bool came = few && vigil_at_helm_.keep([&] {
          return backend_->take_replies() || take_over_.load(std::memory_order_acquire);
        });
        if (!came) patient = backend_->await_replies();
        ready = {};
      } else {
        ready = poller_.wait(until);
      }
      now = SteadyTime::clock::now();
    }
  }
  if (!kept.empty()) {
    const std::lock_guard lock(mutex_);
    std::move(kept.begin(), kept.end(), std::back_inserter(inbox_.continuations));
    inbox_filled_.store(true, std::memory_order_relaxed);
  }
  hand_over = !declare_asleep() || hand_over;
  if (hand_over) take_over_.store(true, std::memory_order_release);
  helm_.release();
  // What woke us may have been meant for the I/O thread; and it must not sleep on in front of the
  // connection with a time that was right before we came.
  if (hand_over || watching_.load(std::memory_order_acquire)) poller_.wake();
  return true;
}

void CacheCore::helped() noexcept {
  if (!Steering::steers(this)) poller_.wake();
}

void CacheCore::go_on_alone() noexcept {
  if (forked()) return;  // the descriptor is the parent's, too
  if (!callers_steer_.load(std::memory_order_acquire)) return;
  if (!take_over_.exchange(true, std::memory_order_acq_rel)) poller_.wake();
}

// --- the I/O thread ---

void CacheCore::run(const char* thread_name) noexcept {
  const auto self = shared_from_this();
  const IoThreadScope scope;
  name_this_thread(thread_name);
  std::optional<SteadyTime> closed_by;
  Poller::Ready ready;
  std::uint64_t turns_seen = 0;
  for (;;) {
    if (!take_helm()) {
      // What woke us may have been meant for the one who steers.
      if (watching_.exchange(false, std::memory_order_acq_rel)) poller_.wake();
      poller_.wait_for_wake(look_in_interval);
      ready = {};
      continue;
    }
    const auto now = SteadyTime::clock::now();
    const bool closing = turn(now, ready);
    if (closing && !closed_by) {
      closed_by = now + options_.close_timeout;
      backend_->begin_closing();
      turn(now, {});
    }
    if (closed_by && (backend_->idle() || now >= *closed_by)) break;

    // Callers who steer keep doing so for as long as they keep coming.
    const bool left_to_callers = callers_steer_.load(std::memory_order_relaxed) &&
                                 !take_over_.load(std::memory_order_acquire) &&
                                 std::exchange(turns_seen, turns_of_callers_) != turns_of_callers_;
    if (!left_to_callers) {
      callers_steer_.store(false, std::memory_order_release);
      take_over_.store(false, std::memory_order_release);
    }
    if (!left_to_callers && vigil_.is_kept(now)) {
      const auto next = next_time().value_or(SteadyTime::max());
      watching_.store(true, std::memory_order_release);
      helm_.release();
      ready = stay_awake(next);
      continue;
    }
    // Just a look, unless one may sleep: submissions must not keep us from replies.
    std::optional<SteadyTime> until = now;
    const bool asleep = declare_asleep();
    if (asleep) {
      until = next_time();
      if (closed_by) until = std::min(until.value_or(*closed_by), *closed_by);
    }
    const bool parks = left_to_callers && asleep;
    watching_.store(!parks, std::memory_order_release);
    helm_.release();
    if (parks) {
      poller_.wait_for_wake(look_in_interval);
      ready = {};
    } else {
      ready = poller_.wait(until);
    }
  }
  backend_->finish_closing();
  backend_->publish();
  for (auto& flush : flushes_) flush.promise.set(error_cache_closed());
  flushes_.clear();
  // Cancellations that came too late would keep their commands, and those this core, for ever.
  Inbox late;
  {
    const std::lock_guard lock(mutex_);
    std::swap(inbox_, late);
  }
  helm_.release();
}

Poller::Ready CacheCore::stay_awake(SteadyTime until) noexcept {
  // A look at least: submissions must not keep us from replies.
  auto ready = poller_.wait(SteadyTime{});
  vigil_.keep_along(until, [&] {
    if (ready.readable || ready.writable || poller_.has_ready() ||
        inbox_filled_.load(std::memory_order_relaxed)) {
      return true;
    }
    ready = poller_.wait(SteadyTime{});
    return false;
  });
  return ready;
}

bool CacheCore::take_helm() {
  if (callers_steer_.load(std::memory_order_acquire) &&
      !take_over_.load(std::memory_order_acquire)) {
    return helm_.try_take();
  }
  if (!helm_.try_take()) {
    poller_.wake();  // who steers may not have heard of it
    helm_.take();
  }
  return true;
}

void CacheCore::tell_load() {
  const auto load = backend_->load();
  const std::lock_guard lock(mutex_);
  taken_ = load;
}

void CacheCore::settle_flushes(SteadyTime now) {
  std::erase_if(flushes_, [&](Flush& flush) {
    if (backend_->stores_done(flush.mark)) {
      flush.promise.set({});
      return true;
    }
    if (now < flush.deadline) return false;
    flush.promise.set(Error{.code = ErrorCode::timeout,
                            .message = "stores were still under way when flush's time was over",
                            .retryable = true});
    return true;
  });
}

}  // namespace detail
}  // namespace valkeycache::inline v0
