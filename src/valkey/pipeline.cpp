#include "valkey/pipeline.hpp"

#include <atomic>
#include <utility>

namespace valkeycache::inline v0 {
namespace detail {

namespace {

// One send call's worth: more would only wait in the socket's buffer.
constexpr std::size_t send_batch = std::size_t{256} << 10;

Error timed_out(const Command& command) {
  return {.code = ErrorCode::timeout,
          .message = command.in_flight ? "no reply from the server within the call's deadline"
                                       : "the call's deadline passed before it could be sent",
          .retryable = true,
          .maybe_applied = command.in_flight && command.effect != Command::Effect::none};
}

}  // namespace

Pipeline::Pipeline(ReplyLimits limits, Counters& counters, SteadyTime now, NearFeed* near,
                   PipelineTies ties)
    : limits_(limits), counters_(counters), near_(near), ties_(ties), timers_(now) {
  if (!ties_.stores) ties_.stores = &own_stores_;
}

Pipeline::~Pipeline() {
  fail_all({.code = ErrorCode::closed, .message = "the cache is being destroyed"});
  publish();
}

void Pipeline::add(Ref<Command> command) {
  auto* raw = command.detach();
  raw->is_waiting = true;
  waiting_.push_back(raw);
  ++waiting_count_;
  waiting_bytes_ += raw->request.size();
  ++live_;
  load_bytes_ += raw->request.size();
  timers_.add(raw);
  raw->home = this;
  ties_.stores->add(*raw);
}

// Out of every structure; its reply slot, if it has one, stays behind empty.
void Pipeline::unlink(Command& command) {
  timers_.remove(&command);
  if (command.is_waiting) {
    waiting_.remove(&command);
    command.is_waiting = false;
    --waiting_count_;
    waiting_bytes_ -= command.request.size();
    load_bytes_ -= command.request.size();
    outcomes_.push_back(Ref<Command>::adopt(&command));
  } else if (command.in_flight) {
    outcomes_.push_back(std::move(slots_[command.reply_slot - first_slot_].command));
    command.in_flight = false;
  }
}

void Pipeline::finish(Command& command) {
  --live_;
  ties_.stores->done(command);
}

std::vector<Ref<Command>> Pipeline::take_waiting() {
  std::vector<Ref<Command>> taken;
  taken.reserve(waiting_count_);
  while (auto* command = waiting_.front()) {
    if (command->pinned) {
      fail(*command,
           {.code = ErrorCode::connection_lost, .message = "its connection was given up"});
      continue;
    }
    waiting_.remove(command);
    command->is_waiting = false;
    --waiting_count_;
    waiting_bytes_ -= command->request.size();
    load_bytes_ -= command->request.size();
    --live_;
    timers_.remove(command);
    taken.push_back(Ref<Command>::adopt(command));
  }
  return taken;
}

void Pipeline::count(const Command& command, ErrorCode code) {
  if (command.internal) return;
  counters_.errors.add();
  if (code == ErrorCode::timeout) counters_.timeouts.add();
  if (code == ErrorCode::cancelled) counters_.cancelled.add();
}

void Pipeline::fail(Command& command, Error error) {
  if (!command.is_waiting && !command.in_flight) return;
  if (command.in_flight && command.effect != Command::Effect::none) error.maybe_applied = true;
  count(command, error.code);
  command.on_error(std::move(error));
  unlink(command);
  finish(command);
}

void Pipeline::expire(SteadyTime now, const Error* not_connected) {
  timers_.expire(now, expired_);
  for (auto* command : expired_) {
    if (not_connected && !command->in_flight) {
      if (!command->internal) counters_.timeouts.add();
      fail(*command, *not_connected);
    } else {
      fail(*command, timed_out(*command));
    }
  }
  expired_.clear();
}

void Pipeline::connected() {
  static std::atomic<std::uint64_t> numbers{0};
  connection_number_ = numbers.fetch_add(1, std::memory_order_relaxed) + 1;
  reader_.emplace(limits_);
  out_.clear();
  out_sent_ = 0;
  stream_encoded_ = stream_sent_ = 0;
}

void Pipeline::requeue(Ref<Command> command) {
  auto* raw = command.detach();
  raw->in_flight = false;
  raw->is_waiting = true;
  waiting_.push_front(raw);
  ++waiting_count_;
  waiting_bytes_ += raw->request.size();
  load_bytes_ += raw->request.size();
}

void Pipeline::disconnected(const Error& why) {
  reader_.reset();
  early_error_.clear();
  // Backwards, so that pushing to the front keeps the order.
  while (!slots_.empty()) {
    auto slot = slots_.pop_back();
    load_bytes_ -= slot.bytes;
    if (!slot.command) continue;
    auto& command = *slot.command;
    const bool untouched = slot.begins >= stream_sent_;
    if (untouched) {
      --command.times_sent;
      requeue(std::move(slot.command));
    } else if (command.effect == Command::Effect::none && command.times_sent < 2) {
      requeue(std::move(slot.command));
    } else {
      command.in_flight = false;
      timers_.remove(&command);
      Error error = why;
      error.retryable = true;
      error.maybe_applied = command.effect != Command::Effect::none;
      count(command, error.code);
      command.on_error(std::move(error));
      finish(command);
      outcomes_.push_back(std::move(slot.command));
    }
  }
  out_.clear();
  out_sent_ = 0;
  first_slot_ = 0;
}

void Pipeline::fail_waiting(const Error& error) {
  while (auto* command = waiting_.front()) fail(*command, error);
}

void Pipeline::fail_all_but_stores(const Error& error) {
  for (auto* command = waiting_.front(); command != nullptr;) {
    auto* following = WaitingList::next(command);
    if (command->effect != Command::Effect::store) fail(*command, error);
    command = following;
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    auto* command = slots_[i].command.get();
    if (command && command->effect != Command::Effect::store) fail(*command, error);
  }
}

void Pipeline::fail_all(const Error& error) {
  fail_waiting(error);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (auto* command = slots_[i].command.get()) fail(*command, error);
  }
}

std::string_view Pipeline::to_send() {
  if (out_sent_ == out_.size()) {
    out_.clear();
    out_sent_ = 0;
  }
  while (out_.size() - out_sent_ < send_batch) {
    auto* command = waiting_.front();
    if (!command) break;
    waiting_.remove(command);
    --waiting_count_;
    waiting_bytes_ -= command->request.size();
    command->is_waiting = false;
    command->in_flight = true;
    ++command->times_sent;
    command->reply_slot = first_slot_ + slots_.size();
    slots_.push_back(
        {Ref<Command>::adopt(command), stream_encoded_, command->request.size(), command->replies});
    out_ += command->request;
    stream_encoded_ += command->request.size();
  }
  return std::string_view(out_).substr(out_sent_);
}

void Pipeline::sent(std::size_t bytes) {
  out_sent_ += bytes;
  stream_sent_ += bytes;
  counters_.bytes_sent.add(bytes);
  // What is sent would otherwise pile up in front of a server that reads slowly.
  if (out_sent_ > send_batch && out_sent_ * 2 > out_.size()) {
    out_.erase(0, out_sent_);
    out_sent_ = 0;
  }
}

Pipeline::Fed Pipeline::feed(std::string_view bytes) {
  counters_.bytes_received.add(bytes.size());
  reader_->feed(bytes);
  Reply reply;
  for (;;) {
    switch (reader_->next(reply)) {
      case ReplyReader::Next::need_more:
        return Fed::fine;
      case ReplyReader::Next::malformed:
        return Fed::malformed;
      case ReplyReader::Next::too_large:
        // The culprit learns why; for the others the connection is merely lost.
        if (!slots_.empty() && slots_.front().command) {
          fail(*slots_.front().command,
               {.code = ErrorCode::too_large,
                .message = "the server's reply exceeds max_value_bytes or max_reply_bytes"});
        }
        return Fed::too_large;
      case ReplyReader::Next::reply:
        break;
    }
    if (reply.type == Reply::Type::push) {
      if (near_) near_->take_push(reply);
      continue;
    }
    if (slots_.empty()) return Fed::unsolicited;
    if (slots_.front().replies > 1) {
      auto& slot_of_many = slots_.front();
      --slot_of_many.replies;
      if (ties_.filter && reply.type == Reply::Type::error && slot_of_many.command &&
          ties_.filter->takes(reply.text)) {
        early_error_ = std::move(reply.text);
        continue;
      }
      if (!slot_of_many.command || slot_of_many.command->on_early_reply(std::move(reply))) continue;
      fail(*slot_of_many.command,
           {.code = ErrorCode::protocol_error, .message = "the server sent an unexpected reply"});
      return Fed::malformed;
    }
    auto slot = slots_.pop_front();
    ++first_slot_;
    load_bytes_ -= slot.bytes;
    const auto early_error = std::exchange(early_error_, {});
    if (!slot.command) continue;  // ended before; this was its reply
    auto& command = *slot.command;
    command.in_flight = false;
    timers_.remove(&command);
    if (ties_.filter && (!early_error.empty() || reply.type == Reply::Type::error)) {
      if (early_error.empty() ? command.replies == 1 &&
                                    ties_.filter->take(slot.command, reply.text, ties_.connection)
                              : ties_.filter->take(slot.command, early_error, ties_.connection)) {
        --live_;
        continue;
      }
      if (!early_error.empty()) {
        reply = {.type = Reply::Type::error, .text = early_error};
        (void)command.on_early_reply(Reply(reply));
      }
    }
    if (reply.type == Reply::Type::error && command.replies == 1 && !command.internal) {
      counters_.errors.add();
    }
    const bool fits = command.on_reply(std::move(reply), counters_);
    finish(command);
    outcomes_.push_back(std::move(slot.command));
    if (!fits) return Fed::malformed;
  }
}

void Pipeline::publish() {
  // A continuation may bring about further outcomes only through the submission queue, not here.
  for (auto& command : outcomes_) {
    command->unwatch();
    command->publish();
  }
  outcomes_.clear();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
