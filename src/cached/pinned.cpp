#include "cached/pinned.hpp"

#include <string>

#include <nlohmann/json.hpp>

#include "base/number.hpp"
#include "key/key_data.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

bool is_zero(const std::string& number) {
  return parse_number<double>(number) == 0.0;
}

struct Temperatures {
  bool some = false;
  bool all_zero = true;

  void look_at(const nlohmann::json& members) {
    const auto at = members.find("temperature");
    if (at == members.end()) return;
    some = true;
    if (!at->is_number() || at->get<double>() != 0) all_zero = false;
  }
};

}  // namespace

bool is_prompt_without_version(std::string_view model) noexcept {
  constexpr std::string_view before = ":prompt/";
  if (!model.starts_with("arn:")) return false;
  const auto at = model.find(before);
  return at != std::string_view::npos &&
         model.find(':', at + before.size()) == std::string_view::npos;
}

std::optional<BypassReason> why_unpinned(const CacheKey& key, std::string_view model) noexcept {
  if (is_prompt_without_version(model)) return BypassReason::unversioned_prompt;
  if (key.is_simple()) return std::nullopt;
  // Canonical JSON has no blanks, and in its strings every quote is escaped: this finds members.
  const std::string_view hashed = KeyAccess::data(key).content;
  const auto has = [hashed](std::string_view text) {
    return hashed.find(text) != std::string_view::npos;
  };
  if (has(R"("guardrailVersion":"DRAFT")")) return BypassReason::draft_guardrail;
  if (has(R"("source":{"s3Location":)")) return BypassReason::s3_input;
  return std::nullopt;
}

bool is_deterministic(const ChatRequest& request) {
  if (!request.is_invoke()) {
    const auto temperature = request.temperature_text();
    return temperature && is_zero(*temperature);
  }
  // Checked when the request was made; only the temperatures' worth is read.
  const auto body = nlohmann::json::parse(request.to_json(), nullptr, false);
  if (!body.is_object()) return false;
  Temperatures found;
  found.look_at(body);
  for (const auto& member : body) {
    if (member.is_object()) found.look_at(member);
  }
  return found.some && found.all_zero;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
