// CacheCore: the shared heart of all copies of one ValkeyCache.
//
// Many threads: each leaves its commands in the inbox, and the I/O thread carries them to the
// backend, many at a time. One thread alone that waits for what it asked: it takes the helm and
// carries its commands itself, which saves two changes of thread per call, while the I/O thread
// only looks in now and then and takes over as soon as another thread, a continuation or an
// idle moment asks for it.
//
// Where the server is near, neither callers that wait nor the I/O thread for their sake fall asleep
// for the moment that an answer takes (base/vigil.hpp).
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/helm.hpp"
#include "base/lone_caller.hpp"
#include "base/vigil.hpp"
#include "valkey/backend.hpp"
#include "valkey/command.hpp"
#include "valkey/counters.hpp"
#include "valkey/poller.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class CacheCore final : public CancelSink,
                        public WaitHelper,
                        public std::enable_shared_from_this<CacheCore> {
 public:
  using MakeBackend =
      std::function<std::unique_ptr<Backend>(const ValkeyCacheOptions&, Poller&, Counters&)>;

  // Of checked options. Starts the thread, which keeps the core alive until it ends.
  static Result<std::shared_ptr<CacheCore>> start(ValkeyCacheOptions options,
                                                  const char* thread_name,
                                                  const MakeBackend& make_backend);
  CacheCore(ValkeyCacheOptions options, const MakeBackend& make_backend);
  ~CacheCore();
  CacheCore(const CacheCore&) = delete;
  CacheCore& operator=(const CacheCore&) = delete;

  // Takes the command over. What cannot be accepted ends at once, on this thread.
  void submit(Ref<Command> command, const std::stop_token& token);
  void request_cancel(Ref<Command> command) noexcept override;
  void help(FutureCore& future, const SteadyTime* deadline) noexcept override;
  void helped() noexcept override;
  void go_on_alone() noexcept override;
  Future<void> flush(std::chrono::milliseconds timeout);

  // The last handle goes: no more commands, stores get their time, the thread ends. Waits for that,
  // unless this is the thread itself.
  void close() noexcept;

  // When a call made now with these options has to be over.
  [[nodiscard]] SteadyTime deadline_for(const CallOptions& options) const;
  // True in the child of a fork() that the core was made before.
  [[nodiscard]] bool forked() const noexcept;

  [[nodiscard]] const ValkeyCacheOptions& options() const noexcept { return options_; }
  // Keeps the core's memory too, so that a future can ask it for help.
  [[nodiscard]] std::shared_ptr<const CallbackContext> context() const {
    return {shared_from_this(), &context_};
  }
  // Keys live on different servers, so a command can name but one.
  [[nodiscard]] bool sharded() const noexcept { return options_.deployment == Deployment::cluster; }
  [[nodiscard]] Counters& counters() noexcept { return counters_; }
  [[nodiscard]] bool connected() const noexcept { return backend_->connected(); }
  // Null where there is none, and in the child of a fork(), where its locks may be held for ever.
  [[nodiscard]] NearTier* near() const noexcept { return near_ && !forked() ? near_ : nullptr; }
  [[nodiscard]] ValkeyCacheStats stats() const;

 private:
  struct Flush {
    Promise<void> promise;
    SteadyTime deadline;
    std::uint64_t mark = 0;
  };
  // What other threads leave for the I/O thread; swapped out whole.
  struct Inbox {
    std::vector<Ref<Command>> commands;
    std::vector<Ref<Command>> cancels;
    std::vector<Flush> flushes;
    KeepContinuations::Kept continuations;
    std::size_t bytes = 0;
    [[nodiscard]] bool empty() const noexcept {
      return commands.empty() && cancels.empty() && flushes.empty() && continuations.empty();
    }
  };

  // --- of any thread ---
  enum class Verdict : std::uint8_t { accepted, full, closed };
  // Into the backend, when the calling thread may take the helm; nothing otherwise.
  std::optional<Verdict> submit_at_helm(Ref<Command>& command) noexcept;
  Verdict submit_to_inbox(Ref<Command>& command);
  [[nodiscard]] bool over_limits(Backend::Load load, std::size_t bytes) const noexcept;

  // Carries the work on until the future is ready, or somebody else has to. False: it was not to.
  bool steer(FutureCore& future, const SteadyTime* deadline) noexcept;

  // --- of whoever holds the helm ---
  // Does what can be done now. True when the cache is to be closed.
  bool turn(SteadyTime now, Poller::Ready ready);
  bool take_inbox();
  void tell_load();
  void settle_flushes(SteadyTime now);
  // True when one may sleep: nothing new has come, and what will come wakes.
  bool declare_asleep();
  [[nodiscard]] std::optional<SteadyTime> next_time() const;

  // --- of the I/O thread ---
  void run(const char* thread_name) noexcept;
  // Without the helm: awake while callers are, until there is something to do or the time has come.
  // It may take a wake-up that was meant for a turn: one has to follow before anybody sleeps.
  Poller::Ready stay_awake(SteadyTime until) noexcept;
  // Takes the helm; false when a caller steers who can do without us.
  bool take_helm();
  // On the calling thread.
  static void reject(Command& command, Error error);

  const ValkeyCacheOptions options_;
  const CallbackContext context_;
  const std::uint64_t fork_generation_;
  Counters counters_;
  Poller poller_;
  std::unique_ptr<Backend> backend_;
  NearTier* const near_;
  std::thread thread_;

  mutable std::mutex mutex_;
  Inbox inbox_;
  Backend::Load taken_;  // what the backend held when last told
  bool asleep_ = false;
  bool closing_ = false;
  // There is something in the inbox; a hint for those who do not hold the lock.
  std::atomic<bool> inbox_filled_{false};

  LoneCaller callers_{32};  // calls in a row
  Vigil vigil_;
  Vigil vigil_at_helm_;

  Helm helm_;
  // Callers that wait carry the work on, and the I/O thread stays out of their way. Changed under
  // the helm.
  std::atomic<bool> callers_steer_{false};
  // The I/O thread is to take over.
  std::atomic<bool> take_over_{false};
  // The I/O thread sleeps, or is about to, in front of the connection, as it does while nobody
  // steers.
  std::atomic<bool> watching_{false};

  // Under the helm.
  std::uint64_t turns_of_callers_ = 0;  // of those who wait; who only asks does not read
  Inbox taken_inbox_;
  std::vector<Flush> flushes_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
