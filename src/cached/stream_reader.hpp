// The way of a recording's events to one caller's handler, at that handler's own pace.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/detail/future_state.hpp>
#include <valkeycache/llm.hpp>

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>

namespace valkeycache::inline v0 {
namespace detail {

class Call;
class Recording;

// Its turns run one after another, on the executor or on a thread of a pool of their own. The call
// ends when the handler has returned for the last time and is destroyed.
class StreamReader : public std::enable_shared_from_this<StreamReader> {
 public:
  StreamReader(Ref<Call> call, StreamHandler handler);
  ~StreamReader();
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;

  // Listens to it from its beginning, unless it has heard something before. Runs nothing.
  void attach(const std::shared_ptr<Recording>& recording);
  // There may be something to hear.
  void wake();
  // By whoever has claimed the call. Before it the rest is told: of the recording that it listens
  // to or, where that is none or broken, of `replay`. Not so where it shall `drop` it.
  void end(Result<CachedAnswer> outcome, bool drop, const std::shared_ptr<Recording>& replay);

  [[nodiscard]] bool has_heard() const;

 private:
  class Turn;
  void post();
  void turn();
  void fail(Error error);
  void dropped();
  void complete();

  mutable std::mutex mutex_;
  Ref<Call> call_;
  StreamHandler handler_;
  std::shared_ptr<Recording> recording_;
  std::size_t next_ = 0;
  bool busy_ = false;  // a turn is under way or will be
  bool drop_ = false;
  std::optional<Error> failed_;  // the handler is not called any more
  std::optional<Result<CachedAnswer>> outcome_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
