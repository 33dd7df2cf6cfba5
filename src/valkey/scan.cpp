#include "valkey/scan.hpp"

#include <algorithm>

#include "valkey/decode.hpp"
#include "valkey/glob.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {

SteadyTime step_deadline(const CacheCore& core) {
  const auto& options = core.options();
  return core.deadline_for({.timeout = options.connect_timeout + options.command_timeout * 5});
}

KeyWalk::KeyWalk(CacheCore& core, std::string prefix, std::stop_token token)
    : core_(core),
      prefix_(std::move(prefix)),
      pattern_(glob_escape(prefix_) + "*"),
      token_(std::move(token)) {}

Result<KeyWalk::Page> KeyWalk::decode_page(Reply&& reply, Counters& /*counters*/) {
  if (!is_scan_page(reply)) return reply_error("SCAN", reply);
  Page page{.cursor = std::move(reply.elements[0].text), .keys = {}};
  for (auto& key : reply.elements[1].elements) page.keys.push_back(std::move(key.text));
  return page;
}

Result<KeyWalk::Roster> KeyWalk::decode_roster(Reply&& reply, Counters& /*counters*/) {
  Roster roster;
  const auto& ids = reply.elements;
  roster.version = ids.at(0).integer;
  for (std::size_t i = 1; i < ids.size(); ++i) {
    roster.nodes.push_back(static_cast<std::uint32_t>(ids[i].integer));
  }
  return roster;
}

Result<bool> KeyWalk::begin_pass() {
  if (!core_.sharded()) {
    if (passes_ != 0) return false;
    nodes_ = {0};
  } else {
    // Of the backend itself. What it knows will do to begin with, not to end with.
    auto roster = ask<Roster>(core_, {}, &KeyWalk::decode_roster, step_deadline(core_), token_, 0,
                              passes_ != 0)
                      .get();
    if (!roster) return std::move(roster).error();
    const bool unchanged = roster->version == map_version_ && !again_after_error_;
    if (passes_ != 0 && unchanged) return false;
    if (passes_ >= most_passes || roster->nodes.empty()) {
      return error_slots_kept_moving();
    }
    map_version_ = roster->version;
    nodes_ = std::move(roster->nodes);
  }
  again_after_error_ = false;
  ++passes_;
  count_ = first_scan_count;
  if (!nodes_.empty()) scan("0");
  return true;
}

void KeyWalk::scan(const std::string& cursor) {
  page_ = ask<Page>(
      core_, make_request({"SCAN", cursor, "MATCH", pattern_, "COUNT", std::to_string(count_)}),
      &KeyWalk::decode_page, step_deadline(core_), token_, nodes_.back());
  count_ = std::min(count_ * 2, largest_scan_count);
}

Result<std::optional<std::vector<std::string>>> KeyWalk::next() {
  using Keys = std::optional<std::vector<std::string>>;
  if (nodes_.empty()) {
    auto begun = begin_pass();
    if (!begun) return std::move(begun).error();
    if (!*begun) return Keys();
    if (nodes_.empty()) return Keys(std::in_place);
  }
  auto page = page_.get();
  if (!page) {
    // A node may have gone because its slots have.
    const bool again = core_.sharded() && page.error().retryable && passes_ < most_passes;
    if (!again) return std::move(page).error();
    again_after_error_ = true;
    nodes_.clear();
    return Keys(std::in_place);
  }
  if (page->cursor != "0") {
    scan(page->cursor);
  } else {
    nodes_.pop_back();
    if (!nodes_.empty()) scan("0");
  }
  // SCAN matched the pattern already; a server that did not must not have others' keys shown.
  std::erase_if(page->keys, [&](const auto& key) { return !key.starts_with(prefix_); });
  return Keys(std::move(page->keys));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
