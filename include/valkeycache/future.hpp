// Future<T> and Promise<T>: how every operation that may wait answers.
//
// A future is eager (the work has begun), move-only and one-shot: consume it once, by get(), then()
// or co_await. A dropped future detaches; its work goes on. What comes out is always a Result<T>.
//
// Which thread goes on afterwards:
//   get()              the caller's, which blocks meanwhile
//   then(), co_await   the client's executor where its options name one, else the library's I/O
//                      thread; when the result is there already, at once on the calling thread
//                      (co_await) or as if it arrived just now (then: executor, else calling
//                      thread). A continuation on the I/O thread must not block: everybody's
//                      answers wait behind it, and one that takes over 10 ms is told to the log
//                      hook. One that an executor drops ends its future with
//                      ErrorCode::abandoned.
//
// One future is used by one thread at a time; different futures are independent.
#pragma once

#include <valkeycache/detail/future_state.hpp>
#include <valkeycache/result.hpp>

#include <chrono>
#include <coroutine>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace valkeycache::inline v0 {

template <class T>
class Future;
template <class T>
class Promise;

namespace detail {

template <class T>
struct UnwrapResult {
  using type = T;
};
template <class T>
struct UnwrapResult<Result<T>> {
  using type = T;
};

// Calls f and makes a Result of what it gives: a value, a Result, nothing, or an exception.
template <class U, class F, class... Args>
Result<U> call_into_result(const CallbackContext* context, F& f, Args&&... args) noexcept {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F&, Args...>>) {
      f(std::forward<Args>(args)...);
      return Result<U>();
    } else {
      return Result<U>(f(std::forward<Args>(args)...));
    }
  } catch (...) {
    Error error = error_callback_failed();
    if (context) report(context->log, LogLevel::error, "future", error.message);
    return Result<U>(std::move(error));
  }
}

}  // namespace detail

// Not [[nodiscard]]: dropping one is how a program says that it does not wait.
template <class T>
class Future {
 public:
  using value_type = T;
  struct promise_type;

  // Without a state: valid() is false, get() answers ErrorCode::consumed.
  Future() noexcept = default;
  Future(Future&&) noexcept = default;
  Future& operator=(Future&&) noexcept = default;
  ~Future() = default;

  // There is something to consume.
  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(state_); }
  // get() would not block.
  [[nodiscard]] bool ready() const noexcept { return state_ && state_->poll(); }

  // Blocks until the result is there and consumes the future. On the library's own I/O thread,
  // where that could never happen, it answers ErrorCode::would_deadlock and stays valid. Likewise
  // ErrorCode::forked in the child of a fork() that a client's call was pending at.
  Result<T> get() { return wait_and_take(nullptr); }

  // The same, for at most `timeout`: then ErrorCode::not_ready, and the future stays valid.
  template <class Rep, class Period>
  Result<T> get(std::chrono::duration<Rep, Period> timeout) {
    const auto deadline = detail::FutureCore::TimePoint::clock::now() + clamp(timeout);
    return wait_and_take(&deadline);
  }

  // Consumes the future; f is called once with the Result<T>. What f returns (a value, a Result, or
  // nothing) becomes the returned future. An exception of f becomes ErrorCode::callback_failed
  // there and a log record.
  template <class F>
  requires std::is_invocable_v < std::decay_t<F>
  &, Result < T >> auto then(F&& f) -> Future<typename detail::UnwrapResult<
                       std::decay_t<std::invoke_result_t<std::decay_t<F>&, Result<T>>>>::type>;

  // For `Result<T> r = co_await std::move(future);`.
  auto operator co_await() && noexcept;

 private:
  template <class>
  friend class Future;
  template <class>
  friend class Promise;
  friend struct FutureAccess;
  using State = detail::FutureState<T>;

  explicit Future(detail::Ref<State> state) noexcept : state_(std::move(state)) {}

  template <class Rep, class Period>
  static std::chrono::nanoseconds clamp(std::chrono::duration<Rep, Period> timeout) {
    constexpr std::chrono::hours longest{24 * 365};
    if (timeout >= longest) return longest;
    if (timeout <= std::chrono::duration<Rep, Period>::zero()) return std::chrono::nanoseconds{0};
    return std::chrono::duration_cast<std::chrono::nanoseconds>(timeout);
  }

  Result<T> wait_and_take(const detail::FutureCore::TimePoint* deadline) {
    if (!state_) return detail::error_consumed();
    switch (state_->wait(deadline)) {
      case detail::FutureCore::Waited::timed_out:
        return detail::error_not_ready();
      case detail::FutureCore::Waited::would_deadlock:
        return detail::error_would_deadlock();
      case detail::FutureCore::Waited::forked:
        return detail::error_pending_at_fork();
      case detail::FutureCore::Waited::ready:
        break;
    }
    return std::exchange(state_, {})->take();
  }

  detail::Ref<State> state_;
};

