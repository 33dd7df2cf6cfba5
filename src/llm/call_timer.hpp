// Ends calls whose time is up or which their caller cancelled, while what they wait for goes on.
#pragma once

#include <valkeycache/result.hpp>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

class CallTimer;

// What a CallTimer can end. Owned by shared pointers.
class TimedCall : public std::enable_shared_from_this<TimedCall> {
 public:
  TimedCall() = default;
  TimedCall(const TimedCall&) = delete;
  TimedCall& operator=(const TimedCall&) = delete;
  virtual ~TimedCall() = default;
  // Called with no lock held, at most once by the timer.
  virtual void end(Error error) noexcept = 0;

 private:
  friend class CallTimer;
  using TimePoint = std::chrono::steady_clock::time_point;
  using Deadlines = std::multimap<TimePoint, std::shared_ptr<TimedCall>>;
  struct Cancel {
    TimedCall* call;
    void operator()() const noexcept;
  };

  CallTimer* timer_ = nullptr;
  // Guarded by the timer's mutex.
  std::optional<Deadlines::iterator> deadline_ = {};
  bool armed_ = false;
  // Last, so that it goes first: it waits for a Cancel that is under way.
  std::optional<std::stop_callback<Cancel>> on_stop_ = {};
};

// Get it by process_instance<CallTimer>(). Its one thread starts with the first call; continuations
// of the calls that it ends run there. (A cancelled call must not go on inside request_stop(),
// under whatever locks its caller holds.) Thread-safe.
class CallTimer {
 public:
  CallTimer() = default;
  CallTimer(const CallTimer&) = delete;
  CallTimer& operator=(const CallTimer&) = delete;

  // From now until disarm(); once for each call, before anybody else may end it. Without a thread
  // to be had, nothing is watched.
  void arm(const std::shared_ptr<TimedCall>& call,
           std::optional<std::chrono::steady_clock::time_point> deadline,
           const std::stop_token& stop);
  void disarm(TimedCall& call) noexcept;

 private:
  friend class TimedCall;
  void cancel(TimedCall& call) noexcept;
  void run() noexcept;

  std::mutex mutex_;
  std::condition_variable changed_;
  TimedCall::Deadlines deadlines_;
  std::vector<std::shared_ptr<TimedCall>> cancelled_;
  bool running_ = false;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
