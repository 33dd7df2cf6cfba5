#include "valkey/cache_core.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/fork.hpp"
#include "base/io_thread.hpp"
#include "valkey/near_tier.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

Error error_forked() {
  return {.code = ErrorCode::forked,
          .message = "this cache was opened before fork(); open another one in the child"};
}

}  // namespace

CacheCore::CacheCore(ValkeyCacheOptions options, const MakeBackend& make_backend)
    : options_(std::move(options)),
      context_(std::make_shared<const CallbackContext>(
          CallbackContext{.executor = options_.executor, .log = options_.log})),
      fork_generation_(fork_generation()),
      backend_(make_backend(options_, poller_, counters_)),
      near_(backend_->near()) {}

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
  if (forked()) return reject(*command, error_forked());
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
  const auto bytes = command->request.size();
  enum class Verdict { accepted, full, closed } verdict = Verdict::accepted;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    const auto commands = taken_.commands + inbox_.commands.size();
    if (closing_) {
      verdict = Verdict::closed;
    } else if (commands >= options_.max_queued_commands ||
               (commands > 0 && taken_.bytes + inbox_.bytes + bytes > options_.max_queued_bytes)) {
      verdict = Verdict::full;
    } else {
      inbox_.bytes += bytes;
      inbox_.commands.push_back(std::move(command));
      wake = std::exchange(asleep_, false);
    }
  }
  if (wake) poller_.wake();
  if (verdict == Verdict::full) {
    counters_.errors.add();
    counters_.overloaded.add();
    // NOLINTNEXTLINE(bugprone-use-after-move): it was moved only when accepted
    reject(*command, {.code = ErrorCode::overloaded,
                      .message = "the queue is full: max_queued_commands or max_queued_bytes",
                      .retryable = true});
  } else if (verdict == Verdict::closed) {
    counters_.errors.add();
    reject(*command, error_closed());  // NOLINT(bugprone-use-after-move): likewise
  }
}

void CacheCore::request_cancel(Ref<Command> command) noexcept {
  if (forked()) return;  // the lock's owner may be a thread of the parent's
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    inbox_.cancels.push_back(std::move(command));
    wake = std::exchange(asleep_, false);
  }
  if (wake) poller_.wake();
}

Future<void> CacheCore::flush(std::chrono::milliseconds timeout) {
  Promise<void> promise(context_);
  auto future = promise.future();
  if (forked()) {
    promise.set(error_forked());
    return future;
  }
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (!closing_) {
      inbox_.flushes.push_back(
          {.promise = std::move(promise), .deadline = deadline_for({.timeout = timeout})});
      wake = std::exchange(asleep_, false);
    }
  }
  if (wake) poller_.wake();
  // Without effect when it was moved into the inbox.
  promise.set(error_closed());  // NOLINT(bugprone-use-after-move)
  return future;
}

void CacheCore::close() noexcept {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    asleep_ = false;
  }
  poller_.wake();
  if (thread_.get_id() == std::this_thread::get_id()) {
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

// --- the I/O thread ---

void CacheCore::run(const char* thread_name) noexcept {
  const auto self = shared_from_this();
  const IoThreadScope scope;
  name_this_thread(thread_name);
  std::optional<SteadyTime> closed_by;
  Poller::Ready ready;
  for (;;) {
    const bool closing = take_inbox();
    const auto now = SteadyTime::clock::now();
    if (closing && !closed_by) {
      closed_by = now + options_.close_timeout;
      backend_->begin_closing();
    }
    backend_->drive(now, ready);
    // First: whoever takes a result and calls again must find the room that it left.
    tell_load();
    backend_->publish();
    settle_flushes(now);
    if (closed_by && (backend_->idle() || now >= *closed_by)) break;

    if (!declare_asleep()) {
      ready = poller_.wait(now);  // just a look: submissions must not keep us from the replies
      continue;
    }
    auto until = backend_->next_time();
    for (const auto& flush : flushes_)
      until = std::min(until.value_or(flush.deadline), flush.deadline);
    if (closed_by) until = std::min(until.value_or(*closed_by), *closed_by);
    ready = poller_.wait(until);
  }
  backend_->finish_closing();
  backend_->publish();
  for (auto& flush : flushes_) flush.promise.set(error_closed());
  flushes_.clear();
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
  taken_inbox_.commands.clear();
  taken_inbox_.cancels.clear();
  taken_inbox_.flushes.clear();
  taken_inbox_.bytes = 0;
  return closing;
}

bool CacheCore::declare_asleep() {
  const std::lock_guard lock(mutex_);
  if (!inbox_.empty()) return false;
  const auto load = backend_->load();
  taken_ = {load.commands, load.bytes};
  asleep_ = true;
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
