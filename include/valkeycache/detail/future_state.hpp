// The shared state behind Future<T>: one reference-counted object, completed once, consumed once.
#pragma once

#include <valkeycache/hooks.hpp>
#include <valkeycache/result.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

// How many fork()s lie between the process in which this was first called and this one. An object
// that owns a thread or a socket remembers the value it was made under; another value later means
// that the thread is not here and that the socket is the parent's. Async-signal-safe after its
// first call, never blocks. (Not getpid(): process ids are used again.)
VALKEYCACHE_API std::uint64_t fork_generation() noexcept;

// Where continuations run and where their failures are told; shared by all futures of a client.
struct CallbackContext {
  Executor executor = {};
  LogHook log = {};
  // Another one later means that whoever would complete the futures is in the parent.
  std::uint64_t generation = fork_generation();
};

// An owning pointer to an object that counts its own references.
template <class T>
class Ref {
 public:
  Ref() noexcept = default;
  // Takes over one reference.
  static Ref adopt(T* object) noexcept {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  static Ref share(T* object) noexcept {
    if (object) object->add_ref();
    return adopt(object);
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class U>
  requires std::is_convertible_v<U*, T*> Ref(Ref<U>&& other)
  noexcept : object_(other.detach()) {}
  Ref(const Ref& other) noexcept : object_(other.object_) {
    if (object_) object_->add_ref();
  }
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_) object_->release();
  }
  [[nodiscard]] T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  // Gives the reference away.
  T* detach() noexcept { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

class FutureCore;

// Whoever can carry a future's work on with the thread that waits for it, instead of having it
// sleep until another thread has done so.
class WaitHelper {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  // Works for `future` on the calling thread until it is ready, the deadline has passed, or this
  // thread is of no use. The caller looks, and sleeps if need be.
  virtual void help(FutureCore& future, const TimePoint* deadline) noexcept = 0;
  // A future that help() works for was completed: it need go on no longer.
  virtual void helped() noexcept = 0;
  // Somebody wants the result who will not wait for it: it must come without their help.
  virtual void go_on_alone() noexcept = 0;

 protected:
  ~WaitHelper() = default;
};

class VALKEYCACHE_API FutureCore {
 public:
  using Continuation = UniqueFunction<void(FutureCore&)>;
  using TimePoint = std::chrono::steady_clock::time_point;

  FutureCore() noexcept = default;
  FutureCore(const FutureCore&) = delete;
  FutureCore& operator=(const FutureCore&) = delete;

  void add_ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }

  [[nodiscard]] bool ready() const noexcept {
    return phase_.load(std::memory_order_acquire) == Phase::ready;
  }

  enum class Waited : std::uint8_t { ready, timed_out, would_deadlock, forked };
  // Blocks until ready or, when there is one, until the deadline.
  Waited wait(const TimePoint* deadline) noexcept;
  // By a helper, before it works for this future. False when it is ready.
  [[nodiscard]] bool begin_help() noexcept {
    // From waited_for too, which an earlier wait that timed out may have left.
    auto phase = phase_.load(std::memory_order_acquire);
    while (phase != Phase::ready) {
      if (phase_.compare_exchange_weak(phase, Phase::helped, std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
        return true;
      }
    }
    return false;
  }
  // The answer to ready() by somebody who may ask again and again.
  [[nodiscard]] bool poll() const noexcept {
    if (ready()) return true;
    if (helper_) helper_->go_on_alone();
    return false;
  }

  // Runs `continuation` once the state is ready. False, with `continuation` untouched, when it
  // already is.
  [[nodiscard]] bool attach(Continuation& continuation) noexcept;
  // The continuation to be attached is a step of the library's own between two futures: it runs
  // where the state is completed, whatever executor the context names. Before attach().
  void continue_inline() noexcept { inline_ = true; }
  // Runs it now, as publish() would: by the executor, else here.
  void dispatch(Continuation continuation) noexcept;

  // Of all who want to complete the state the first one wins.
  [[nodiscard]] bool claim() noexcept {
    return !claimed_.exchange(true, std::memory_order_acq_rel);
  }
  [[nodiscard]] bool claimed() const noexcept { return claimed_.load(std::memory_order_acquire); }
  // After the claimant has stored the result: wakes the waiter or runs the continuation.
  void publish() noexcept {
    // The waiter may consume the state and drop it as soon as it sees `ready`.
    const auto self = Ref<FutureCore>::share(this);
    publish_kept();
  }
  // The same, for a caller who holds a reference meanwhile.
  void publish_kept() noexcept;

  void set_context(std::shared_ptr<const CallbackContext> context) noexcept {
    context_ = std::move(context);
  }
  [[nodiscard]] const std::shared_ptr<const CallbackContext>& context() const noexcept {
    return context_;
  }
  // Before the state is shared. Must live as long as the context does.
  void set_helper(WaitHelper* helper) noexcept { helper_ = helper; }
  [[nodiscard]] WaitHelper* helper() const noexcept { return helper_; }

 protected:
  virtual ~FutureCore();
  // The last reference has gone. Pooled states override it.
  virtual void destroy() noexcept { delete this; }
  // Makes a pooled state as good as new; only while nobody else refers to it.
  void reset() noexcept;

 private:
  enum class Phase : std::uint32_t {
    pending,
    helped,      // a waiter works for it
    waited_for,  // a waiter sleeps
    continued,
    ready
  };

  void run(Continuation& continuation) noexcept;

  std::atomic<std::uint32_t> refs_{1};
  std::atomic<Phase> phase_{Phase::pending};
  std::atomic<bool> claimed_{false};
  bool inline_ = false;
  std::atomic<std::uint32_t> waiter_{0};  // where it sleeps
  WaitHelper* helper_ = nullptr;
  Continuation continuation_;
  std::shared_ptr<const CallbackContext> context_;
};

template <class T>
class FutureState : public FutureCore {
 public:
  // Stores and publishes; false when somebody else was first.
  bool complete(Result<T> result) noexcept {
    if (!claim()) return false;
    store(std::move(result));
    publish();
    return true;
  }
  // For the claimant only: the two halves of complete(), so that many can be published in a batch.
  void store(Result<T> result) noexcept { result_.emplace(std::move(result)); }
  // Once, after ready().
  Result<T> take() noexcept {
    Result<T> result = std::move(*result_);
    result_.reset();
    return result;
  }

 protected:
  void reset() noexcept {
    result_.reset();
    FutureCore::reset();
  }

 private:
  std::optional<Result<T>> result_;
};

// While one lives, what is published on this thread does not run continuations here: they belong to
// the library's own thread, or to an executor, and are kept for it. An inner one goes first.
class VALKEYCACHE_API KeepContinuations {
 public:
  using Kept = std::vector<UniqueFunction<void()>>;
  explicit KeepContinuations(Kept& kept) noexcept;
  ~KeepContinuations();
  KeepContinuations(const KeepContinuations&) = delete;
  KeepContinuations& operator=(const KeepContinuations&) = delete;

 private:
  Kept* const outer_;
};
// Runs it, or keeps it where that is asked for.
VALKEYCACHE_API void run_or_keep(UniqueFunction<void()> work) noexcept;

// True on a thread that completes futures, so that waiting there could never end.
VALKEYCACHE_API bool on_io_thread() noexcept;

VALKEYCACHE_API Error error_consumed();
VALKEYCACHE_API Error error_abandoned();
VALKEYCACHE_API Error error_not_ready();
VALKEYCACHE_API Error error_would_deadlock();
VALKEYCACHE_API Error error_pending_at_fork();
// For a callback of the caller that threw; call it inside a catch block only.
VALKEYCACHE_API Error error_callback_failed();
VALKEYCACHE_API void report(const LogHook& hook, LogLevel level, std::string_view component,
                            std::string_view message) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
