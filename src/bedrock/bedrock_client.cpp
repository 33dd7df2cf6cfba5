#include <valkeycache/bedrock_client.hpp>

#include <utility>

#include "bedrock/bedrock_core.hpp"

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
  return core_->converse(request, std::move(options));
}

CacheIdentity BedrockClient::cache_identity() const {
  if (!core_) return {};
  return {core_->config().model, detail::cache_scope(core_->config(), "converse")};
}

}  // namespace valkeycache::inline v0
