#include "cached/watchdog.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/futex.hpp"
#include "base/io_thread.hpp"
#include "cached/call_errors.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct Watchdog::State {
  struct Entry {
    Ref<Watched> call;
    std::optional<TimePoint> deadline;
  };

  std::mutex mutex;
  std::unordered_map<const Watched*, Entry> calls;
  std::set<std::pair<TimePoint, const Watched*>> deadlines;
  std::vector<Ref<Watched>> cancelled;
  bool closing = false;
  End end = nullptr;  // set once
  // Counts the reasons to look again.
  std::atomic<std::uint32_t> signal{0};

  // With the mutex held.
  Ref<Watched> remove(std::unordered_map<const Watched*, Entry>::iterator at) noexcept {
    if (at->second.deadline) deadlines.erase({*at->second.deadline, at->first});
    auto call = std::move(at->second.call);
    calls.erase(at);
    return call;
  }
  void wake() noexcept {
    signal.fetch_add(1, std::memory_order_acq_rel);
    futex_wake_all(signal);
  }
};

Watchdog::Watchdog(End end) : state_(std::make_shared<State>()) {
  state_->end = end;
}

Watchdog::~Watchdog() = default;

void Watchdog::arm(Ref<Watched> call, std::optional<TimePoint> deadline, bool cancellable) {
  const auto* id = call.get();
  const std::lock_guard lock(state_->mutex);
  state_->calls.emplace(id, State::Entry{std::move(call), deadline});
  if (deadline) {
    const auto at = state_->deadlines.emplace(*deadline, id).first;
    if (at == state_->deadlines.begin()) state_->wake();
  }
  if (!thread_ && (deadline || cancellable)) {
    try {
      const AllSignalsBlocked blocked;
      thread_ = std::make_unique<std::thread>([state = state_] { run(state); });
    } catch (const std::system_error&) {
      // No thread to be had: the next call tries again, and until then this one ends with its
      // model's answer.
    }
  }
}

void Watchdog::disarm(const Watched* call) noexcept {
  Ref<Watched> removed;  // dropped after the lock
  const std::lock_guard lock(state_->mutex);
  if (const auto at = state_->calls.find(call); at != state_->calls.end())
    removed = state_->remove(at);
}

void Watchdog::cancel(const Watched* call) noexcept {
  const std::lock_guard lock(state_->mutex);
  const auto at = state_->calls.find(call);
  if (at == state_->calls.end()) return;
  state_->cancelled.push_back(state_->remove(at));
  state_->wake();
}

void Watchdog::run(const std::shared_ptr<State>& state) noexcept {
  name_this_thread("vkc-watchdog");
  const IoThreadScope scope;
  std::vector<std::pair<Ref<Watched>, Error>> ended;
  for (;;) {
    const auto seen = state->signal.load(std::memory_order_acquire);
    std::optional<TimePoint> next;
    {
      const std::lock_guard lock(state->mutex);
      if (state->closing) return;
      for (auto& call : state->cancelled)
        ended.emplace_back(std::move(call), error_cancelled_under_way());
      state->cancelled.clear();
      const auto now = TimePoint::clock::now();
      while (!state->deadlines.empty() && state->deadlines.begin()->first <= now) {
        const auto at = state->calls.find(state->deadlines.begin()->second);
        ended.emplace_back(state->remove(at), error_timeout_under_way());
      }
      if (!state->deadlines.empty()) next = state->deadlines.begin()->first;
    }
    if (!ended.empty()) {
      for (auto& [call, error] : ended) state->end(*call, std::move(error));
      ended.clear();
      continue;
    }
    futex_wait(state->signal, seen, next ? &*next : nullptr);
  }
}

void Watchdog::close() noexcept {
  std::vector<Ref<Watched>> left;
  std::unique_ptr<std::thread> thread;
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
    for (auto& [id, entry] : state_->calls) left.push_back(std::move(entry.call));
    state_->calls.clear();
    state_->deadlines.clear();
    thread = std::move(thread_);
    state_->wake();
  }
  for (auto& call : left) state_->end(*call, error_closed());
  left.clear();
  if (thread) {
    // A continuation on the watchdog's thread may have dropped the last CachedLlm.
    if (thread->get_id() == std::this_thread::get_id()) {
      thread->detach();
    } else {
      thread->join();
    }
  }
  // What was cancelled while the thread was ending.
  {
    const std::lock_guard lock(state_->mutex);
    left.swap(state_->cancelled);
  }
  for (auto& call : left) state_->end(*call, error_cancelled_under_way());
}

void Watchdog::leak() {
  // Kept reachable, so that leak checkers see that it is meant.
  struct Kept {
    std::shared_ptr<State> state;
    std::unique_ptr<std::thread> thread;
  };
  static auto& kept = *new std::vector<Kept>;
  static auto& mutex = *new std::mutex;
  const std::lock_guard lock(mutex);
  kept.push_back({state_, std::move(thread_)});
}

}  // namespace detail
}  // namespace valkeycache::inline v0
