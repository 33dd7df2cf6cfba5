// Bedrock as a process of the simulation asks it: each call is noted.
#pragma once

#include <valkeycache/llm.hpp>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "simulation_plan.hpp"
#include "simulation_report.hpp"

namespace valkeycache::test {

class NotedModel final : public Llm {
 public:
  explicit NotedModel(std::shared_ptr<Llm> model) : model_(std::move(model)) {}

  Future<Completion> complete(const ChatRequest& request, CallOptions options) override {
    const auto call = begin(request);
    return noted(call, model_->complete(request, std::move(options)));
  }
  Future<Completion> stream(const ChatRequest& request, StreamHandler on_event,
                            CallOptions options) override {
    const auto call = begin(request);
    return noted(call, model_->stream(request, std::move(on_event), std::move(options)));
  }
  [[nodiscard]] CacheIdentity cache_identity() const override { return model_->cache_identity(); }

  // Those that have ended.
  [[nodiscard]] std::vector<ModelCall> calls() const {
    const std::lock_guard lock(notes_->mutex);
    return notes_->calls;
  }

 private:
  struct Notes {
    std::mutex mutex;
    std::vector<ModelCall> calls;
  };

  static ModelCall begin(const ChatRequest& request) {
    return {.question = simulation::question_of(request.as_triple().value().prompt),
            .begin_us = simulation::now_us()};
  }
  Future<Completion> noted(ModelCall call, Future<Completion> completion) {
    return completion.then(
        [notes = notes_, call](Result<Completion> result) mutable -> Result<Completion> {
          call.end_us = simulation::now_us();
          if (result) {
            call.request_id = result->request_id;
            call.input_tokens = result->usage.input_tokens;
            call.output_tokens = result->usage.output_tokens;
          } else {
            call.error = to_string(result.error().code);
          }
          const std::lock_guard lock(notes->mutex);
          notes->calls.push_back(std::move(call));
          return result;
        });
  }

  const std::shared_ptr<Llm> model_;
  const std::shared_ptr<Notes> notes_ = std::make_shared<Notes>();
};

}  // namespace valkeycache::test
