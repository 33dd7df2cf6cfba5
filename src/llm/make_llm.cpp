#include <valkeycache/llm.hpp>

#include <utility>

#include "llm/blocking_llm.hpp"

namespace valkeycache::inline v0 {
namespace {

using AsyncFunction = std::function<Future<Completion>(const ChatRequest&, CallOptions)>;

class AsyncLlm final : public Llm {
 public:
  AsyncLlm(CacheIdentity identity, AsyncFunction function)
      : identity_(std::move(identity)), function_(std::move(function)) {}

  Future<Completion> complete(const ChatRequest& request, CallOptions options) override {
    if (const Error* error = request.error()) return make_ready_future<Completion>(*error);
    try {
      return function_(request, std::move(options));
    } catch (...) {
      return make_ready_future<Completion>(detail::error_callback_failed());
    }
  }
  [[nodiscard]] CacheIdentity cache_identity() const override { return identity_; }

 private:
  const CacheIdentity identity_;
  const AsyncFunction function_;
};

}  // namespace

std::shared_ptr<Llm> make_llm(CacheIdentity identity,
                              std::function<Result<Completion>(const ChatRequest&)> function) {
  return std::make_shared<detail::BlockingLlm>(std::move(identity), std::move(function));
}

std::shared_ptr<Llm> make_text_llm(CacheIdentity identity,
                                   std::function<std::string(const ChatRequest&)> function) {
  return make_llm(
      std::move(identity), [function = std::move(function)](const ChatRequest& request) {
        return Result<Completion>(Completion{.text = function(request), .stop_reason = "end_turn"});
      });
}

std::shared_ptr<Llm> make_async_llm(
    CacheIdentity identity,
    std::function<Future<Completion>(const ChatRequest&, CallOptions)> function) {
  return std::make_shared<AsyncLlm>(std::move(identity), std::move(function));
}

}  // namespace valkeycache::inline v0
