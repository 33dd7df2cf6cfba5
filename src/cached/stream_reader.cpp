#include "cached/stream_reader.hpp"

#include <utility>

#include "base/executor.hpp"
#include "cached/call.hpp"
#include "cached/call_errors.hpp"
#include "cached/recording.hpp"
#include "llm/process_instance.hpp"
#include "llm/thread_pool.hpp"

namespace valkeycache::inline v0 {
namespace detail {

namespace {

// One stream's turn on a thread that others share.
constexpr int events_per_turn = 64;

// Apart from the pool of models that block, since a handler may wait for one of those.
struct StreamThreads {
  ThreadPool pool;
};

}  // namespace

// Runs turn() once, or tells that it never will.
class StreamReader::Turn {
 public:
  explicit Turn(std::shared_ptr<StreamReader> reader) noexcept : reader_(std::move(reader)) {}
  Turn(Turn&&) noexcept = default;
  Turn& operator=(Turn&&) = delete;
  ~Turn() {
    if (reader_) reader_->dropped();
  }
  void operator()() { std::exchange(reader_, nullptr)->turn(); }

 private:
  std::shared_ptr<StreamReader> reader_;
};

StreamReader::StreamReader(Ref<Call> call, StreamHandler handler)
    : call_(std::move(call)), handler_(std::move(handler)) {}

StreamReader::~StreamReader() = default;

void StreamReader::attach(const std::shared_ptr<Recording>& recording) {
  {
    const std::lock_guard lock(mutex_);
    if (next_ != 0 || outcome_) return;
    recording_ = recording;
  }
  recording->add(shared_from_this());
}

void StreamReader::wake() {
  {
    const std::lock_guard lock(mutex_);
    if (!call_ || busy_) return;
    busy_ = true;
  }
  post();
}

bool StreamReader::has_heard() const {
  const std::lock_guard lock(mutex_);
  return next_ != 0;
}

void StreamReader::end(Result<CachedAnswer> outcome, bool drop,
                       const std::shared_ptr<Recording>& replay) {
  {
    const std::lock_guard lock(mutex_);
    if (replay && next_ == 0 && (!recording_ || recording_->broken())) recording_ = replay;
    outcome_ = std::move(outcome);
    drop_ = drop;
    if (std::exchange(busy_, true)) return;
  }
  if (drop) {
    turn();
  } else {
    post();
  }
}

void StreamReader::post() {
  const auto call = call_;  // a turn that is run inside may end it
  const auto post_to_threads = [](Task task) {
    // A task that is not taken is dropped.
    process_instance<StreamThreads>().pool.submit(task);
  };
  Task task{Turn(shared_from_this())};
  if (!call->executor()) return post_to_threads(std::move(task));
  give_to(call->executor(), std::move(task), [&](Task refused) {
    call->report_executor();
    if (refused) post_to_threads(std::move(refused));
  });
}

void StreamReader::turn() {
  for (int handled = 0;; ++handled) {
    const StreamEvent* event = nullptr;
    std::shared_ptr<Recording> recording;
    {
      std::unique_lock lock(mutex_);
      const bool silent = drop_ || failed_;
      if (!silent && recording_) event = recording_->at(next_);
      if (!event) {
        if (outcome_) {
          lock.unlock();
          return complete();
        }
        busy_ = false;
        return;
      }
      if (handled == events_per_turn) {
        lock.unlock();
        return post();
      }
      recording = recording_;
      ++next_;
    }
    if (auto error = call_->why_stop()) {
      fail(*std::move(error));
      continue;
    }
    try {
      handler_(*event);
    } catch (...) {
      fail(error_callback_failed());
    }
  }
}

// On the turn's thread. The others of the flight go on.
void StreamReader::fail(Error error) {
  {
    const std::lock_guard lock(mutex_);
    failed_ = error;
  }
  if (!call_->give_up()) return;  // whoever has claimed it brings the outcome
  const std::lock_guard lock(mutex_);
  outcome_ = std::move(error);
}

void StreamReader::dropped() {
  fail(error_abandoned());
  turn();
}

void StreamReader::complete() {
  handler_ = nullptr;
  Ref<Call> call;
  std::optional<Result<CachedAnswer>> result;
  {
    const std::lock_guard lock(mutex_);
    call = std::exchange(call_, {});
    recording_ = nullptr;
    result = failed_ && *outcome_ ? Result<CachedAnswer>(*failed_) : *std::move(outcome_);
  }
  call->told(*std::move(result));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
