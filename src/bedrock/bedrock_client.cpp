#include <valkeycache/bedrock_client.hpp>

#include <utility>

#include "bedrock/bedrock_core.hpp"
#include "bedrock/converse.hpp"

namespace valkeycache::inline v0 {

BedrockClient::BedrockClient(std::shared_ptr<detail::BedrockCore> core) noexcept
    : core_(std::move(core)) {}
BedrockClient::BedrockClient(const BedrockClient&) = default;
BedrockClient::BedrockClient(BedrockClient&&) noexcept = default;
BedrockClient& BedrockClient::operator=(const BedrockClient&) = default;
BedrockClient& BedrockClient::operator=(BedrockClient&&) noexcept = default;
BedrockClient::~BedrockClient() = default;

Result<BedrockClient> BedrockClient::create(BedrockOptions options) {
  auto core = detail::BedrockCore::create(std::move(options), detail::process_environment());
  if (!core) return std::move(core).error();
  return BedrockClient(*std::move(core));
}

Future<Completion> BedrockClient::complete(const ChatRequest& request, CallOptions options) {
  if (!core_) {
    return make_ready_future<Completion>(
        Error{.code = ErrorCode::closed, .message = "the BedrockClient was moved from"});
  }
  return core_->complete(request, std::move(options));
}

Future<Completion> BedrockClient::invoke(std::string_view model, std::string_view body,
                                         CallOptions options) {
  return complete(ChatRequest::invoke(model, body), std::move(options));
}

Future<Completion> BedrockClient::stream(const ChatRequest& request, StreamHandler on_event,
                                         CallOptions options) {
  if (!core_) {
    return make_ready_future<Completion>(
        Error{.code = ErrorCode::closed, .message = "the BedrockClient was moved from"});
  }
  return core_->stream(request, std::move(on_event), std::move(options));
}

CacheIdentity BedrockClient::cache_identity() const {
  if (!core_) return {};
  const auto& config = core_->config();
  return {.model = config.model,
          .scope = detail::cache_scope(config, detail::converse_operation),
          .invoke_scope = detail::cache_scope(config, detail::invoke_operation)};
}

}  // namespace valkeycache::inline v0
