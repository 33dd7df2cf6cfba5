// A model whose answers the test gives, when it likes and from any thread.
#pragma once

#include <valkeycache/future.hpp>
#include <valkeycache/llm.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace valkeycache::test {

inline Completion answer_of(std::string text, std::string stop_reason = "end_turn") {
  Completion completion;
  completion.text = std::move(text);
  completion.stop_reason = std::move(stop_reason);
  completion.usage = {.input_tokens = 7, .output_tokens = 11, .total_tokens = 18};
  return completion;
}

class FakeLlm final : public Llm {
 public:
  struct Asked {
    ChatRequest request;
    CallOptions options;
    Promise<Completion> promise;
  };
  // Answers at once, inside complete().
  using Inline = std::function<Future<Completion>(const ChatRequest&, const CallOptions&)>;

  explicit FakeLlm(Inline inline_answer = {}, std::string model = "fake-model")
      : inline_(std::move(inline_answer)), model_(std::move(model)) {}

  static std::shared_ptr<FakeLlm> manual() { return std::make_shared<FakeLlm>(); }
  static std::shared_ptr<FakeLlm> saying(Completion completion) {
    return std::make_shared<FakeLlm>([completion](const ChatRequest&, const CallOptions&) {
      return make_ready_future<Completion>(completion);
    });
  }
  static std::shared_ptr<FakeLlm> failing(Error error) {
    return std::make_shared<FakeLlm>([error](const ChatRequest&, const CallOptions&) {
      return make_ready_future<Completion>(error);
    });
  }

  Future<Completion> complete(const ChatRequest& request, CallOptions options) override {
    Future<Completion> future;
    {
      const std::lock_guard lock(mutex_);
      auto& asked = asked_.emplace_back(Asked{request, options, {}});
      if (!inline_) future = asked.promise.future();
      changed_.notify_all();
    }
    return inline_ ? inline_(request, options) : std::move(future);
  }

  [[nodiscard]] CacheIdentity cache_identity() const override {
    return {.model = model_, .scope = "fake"};
  }

  [[nodiscard]] std::size_t calls() const {
    const std::lock_guard lock(mutex_);
    return asked_.size();
  }
  // False when there were not so many within 10 s.
  [[nodiscard]] bool wait_for_calls(std::size_t count) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10),
                             [&] { return asked_.size() >= count; });
  }
  [[nodiscard]] ChatRequest request(std::size_t index) const {
    const std::lock_guard lock(mutex_);
    return asked_.at(index).request;
  }
  [[nodiscard]] CallOptions options(std::size_t index) const {
    const std::lock_guard lock(mutex_);
    return asked_.at(index).options;
  }
  // The promise of a call, to be set, dropped or kept by the test.
  [[nodiscard]] Promise<Completion> take(std::size_t index) {
    const std::lock_guard lock(mutex_);
    return std::move(asked_.at(index).promise);
  }
  void answer(std::size_t index, Result<Completion> result) { take(index).set(std::move(result)); }

 private:
  const Inline inline_;
  const std::string model_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<Asked> asked_;
};

}  // namespace valkeycache::test
