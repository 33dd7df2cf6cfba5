#include "entry/entry_mac.hpp"

#include <cstddef>

#include "base/crypto.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::string_view before_mac = R"(,"mac":")";
constexpr std::string_view after_mac = R"("})";
constexpr std::size_t mac_digits = 64;

// Each part with its length before it, so that no two contexts spell the same.
std::string mac_of(std::string_view text, const MacContext& context) {
  HmacSha256 hmac(context.secret);
  hmac.update(context.purpose);
  for (const auto part : {context.wire_key, context.digest, text}) {
    hmac.update(std::to_string(part.size())).update(":").update(part).update(",");
  }
  return hex(hmac.finish());
}

}  // namespace

void append_mac(std::string& json, const MacContext& context) {
  json.pop_back();
  const auto mac = mac_of(json, context);
  json += before_mac;
  json += mac;
  json += after_mac;
}

bool has_valid_mac(std::string_view json, const MacContext& context) {
  constexpr auto tail = before_mac.size() + mac_digits + after_mac.size();
  if (json.size() < tail) return false;
  const auto text = json.substr(0, json.size() - tail);
  const auto rest = json.substr(text.size());
  return rest.substr(0, before_mac.size()) == before_mac &&
         rest.substr(rest.size() - after_mac.size()) == after_mac &&
         equal_constant_time(rest.substr(before_mac.size(), mac_digits), mac_of(text, context));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
