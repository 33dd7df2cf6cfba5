#include "cached/pinned.hpp"

#include "key/key_data.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// arn:aws:bedrock:{region}:{account}:prompt/{id}[:{version}]
bool is_prompt_without_version(std::string_view model) noexcept {
  constexpr std::string_view before = ":prompt/";
  if (!model.starts_with("arn:")) return false;
  const auto at = model.find(before);
  return at != std::string_view::npos &&
         model.find(':', at + before.size()) == std::string_view::npos;
}

}  // namespace

bool is_pinned(const CacheKey& key, std::string_view model) noexcept {
  if (is_prompt_without_version(model)) return false;
  if (key.is_simple()) return true;
  // Canonical JSON has no blanks, and in its strings every quote is escaped: this finds members.
  const std::string_view hashed = KeyAccess::data(key).content;
  return hashed.find(R"("guardrailVersion":"DRAFT")") == std::string_view::npos &&
         hashed.find(R"("source":{"s3Location":)") == std::string_view::npos;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
