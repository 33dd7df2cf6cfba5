// The way of one stream's events from the client's thread to the caller's handler.
#pragma once

#include <valkeycache/future.hpp>
#include <valkeycache/llm.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "bedrock/stream_delivery.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// A bounded queue with one reader, which is a task that StreamDelivery runs while there is
// something to do. The future becomes ready when the handler has returned for the last time and is
// destroyed, so that what the handler refers to may go once the future is ready.
//
// Thread-safe; nothing blocks but the handler.
class StreamChannel : public std::enable_shared_from_this<StreamChannel> {
 public:
  // Events waiting for the handler, by what they take up. The transfer pauses when there is more
  // and goes on at half of it. One network read is never split, so that it may be passed by what a
  // read of 16 KiB makes whole: one message, or many small ones.
  static constexpr std::size_t max_queued_bytes = std::size_t{256} << 10;

  struct Setup {
    Promise<Completion> promise;
    StreamHandler handler;
    std::stop_token stop;
    std::shared_ptr<StreamDelivery> delivery;
    // Called with no lock held, from the thread of the handler: there is room again; and: nothing
    // more is wanted, the exchange shall end (end() follows in any case).
    std::function<void()> on_room;
    std::function<void()> on_give_up;
  };
  explicit StreamChannel(Setup setup);
  ~StreamChannel();
  StreamChannel(const StreamChannel&) = delete;
  StreamChannel& operator=(const StreamChannel&) = delete;

  // False when the queue is full: on_room() will tell when it is not.
  bool has_room();
  void push(std::vector<StreamEvent> events);
  // The last word, once. What waits is handled first, save where the call itself was ended
  // (cancelled, timeout, closed): then it is dropped.
  void end(Result<Completion> result);

  [[nodiscard]] std::size_t queued_bytes() const;
  static std::size_t size_of(const StreamEvent& event) noexcept;

 private:
  class Turn;  // the reader's task

  void schedule();
  void drain();
  void dropped();
  void fail(Error error);
  void complete();

  Promise<Completion> promise_;
  StreamHandler handler_;
  const std::stop_token stop_;
  const std::shared_ptr<StreamDelivery> delivery_;
  std::function<void()> on_room_;
  std::function<void()> on_give_up_;

  mutable std::mutex mutex_;
  std::deque<StreamEvent> events_;
  std::size_t bytes_ = 0;
  bool scheduled_ = false;  // a turn is under way or will be
  bool waiting_for_room_ = false;
  bool homeless_ = false;                   // there is nobody to run the handler
  std::optional<Error> failure_;            // the handler is not called any more
  std::optional<Result<Completion>> last_;  // end() was called
};

}  // namespace detail
}  // namespace valkeycache::inline v0
