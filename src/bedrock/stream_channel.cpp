#include "bedrock/stream_channel.hpp"

#include <utility>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// One stream's turn on a thread that others share.
constexpr int events_per_turn = 64;

Error stopped_error() {
  return {.code = ErrorCode::cancelled,
          .message = "the stream was stopped by its stop_token",
          .maybe_applied = true};
}

Error closed_error() {
  return {.code = ErrorCode::closed,
          .message = "the BedrockClient was destroyed before the stream was handled",
          .maybe_applied = true};
}

// The call itself was ended; nobody wants the rest.
bool drops_the_rest(const Result<Completion>& result) noexcept {
  if (result) return false;
  const auto code = result.error().code;
  return code == ErrorCode::cancelled || code == ErrorCode::timeout || code == ErrorCode::closed;
}

}  // namespace

// Runs drain() once, or tells the channel that it never will.
class StreamChannel::Turn {
 public:
  explicit Turn(std::shared_ptr<StreamChannel> channel) noexcept : channel_(std::move(channel)) {}
  Turn(Turn&&) noexcept = default;
  Turn& operator=(Turn&&) = delete;
  ~Turn() {
    if (channel_) channel_->dropped();
  }
  void operator()() { std::exchange(channel_, nullptr)->drain(); }

 private:
  std::shared_ptr<StreamChannel> channel_;
};

StreamChannel::StreamChannel(Setup setup)
    : promise_(std::move(setup.promise)),
      handler_(std::move(setup.handler)),
      stop_(std::move(setup.stop)),
      delivery_(std::move(setup.delivery)),
      on_room_(std::move(setup.on_room)),
      on_give_up_(std::move(setup.on_give_up)) {}

StreamChannel::~StreamChannel() = default;

std::size_t StreamChannel::size_of(const StreamEvent& event) noexcept {
  return sizeof event + event.text.size() + event.json.size();
}

bool StreamChannel::has_room() {
  const std::lock_guard lock(mutex_);
  // A channel that has failed swallows what comes until the exchange has ended.
  const bool room = failure_ || bytes_ < max_queued_bytes;
  waiting_for_room_ = !room;
  return room;
}

std::size_t StreamChannel::queued_bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void StreamChannel::push(std::vector<StreamEvent> events) {
  if (events.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    if (failure_) return;
    for (auto& event : events) {
      bytes_ += size_of(event);
      events_.push_back(std::move(event));
    }
    if (std::exchange(scheduled_, true)) return;
  }
  schedule();
}

void StreamChannel::end(Result<Completion> result) {
  bool homeless = false;
  {
    const std::lock_guard lock(mutex_);
    if (drops_the_rest(result)) {
      events_.clear();
      bytes_ = 0;
    }
    last_ = std::move(result);
    if (std::exchange(scheduled_, true)) return;
    homeless = homeless_;
  }
  if (homeless) {
    complete();
  } else {
    schedule();
  }
}

void StreamChannel::schedule() {
  delivery_->post(Task(Turn(shared_from_this())));
}

void StreamChannel::drain() {
  for (int handled = 0;; ++handled) {
    StreamEvent event;
    bool room = false;
    {
      std::unique_lock lock(mutex_);
      if (failure_) {
        events_.clear();
        bytes_ = 0;
      }
      if (events_.empty()) {
        if (last_) {
          lock.unlock();
          return complete();
        }
        scheduled_ = false;
        return;
      }
      if (handled == events_per_turn) {
        lock.unlock();
        return schedule();
      }
      event = std::move(events_.front());
      events_.pop_front();
      bytes_ -= size_of(event);
      room = waiting_for_room_ && bytes_ <= max_queued_bytes / 2;
      if (room) waiting_for_room_ = false;
    }
    if (room) on_room_();
    if (stop_.stop_requested()) {
      fail(stopped_error());
    } else if (delivery_->closed()) {
      fail(closed_error());
    } else {
      try {
        handler_(event);
      } catch (...) {
        auto error = error_callback_failed();
        error.maybe_applied = true;
        report(delivery_->context().log, LogLevel::error, "bedrock",
               "the handler of a stream threw; the stream was ended");
        fail(std::move(error));
      }
    }
  }
}

// On the reader's thread.
void StreamChannel::fail(Error error) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(error);
  }
  on_give_up_();
}

// The executor went away with the reader's turn.
void StreamChannel::dropped() {
  bool ended = false;
  std::function<void()> give_up;
  {
    const std::lock_guard lock(mutex_);
    give_up = on_give_up_;
    homeless_ = true;
    events_.clear();
    bytes_ = 0;
    if (!failure_) failure_ = delivery_->closed() ? closed_error() : error_abandoned();
    ended = last_.has_value();
    scheduled_ = ended;
  }
  if (ended) {
    complete();
  } else {
    give_up();
  }
}

// By whoever holds the turn, after end(): nobody else touches the members any more.
void StreamChannel::complete() {
  auto result = failure_ ? Result<Completion>(*std::move(failure_)) : *std::move(last_);
  handler_ = nullptr;
  on_room_ = nullptr;
  on_give_up_ = nullptr;
  promise_.set(std::move(result));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
