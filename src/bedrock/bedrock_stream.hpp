// A ConverseStream call's side of the network: what its response's bytes come to.
#pragma once

#include <valkeycache/llm.hpp>
#include <valkeycache/result.hpp>

#include <memory>
#include <optional>
#include <string_view>

#include "bedrock/converse_stream.hpp"
#include "bedrock/event_stream.hpp"
#include "bedrock/http_engine.hpp"
#include "bedrock/service_error.hpp"
#include "bedrock/stream_channel.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Lives through all attempts of its call. end() is for any thread; the rest belongs to the
// client's.
class BedrockStream final : public HttpSink {
 public:
  explicit BedrockStream(std::shared_ptr<StreamChannel> channel);

  // What is known of an earlier attempt is forgotten.
  HttpSink* begin_attempt();
  Verdict take(const HttpResponse& head, std::string_view bytes) override;

  // An event is on its way to the handler.
  [[nodiscard]] bool begun() const noexcept { return begun_; }
  // messageStop was seen: whatever becomes of the exchange, there is an answer.
  [[nodiscard]] bool whole() const noexcept { return assembler_ && assembler_->whole(); }
  // Why take() said `stop`.
  [[nodiscard]] ServiceError failure() const;
  // After the last byte of a 200 response: the answer, or why there is none.
  Result<Completion> finish(const HttpResponse& head);
  // The same where whole().
  Result<Completion> finish() { return assembler_->finish(); }

  void end(Result<Completion> result) { channel_->end(std::move(result)); }

 private:
  bool accept_head(const HttpResponse& head);
  void fail(const HttpResponse& head, std::string_view what);

  const std::shared_ptr<StreamChannel> channel_;
  EventStreamDecoder decoder_;
  std::optional<ConverseStreamAssembler> assembler_;
  std::optional<ServiceError> failure_;
  bool begun_ = false;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
