#include "bedrock/bedrock_stream.hpp"

#include <string>
#include <utility>
#include <vector>

#include "bedrock/converse_parts.hpp"

namespace valkeycache::inline v0 {
namespace detail {

BedrockStream::BedrockStream(std::shared_ptr<StreamChannel> channel)
    : channel_(std::move(channel)) {}

HttpSink* BedrockStream::begin_attempt() {
  decoder_ = EventStreamDecoder();
  assembler_.reset();
  failure_.reset();
  return this;
}

void BedrockStream::fail(const HttpResponse& head, std::string_view what) {
  failure_ =
      ServiceError{.error = {.code = ErrorCode::invalid_response,
                             .message = "Bedrock's stream is not usable: " + std::string(what),
                             .maybe_applied = true,
                             .http_status = head.status,
                             .request_id = clean_request_id(head.request_id)},
                   .retry = RetryKind::never};
}

bool BedrockStream::accept_head(const HttpResponse& head) {
  if (assembler_) return true;
  if (!head.error_type.empty()) {
    fail(head, "it carries an error type");
    return false;
  }
  if (!is_media_type(head.content_type, "application/vnd.amazon.eventstream")) {
    fail(head, "its content type is not application/vnd.amazon.eventstream");
    return false;
  }
  assembler_.emplace(clean_request_id(head.request_id));
  return true;
}

HttpSink::Verdict BedrockStream::take(const HttpResponse& head, std::string_view bytes) {
  if (!channel_->has_room()) return Verdict::wait;
  if (!accept_head(head)) return Verdict::stop;
  std::vector<StreamEvent> events;
  EventStreamMessage message;
  while (!failure_ && decoder_.next(bytes, message)) failure_ = assembler_->take(message, events);
  if (decoder_.fault() != EventStreamFault::none) fail(head, describe(decoder_.fault()));
  begun_ = begun_ || !events.empty();
  channel_->push(std::move(events));
  return failure_ ? Verdict::stop : Verdict::taken;
}

ServiceError BedrockStream::failure() const {
  if (failure_) return *failure_;
  return {.error = {.code = ErrorCode::overloaded,
                    .message = "there is not enough memory for the stream",
                    .retryable = true,
                    .maybe_applied = true},
          .retry = RetryKind::never};
}

Result<Completion> BedrockStream::finish(const HttpResponse& head) {
  if (!accept_head(head)) return failure_->error;
  return assembler_->finish();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
