#include "valkey/memory_backend.hpp"

#include <algorithm>

#include "base/errors.hpp"

namespace valkeycache::inline v0 {
namespace detail {

void MemoryBackend::fail(Ref<Command>& command, Error error) {
  counters_.errors.add();
  if (error.code == ErrorCode::cancelled) counters_.cancelled.add();
  if (error.code == ErrorCode::timeout) counters_.timeouts.add();
  command->on_error(std::move(error));
  outcomes_.push_back(std::move(command));
}

void MemoryBackend::cancel(Command& command) {
  const auto at = std::find_if(waiting_.begin(), waiting_.end(),
                               [&](const auto& waiting) { return waiting.get() == &command; });
  if (at == waiting_.end()) return;
  fail(*at, error_cancelled());
  waiting_.erase(at);
}

void MemoryBackend::drive(SteadyTime now, Poller::Ready /*ready*/) {
  for (auto& command : waiting_) {
    if (command->deadline <= now) {
      fail(command, {.code = ErrorCode::timeout,
                     .message = "the call's deadline passed before it could be carried out",
                     .retryable = true});
      continue;
    }
    auto reply = store_->execute(command->request);
    if (reply.type == Reply::Type::error) counters_.errors.add();
    static_cast<void>(command->on_reply(std::move(reply), counters_));
    outcomes_.push_back(std::move(command));
  }
  waiting_.clear();
}

void MemoryBackend::publish() {
  for (auto& command : outcomes_) {
    command->unwatch();
    command->publish();
  }
  outcomes_.clear();
}

// Stores were carried out as they came; what waits came too late.
void MemoryBackend::begin_closing() {
  for (auto& command : waiting_) {
    if (command->effect == Command::Effect::store) {
      static_cast<void>(command->on_reply(store_->execute(command->request), counters_));
      outcomes_.push_back(std::move(command));
    } else {
      fail(command, error_cache_closed());
    }
  }
  waiting_.clear();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
