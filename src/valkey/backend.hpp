// Backend: what is driven on behalf of a cache. One connection, or a store in this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/errors.hpp"
#include "valkey/command.hpp"
#include "valkey/poller.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class NearTier;

// Of one thread at a time, whoever holds the helm, except where noted.
class Backend {
 public:
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  virtual void accept(Ref<Command> command) = 0;
  // Ends the command with ErrorCode::cancelled unless it is done.
  virtual void cancel(Command& command) = 0;

  // Does what can be done without waiting.
  virtual void drive(SteadyTime now, Poller::Ready ready) = 0;
  // True while calls can be carried on by a thread that waits for one.
  [[nodiscard]] virtual bool steerable() const { return false; }
  // While steerable: sends what has been accepted, when that is worth a system call of its own.
  virtual void send_early() {}
  // While steerable: there is nothing to do but wait for replies.
  [[nodiscard]] virtual bool owes_replies() const { return false; }
  // Then: takes in those that have come. True: some have, or the connection is lost.
  virtual bool take_replies() { return false; }
  // While steerable: sleeps for a few milliseconds at most until replies come, and takes them in.
  // False when none have come.
  virtual bool await_replies() { return false; }
  // When drive() is needed next, whatever happens.
  [[nodiscard]] virtual std::optional<SteadyTime> next_time() const = 0;

  // Publishes the commands that are done.
  virtual void publish() = 0;

  // No more commands will come; what is not a store ends with ErrorCode::closed.
  virtual void begin_closing() = 0;
  // Everything ends with ErrorCode::closed.
  virtual void finish_closing() = 0;
  // Nothing is under way.
  [[nodiscard]] virtual bool idle() const = 0;

  // Marks a point in the order of stores, and tells whether all before it are done.
  virtual std::uint64_t mark_stores() = 0;
  [[nodiscard]] virtual bool stores_done(std::uint64_t mark) const = 0;

  struct Load {
    std::size_t commands = 0;
    std::size_t bytes = 0;
  };
  [[nodiscard]] virtual Load load() const = 0;

  // The near cache, where there is one; the same for the backend's whole life.
  [[nodiscard]] virtual NearTier* near() noexcept { return nullptr; }

  // From any thread.
  [[nodiscard]] virtual bool connected() const noexcept = 0;
  [[nodiscard]] virtual int protocol() const noexcept = 0;

 protected:
  Backend() = default;
};

// What calls learn whose cache is going away.
inline Error error_cache_forked() {
  return {.code = ErrorCode::forked,
          .message = "this cache was opened before fork(); open another one in the child"};
}
inline Error error_cache_closed() {
  return {.code = ErrorCode::closed, .message = "the cache was closed before the call ended"};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
