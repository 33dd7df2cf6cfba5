#include <valkeycache/cached_llm.hpp>

#include <utility>

#include "cached/call.hpp"
#include "cached/core.hpp"

namespace valkeycache::inline v0 {

namespace {

Error moved_from() {
  return {.code = ErrorCode::closed, .message = "this CachedLlm was moved from"};
}

Result<CacheKey> key_in(Result<detail::PreparedRequest> prepared) {
  if (!prepared) return std::move(prepared).error();
  return std::move(prepared->key);
}

}  // namespace

const char* to_string(AnswerSource source) noexcept {
  switch (source) {
    case AnswerSource::near:
      return "near";
    case AnswerSource::valkey:
      return "valkey";
    case AnswerSource::model:
      return "model";
    case AnswerSource::shared:
      return "shared";
    case AnswerSource::stale:
      return "stale";
    case AnswerSource::bypass:
      return "bypass";
  }
  return "unknown";
}

const char* to_string(CacheStatus status) noexcept {
  switch (status) {
    case CacheStatus::hit:
      return "hit";
    case CacheStatus::miss:
      return "miss";
    case CacheStatus::bypass:
      return "bypass";
    case CacheStatus::error:
      return "error";
  }
  return "unknown";
}

const char* to_string(BypassReason reason) noexcept {
  switch (reason) {
    case BypassReason::refresh:
      return "refresh";
    case BypassReason::draft_guardrail:
      return "draft_guardrail";
    case BypassReason::s3_input:
      return "s3_input";
    case BypassReason::unversioned_prompt:
      return "unversioned_prompt";
    case BypassReason::not_deterministic:
      return "not_deterministic";
  }
  return "unknown";
}

CachedLlm::CachedLlm(ValkeyCache cache, std::shared_ptr<Llm> model, CachedLlmOptions options)
    : core_(std::make_shared<detail::CachedLlmCore>(std::move(cache), std::move(model),
                                                    std::move(options))) {}

Future<CachedAnswer> CachedLlm::ask(std::string_view prompt, AskOptions options) const {
  if (!core_) return make_ready_future<CachedAnswer>(moved_from());
  return detail::Call::start(core_, prompt, std::move(options));
}

Future<CachedAnswer> CachedLlm::ask(const ChatRequest& request, AskOptions options) const {
  if (!core_) return make_ready_future<CachedAnswer>(moved_from());
  return detail::Call::start(core_, request, std::move(options));
}

Future<CachedAnswer> CachedLlm::stream(const ChatRequest& request, StreamHandler on_event,
                                       AskOptions options) const {
  if (!core_) return make_ready_future<CachedAnswer>(moved_from());
  if (request.is_invoke()) {
    return make_ready_future<CachedAnswer>(
        Error{.code = ErrorCode::unsupported,
              .message = "a request made by ChatRequest::invoke() cannot be streamed"});
  }
  return detail::Call::stream(core_, request, std::move(on_event), std::move(options));
}

Result<CacheKey> CachedLlm::key_of(std::string_view prompt) const {
  if (!core_) return moved_from();
  return key_in(core_->prepare(prompt));
}

Result<CacheKey> CachedLlm::key_of(const ChatRequest& request) const {
  if (!core_) return moved_from();
  return key_in(core_->prepare(request));
}

CachedLlmStats CachedLlm::stats() const {
  return core_ ? core_->stats() : CachedLlmStats{};
}

}  // namespace valkeycache::inline v0
