// CacheCore: the shared heart of all copies of one ValkeyCache. A queue that any thread puts
// commands into, and an I/O thread that carries them to a backend.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "valkey/backend.hpp"
#include "valkey/command.hpp"
#include "valkey/counters.hpp"
#include "valkey/poller.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class CacheCore final : public CancelSink, public std::enable_shared_from_this<CacheCore> {
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
  Future<void> flush(std::chrono::milliseconds timeout);

  // The last handle goes: no more commands, stores get their time, the thread ends. Waits for that,
  // unless this is the thread itself.
  void close() noexcept;

  // When a call made now with these options has to be over.
  [[nodiscard]] SteadyTime deadline_for(const CallOptions& options) const;
  // True in the child of a fork() that the core was made before.
  [[nodiscard]] bool forked() const noexcept;

  [[nodiscard]] const ValkeyCacheOptions& options() const noexcept { return options_; }
  [[nodiscard]] const std::shared_ptr<const CallbackContext>& context() const noexcept {
    return context_;
  }
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
    std::size_t bytes = 0;
    [[nodiscard]] bool empty() const noexcept {
      return commands.empty() && cancels.empty() && flushes.empty();
    }
  };

  void run(const char* thread_name) noexcept;
  // Hands what has come to the backend. True when nothing more will come.
  bool take_inbox();
  void tell_load();
  void settle_flushes(SteadyTime now);
  // True when the thread may sleep: nothing new has come.
  bool declare_asleep();
  // On the calling thread.
  static void reject(Command& command, Error error);

  const ValkeyCacheOptions options_;
  const std::shared_ptr<const CallbackContext> context_;
  const std::uint64_t fork_generation_;
  Counters counters_;
  Poller poller_;
  std::unique_ptr<Backend> backend_;
  NearTier* const near_;
  std::thread thread_;

  mutable std::mutex mutex_;
  Inbox inbox_;
  Backend::Load taken_;  // what the backend held when the inbox was last taken
  bool asleep_ = false;
  bool closing_ = false;

  // Of the I/O thread.
  Inbox taken_inbox_;
  std::vector<Flush> flushes_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
