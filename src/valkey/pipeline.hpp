// Pipeline: the commands of one connection, in order, and the matching of replies to them.
//
// Sans-I/O: fed with commands, bytes and a clock, it says what to send and which commands are done.
// One reply slot per command that was sent stays in order whatever becomes of the command, so a
// deadline, a cancellation or an abandoned future never shifts the replies of others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ring_queue.hpp"
#include "valkey/command.hpp"
#include "valkey/counters.hpp"
#include "valkey/near_feed.hpp"
#include "valkey/reply.hpp"
#include "valkey/store_ledger.hpp"
#include "valkey/timer_wheel.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What a connection that is one of many shares with the others.
class ErrorFilter {
 public:
  // True: the error reply says to ask elsewhere or later, and the filter has taken the command over
  // in order to do so.
  virtual bool take(Ref<Command>& command, std::string_view error, void* connection) = 0;
  // True: it is such an error.
  [[nodiscard]] virtual bool takes(std::string_view error) const noexcept = 0;

 protected:
  ~ErrorFilter() = default;
};
struct PipelineTies {
  StoreLedger* stores = nullptr;  // null: its own
  ErrorFilter* filter = nullptr;
  void* connection = nullptr;  // for the filter
};

class Pipeline {
 public:
  // `near`, where there is one, is told of what the server pushes, in the order of its replies.
  Pipeline(ReplyLimits limits, Counters& counters, SteadyTime now, NearFeed* near = nullptr,
           PipelineTies ties = {});
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // --- commands ---
  void add(Ref<Command> command);
  // Ends it with `error` unless it is done already.
  void fail(Command& command, Error error);
  // Gives up all that wait, in their order; they are added somewhere else.
  std::vector<Ref<Command>> take_waiting();
  // Ends every command whose deadline has passed. `not_connected` is what those learn that nothing
  // was sent for; null while there is a connection.
  void expire(SteadyTime now, const Error* not_connected);
  [[nodiscard]] std::optional<SteadyTime> next_deadline() const { return timers_.next(); }

  // --- a connection ---
  // A new one stands: nothing has been sent on it.
  void connected();
  // Its number: no two in this process have the same.
  [[nodiscard]] std::uint64_t connection_number() const noexcept { return connection_number_; }
  // It is gone, for the reason given. Commands whose sending had not begun wait for the next one,
  // and so do reads, once; the others end with the error, which then says that they may have been
  // applied.
  void disconnected(const Error& why);
  // Ends all that wait: nothing will be sent for them.
  void fail_waiting(const Error& error);
  // Likewise, but spares stores.
  void fail_all_but_stores(const Error& error);
  void fail_all(const Error& error);

  // --- bytes ---
  // Of requests that to_send() has not been asked for yet.
  [[nodiscard]] std::size_t waiting_bytes() const { return waiting_bytes_; }
  // What to send next; empty: nothing. Moves waiting commands in flight until there is enough to
  // send. Valid until the next call.
  std::string_view to_send();
  void sent(std::size_t bytes);
  enum class Fed : std::uint8_t { fine, too_large, malformed, unsolicited };
  // After anything but `fine` the connection must be closed.
  Fed feed(std::string_view bytes);

  // --- outcomes ---
  // Publishes the commands that are done, on this thread.
  void publish();
  [[nodiscard]] bool has_outcomes() const { return !outcomes_.empty(); }

  [[nodiscard]] bool idle() const { return live_ == 0; }
  // Commands whose reply is awaited, abandoned ones included.
  [[nodiscard]] std::size_t slots_in_flight() const { return slots_.size(); }
  // Live commands and abandoned slots: what the queue's limit counts.
  [[nodiscard]] std::size_t load() const { return waiting_count_ + slots_.size(); }
  // Bytes of their requests, for the other limit. Grows and shrinks with add and the end of slots.
  [[nodiscard]] std::size_t load_bytes() const { return load_bytes_; }
  [[nodiscard]] bool has_stores() const { return !ties_.stores->empty(); }
  [[nodiscard]] NearFeed* near() const noexcept { return near_; }
  [[nodiscard]] void* connection() const noexcept { return ties_.connection; }

  // The store epoch just closed.
  std::uint64_t close_store_epoch() { return ties_.stores->close_epoch(); }
  // True when every store added in this epoch or an earlier one is done.
  [[nodiscard]] bool stores_done_until(std::uint64_t epoch) const {
    return ties_.stores->done_until(epoch);
  }

 private:
  // The order of replies. Null: the command ended before its reply came.
  struct Slot {
    Ref<Command> command;
    std::uint64_t begins = 0;  // position of its first byte in the stream of requests
    std::size_t bytes = 0;
    std::uint8_t replies = 1;  // still to come
  };
  using WaitingList = CommandList<&Command::waiting_links>;

  void count(const Command& command, ErrorCode code);
  void finish(Command& command);
  void unlink(Command& command);
  void requeue(Ref<Command> command);

  std::uint64_t connection_number_ = 0;
  ReplyLimits limits_;
  Counters& counters_;
  NearFeed* const near_;
  StoreLedger own_stores_;
  PipelineTies ties_;
  std::optional<ReplyReader> reader_;
  TimerWheel timers_;

  WaitingList waiting_;  // owns a reference each
  std::size_t waiting_count_ = 0;
  std::size_t waiting_bytes_ = 0;
  RingQueue<Slot> slots_;
  std::uint64_t first_slot_ = 0;  // number of slots_.front()
  std::size_t load_bytes_ = 0;
  std::size_t live_ = 0;

  std::string out_;
  std::size_t out_sent_ = 0;
  std::uint64_t stream_encoded_ = 0;  // bytes ever put into out_ on this connection
  std::uint64_t stream_sent_ = 0;

  std::vector<Ref<Command>> outcomes_;
  std::vector<Command*> expired_;

  // What the first of several replies to the oldest command was, if it was to be taken.
  std::string early_error_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