// The other end: whoever implements an asynchronous operation holds it. Thread-safe to hand from
// one thread to another; set() may race with itself and the first one wins.
template <class T>
class Promise {
 public:
  Promise() : state_(detail::Ref<State>::adopt(new State)) {}
  explicit Promise(std::shared_ptr<const detail::CallbackContext> context) : Promise() {
    state_->set_context(std::move(context));
  }
  Promise(Promise&&) noexcept = default;
  Promise& operator=(Promise&& other) noexcept {
    if (this != &other) {
      abandon();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  // Unset: the future ends with ErrorCode::abandoned.
  ~Promise() { abandon(); }

  // Once.
  [[nodiscard]] Future<T> future() { return Future<T>(state_); }
  // False when a result was set before (by another thread).
  bool set(Result<T> result) noexcept { return state_ && state_->complete(std::move(result)); }

 private:
  using State = detail::FutureState<T>;
  void abandon() noexcept {
    if (state_ && !state_->claimed()) state_->complete(detail::error_abandoned());
  }
  detail::Ref<State> state_;
};

// A future that is ready from the start.
template <class T>
Future<T> make_ready_future(Result<T> result) {
  Promise<T> promise;
  promise.set(std::move(result));
  return promise.future();
}

// For code of the library that makes states of its own.
struct FutureAccess {
  template <class T>
  static Future<T> make(detail::Ref<detail::FutureState<T>> state) noexcept {
    return Future<T>(std::move(state));
  }

  // Whoever waits for `outer`, which is ready once `step` and what follows it are, may work for the
  // step. Before `outer` can be waited for; keep what is returned as long as `outer` lives.
  template <class T>
  [[nodiscard]] static std::shared_ptr<const void> pass_help(detail::FutureCore& outer,
                                                             const Future<T>& step) noexcept {
    if (!step.state_) return nullptr;
    outer.set_helper(step.state_->helper());
    return step.state_->context();
  }

  // Whoever waits for it may work for it through this helper, which has to live as long as the
  // promise's context. Before anybody can wait.
  template <class T>
  static void set_helper(const Future<T>& future, detail::WaitHelper* helper) noexcept {
    future.state_->set_helper(helper);
  }

  // then() without a future to follow, past the executor: f(Result<T>) is called once, on the
  // thread that completes the future, or here when it is ready. f must not throw.
  template <class T, class F>
  static void on_ready(Future<T>&& future, F f) {
    auto state = std::exchange(future.state_, {});
    if (!state) {
      f(Result<T>(detail::error_consumed()));
      return;
    }
    state->continue_inline();
    detail::FutureCore::Continuation continuation(
        [f = std::move(f)](detail::FutureCore& core) mutable {
          f(static_cast<detail::FutureState<T>&>(core).take());
        });
    if (!state->attach(continuation)) state->dispatch(std::move(continuation));
  }
};

template <class T>
template <class F>
requires std::is_invocable_v < std::decay_t<F>
&, Result < T >> auto Future<T>::then(F&& f) -> Future<typename detail::UnwrapResult<
                     std::decay_t<std::invoke_result_t<std::decay_t<F>&, Result<T>>>>::type> {
  using U = typename detail::UnwrapResult<
      std::decay_t<std::invoke_result_t<std::decay_t<F>&, Result<T>>>>::type;
  if (!state_) {
    return make_ready_future<U>(
        detail::call_into_result<U>(nullptr, f, Result<T>(detail::error_consumed())));
  }
  auto state = std::exchange(state_, {});
  Promise<U> promise(state->context());
  auto next = promise.future();
  detail::FutureCore::Continuation continuation(
      [f = std::decay_t<F>(std::forward<F>(f)),
       promise = std::move(promise)](detail::FutureCore& core) mutable {
        auto& self = static_cast<State&>(core);
        promise.set(detail::call_into_result<U>(self.context().get(), f, self.take()));
      });
  if (!state->attach(continuation)) state->dispatch(std::move(continuation));
  return next;
}

namespace detail {

// The mark of coroutines that return a Future: they own themselves.
struct FuturePromiseMark {};

// Resumes a coroutine once. One that is dropped unused, by an executor that went away with its
// tasks, destroys the coroutine if that is a Future's (which ends with ErrorCode::abandoned) and
// leaves another kind to its owner.
template <class CoroutinePromise>
class Resume {
 public:
  Resume(std::coroutine_handle<CoroutinePromise> handle, const bool* attached) noexcept
      : handle_(handle), attached_(attached) {}
  Resume(Resume&& other) noexcept
      : handle_(std::exchange(other.handle_, {})), attached_(other.attached_) {}
  Resume& operator=(Resume&&) = delete;
  ~Resume() {
    if constexpr (std::is_base_of_v<FuturePromiseMark, CoroutinePromise>) {
      if (handle_ && *attached_) handle_.destroy();
    }
  }
  void operator()(FutureCore&) { std::exchange(handle_, {}).resume(); }

 private:
  std::coroutine_handle<CoroutinePromise> handle_;
  const bool* attached_;  // in the coroutine's own frame
};

template <class T>
struct FutureAwaiter {
  Ref<FutureState<T>> state;
  bool attached = false;
  [[nodiscard]] bool await_ready() const noexcept { return !state || state->ready(); }
  template <class CoroutinePromise>
  bool await_suspend(std::coroutine_handle<CoroutinePromise> handle) noexcept {
    attached = true;
    FutureCore::Continuation resume(Resume<CoroutinePromise>(handle, &attached));
    if (state->attach(resume)) return true;  // the coroutine may be gone already
    attached = false;
    return false;
  }
  Result<T> await_resume() noexcept { return state ? state->take() : Result<T>(error_consumed()); }
};

}  // namespace detail

template <class T>
auto Future<T>::operator co_await() && noexcept {
  return detail::FutureAwaiter<T>{std::exchange(state_, {})};
}

// A coroutine may itself return a Future: it starts at once, `co_return` gives a value, a Result or
// an Error, and an exception that leaves it becomes ErrorCode::callback_failed.
namespace detail {
template <class T>
struct FuturePromiseBase : FuturePromiseMark {
  Promise<T> promise;
  Future<T> get_return_object() { return promise.future(); }
  std::suspend_never initial_suspend() noexcept { return {}; }
  std::suspend_never final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { promise.set(error_callback_failed()); }
};
// Partial specialisations, so that nothing is instantiated before a coroutine asks for it.
template <class T, bool = std::is_void_v<T>>
struct FuturePromise : FuturePromiseBase<T> {
  void return_value(Result<T> result) noexcept { this->promise.set(std::move(result)); }
};
template <class T>
struct FuturePromise<T, true> : FuturePromiseBase<T> {
  void return_void() noexcept { this->promise.set(Result<void>()); }
};
}  // namespace detail

template <class T>
struct Future<T>::promise_type : detail::FuturePromise<T> {};

}  // namespace valkeycache::inline v0
