// Whether a request says all that decides its answer.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/cached_llm.hpp>

#include <optional>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// arn:aws:bedrock:{region}:{account}:prompt/{id}[:{version}]
bool is_prompt_without_version(std::string_view model) noexcept;

// What the request names that can change behind its name, so that an entry could outlive what it
// was made of: a guardrail's DRAFT, a file in S3, a prompt's ARN without a version. `model` is the
// one that is asked.
std::optional<BypassReason> why_unpinned(const CacheKey& key, std::string_view model) noexcept;

// Whether it says that its temperature is 0; of an InvokeModel body in a member of its own or of
// one of its members.
bool is_deterministic(const ChatRequest& request);

}  // namespace detail
}  // namespace valkeycache::inline v0
