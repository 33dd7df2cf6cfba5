// What is different for a call whose caller listens.
#include <new>
#include <utility>

#include "cached/call.hpp"
#include "cached/call_errors.hpp"
#include "cached/recording.hpp"
#include "cached/stream_reader.hpp"
#include "llm/completion_events.hpp"

namespace valkeycache::inline v0 {
namespace detail {

Future<CachedAnswer> Call::stream(const std::shared_ptr<CachedLlmCore>& core,
                                  const ChatRequest& request, StreamHandler on_event,
                                  AskOptions options) {
  auto call = Ref<Call>::adopt(new Call(core, std::move(options)));
  if (on_event) call->reader = std::make_shared<StreamReader>(call, std::move(on_event));
  return started(std::move(call), core, request);
}

// What is claimed ends: at once or, where somebody listens, after the last event.
void Call::conclude(Result<CachedAnswer> result,
                    const std::shared_ptr<Recording>& replay) noexcept {
  if (flies_ || watched_) shared_->watchdog.disarm(this);
  if (!reader) return told(std::move(result));
  const bool drop = !result && replay == nullptr && ended_early_;
  reader->end(std::move(result), drop, replay);
}

void Call::told(Result<CachedAnswer> result) noexcept {
  record(std::move(result));
  publish();
}

std::shared_ptr<Recording> Call::replay(const CachedAnswer& answer) {
  if (!recording_) recording_ = replay_of(answer, events_);
  return recording_;
}

std::optional<Error> Call::why_stop() const {
  if (options_.stop_token.stop_requested()) return error_cancelled();
  if (late()) return error_timeout();
  return std::nullopt;
}

bool Call::give_up() noexcept {
  const bool claimed_now = claim();
  if (claimed_now) shared_->watchdog.disarm(this);
  depart();
  return claimed_now;
}

const Executor& Call::executor() const noexcept {
  return shared_->advanced().executor;
}

void Call::report_executor() const noexcept {
  shared_->log(LogLevel::error,
               "the executor threw; a stream's handler runs on a thread of the library's instead");
}

Future<Completion> Call::ask_for_events(Llm& model, CallOptions options) {
  return model.stream(
      request_->request,
      [recording = recording_](const StreamEvent& event) {
        if (!recording->push(event)) throw std::bad_alloc();  // ends the stream
      },
      std::move(options));
}

Result<Completion> Call::heard(Result<Completion> completion) {
  if (completion) {
    if (recording_->empty()) {
      tell_as_events(*completion, [&](const StreamEvent& event) { recording_->push(event); });
    }
    return completion;
  }
  const bool full = recording_->full();
  recording_->break_off();
  if (!full) return completion;
  return error_of(ErrorCode::too_large, "the stream is longer than what may be kept of it");
}

}  // namespace detail
}  // namespace valkeycache::inline v0
