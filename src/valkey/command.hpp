// Command: one request on its way to the server and its reply on the way back.
//
// States: waiting (in a queue, nothing sent) -> in flight (its reply has a slot in the connection's
// order) -> done. Reply, deadline and cancellation are all decided by whoever holds the helm, so
// the first one wins without a race. A command that ends while in flight leaves its slot behind,
// and the reply that arrives for it is discarded: replies never shift.
#pragma once

#include <valkeycache/future.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "base/node_pool.hpp"
#include "valkey/counters.hpp"
#include "valkey/reply.hpp"

namespace valkeycache::inline v0 {
namespace detail {

using SteadyTime = std::chrono::steady_clock::time_point;

class Command;
class Pipeline;

// Who is told that a command's stop_token was triggered.
class CancelSink {
 public:
  virtual void request_cancel(Ref<Command> command) noexcept = 0;

 protected:
  ~CancelSink() = default;
};

class Command {
 public:
  enum class Effect : std::uint8_t {
    none,    // reads: sent again after a lost connection
    change,  // writes: never sent twice
    store,   // writes that flush() and the destructor wait for
  };

  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  virtual void add_ref() noexcept = 0;
  virtual void release() noexcept = 0;

  // Of a command that is answered by several replies, each but the last. Again from the first when
  // it is sent again. False as below.
  [[nodiscard]] virtual bool on_early_reply(Reply&& /*reply*/) { return false; }
  // Exactly one of the two, once, by whoever holds the helm; then publish(), perhaps after others'
  // results were taken in too. The caller keeps a reference meanwhile.
  // on_reply() is false when no such reply can belong to the command: then none that follow can be
  // trusted to belong to theirs.
  [[nodiscard]] virtual bool on_reply(Reply&& reply, Counters& counters) = 0;
  virtual void on_error(Error&& error) = 0;
  virtual void publish() noexcept = 0;

  // Before submission: have `sink` told when the token is triggered.
  void watch(const std::stop_token& token, CancelSink& sink) {
    if (token.stop_possible()) stop_callback_.emplace(token, CancelHook{this, &sink});
  }
  // When it is done; waits for a callback that is running just now.
  void unwatch() noexcept { stop_callback_.reset(); }
  // The token was triggered, perhaps before the command was taken in.
  [[nodiscard]] bool cancel_requested() const noexcept {
    return cancel_requested_.load(std::memory_order_acquire);
  }

  // For those that are used again.
  void reset_command() noexcept {
    request.clear();
    // (Assigning an empty string would leave the memory where it is.)
    if (request.capacity() > longest_kept_request) std::string().swap(request);
    deadline = SteadyTime::max();
    effect = Effect::none;
    times_sent = 0;
    replies = 1;
    slot = no_slot;
    node = 0;
    redirects = 0;
    anew = pinned = internal = false;
    home = nullptr;
    waiting_links = timer_links = {};
    timer_slot = -1;
    is_waiting = in_flight = false;
    cancel_requested_.store(false, std::memory_order_relaxed);
  }

  std::string request;  // encoded
  SteadyTime deadline = SteadyTime::max();
  Effect effect = Effect::none;
  std::uint8_t times_sent = 0;
  std::uint8_t replies =
      1;  // that `request` is answered by; of more, it counts error replies itself

  // Where it goes, when there are many nodes: to the one that serves this slot, or to the node of
  // this number, whatever it serves.
  static constexpr std::uint16_t no_slot = 0xffff;
  std::uint16_t slot = no_slot;
  std::uint8_t redirects = 0;
  std::uint32_t node = 0;
  // Of a question to the backend itself (an empty request): not what it knows, but what servers say
  // from now on.
  bool anew = false;
  bool pinned = false;       // means something on the connection that it was made for only
  bool internal = false;     // the library's own question: its failure is no caller's, nor counted
  Pipeline* home = nullptr;  // the one that it was last added to

  // Links of the pipeline's structures that it stands in.
  struct Links {
    Command* previous = nullptr;
    Command* next = nullptr;
  };
  Links waiting_links;
  Links timer_links;
  std::int32_t timer_slot = -1;  // < 0: in no timer
  bool is_waiting = false;
  bool in_flight = false;
  std::uint64_t reply_slot = 0;
  std::uint64_t store_epoch = 0;  // of a StoreLedger; 0: in none

 protected:
  Command() = default;
  virtual ~Command() = default;

 private:
  static constexpr std::size_t longest_kept_request = 1024;
  struct CancelHook {
    Command* command;
    CancelSink* sink;
    void operator()() const noexcept {
      command->cancel_requested_.store(true, std::memory_order_release);
      sink->request_cancel(Ref<Command>::share(command));
    }
  };
  std::atomic<bool> cancel_requested_{false};
  std::optional<std::stop_callback<CancelHook>> stop_callback_;
};

// A command whose outcome is a Future<T>. Nobody but the pipeline completes it, so it needs no
// claim().
template <class T>
class CommandFuture : public FutureState<T>, public Command {
 public:
  using Decode = Result<T> (*)(Reply&& reply, Counters& counters);

  explicit CommandFuture(Decode decode = nullptr) noexcept : decode_(decode) {}

  void add_ref() noexcept override { FutureCore::add_ref(); }
  void release() noexcept override { FutureCore::release(); }

  bool on_reply(Reply&& reply, Counters& counters) override {
    auto result = decode_(std::move(reply), counters);
    const bool fits = result.has_value() || result.error().code != ErrorCode::protocol_error;
    this->store(std::move(result));
    return fits;
  }
  void on_error(Error&& error) override { this->store(std::move(error)); }
  void publish() noexcept override { FutureCore::publish_kept(); }

 protected:
  Decode decode_;
};

// One that is used again, with its memory and its request's.
template <class T>
class PooledCommandFuture final : public CommandFuture<T> {
 public:
  static Ref<PooledCommandFuture> make(typename CommandFuture<T>::Decode decode) {
    auto* node = NodePool<PooledCommandFuture>::take();
    node->decode_ = decode;
    return Ref<PooledCommandFuture>::adopt(node);
  }
  PooledCommandFuture* next_free = nullptr;  // of the pool

 private:
  friend class NodePool<PooledCommandFuture>;
  PooledCommandFuture() = default;
  ~PooledCommandFuture() override = default;
  void destroy() noexcept override {
    this->reset();
    this->reset_command();
    NodePool<PooledCommandFuture>::give(this);
  }
};

// For commands that are part of something larger: a reference count and nothing else.
class CountedCommand : public Command {
 public:
  void add_ref() noexcept final { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept final {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  std::atomic<std::uint32_t> refs_{1};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
