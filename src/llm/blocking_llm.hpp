// A model that is a function which blocks.
#pragma once

#include <valkeycache/llm.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace valkeycache::inline v0 {
namespace detail {

// Calls run on the process's ThreadPool. Destruction ends all calls with ErrorCode::closed and
// waits until their functions have returned, so that what a function refers to may go afterwards;
// not so on a thread of the library's own, which must not wait.
class BlockingLlm final : public Llm {
 public:
  using Function = std::function<Result<Completion>(const ChatRequest&)>;

  BlockingLlm(CacheIdentity identity, Function function);
  BlockingLlm(const BlockingLlm&) = delete;
  BlockingLlm& operator=(const BlockingLlm&) = delete;
  ~BlockingLlm() override;

  Future<Completion> complete(const ChatRequest& request, CallOptions options) override;
  [[nodiscard]] CacheIdentity cache_identity() const override;

 private:
  struct State;
  class Call;

  CacheIdentity identity_;
  std::shared_ptr<State> state_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
