#include "transfer/line_seal.hpp"

#include <utility>

#include "entry/entry_mac.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::string_view purpose = "valkeycache/export-mac/v1\n";

}  // namespace

LineSeal::LineSeal(std::optional<std::string> secret, std::string prefix, std::string id)
    : secret_(std::move(secret)), prefix_(std::move(prefix)), id_(std::move(id)) {}

void LineSeal::seal(std::string& line) const {
  if (!secret_) return;
  append_mac(line, {.secret = *secret_, .wire_key = prefix_, .digest = id_, .purpose = purpose});
}

bool LineSeal::holds(std::string_view line) const {
  return !secret_ ||
         has_valid_mac(
             line, {.secret = *secret_, .wire_key = prefix_, .digest = id_, .purpose = purpose});
}

}  // namespace detail
}  // namespace valkeycache::inline v0
