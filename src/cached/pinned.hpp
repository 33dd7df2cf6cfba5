// Whether a request says all that decides its answer.
#pragma once

#include <valkeycache/cache_key.hpp>

#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// False where it names something that can change behind its name, so that an entry could outlive
// what it was made of: a guardrail's DRAFT, a file in S3, a prompt's ARN without a version. `model`
// is the one that is asked.
bool is_pinned(const CacheKey& key, std::string_view model) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
