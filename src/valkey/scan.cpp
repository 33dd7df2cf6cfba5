#include "valkey/scan.hpp"

#include <algorithm>

#include "valkey/decode.hpp"
#include "valkey/glob.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr int most_errors = 8;   // of pages, in all
constexpr int most_pauses = 10;  // between two passes

}  // namespace

Roster read_roster(const Reply& reply) {
  const auto& parts = reply.elements;
  Roster roster{.version = parts.at(0).integer, .nodes = {}};
  for (std::size_t i = 1; i + 1 < parts.size(); i += 2) {
    roster.nodes.push_back(
        {.id = static_cast<std::uint32_t>(parts[i].integer), .gained = parts[i + 1].integer});
  }
  return roster;
}

ScanPlan::Step ScanPlan::heard(const Roster& roster, SteadyTime now, SteadyTime limit) {
  begun_ = true;
  version_ = roster.version;
  nodes_.clear();
  for (const auto& node : roster.nodes) {
    const auto scanned = scanned_.find(node.id);
    if (scanned == scanned_.end() || scanned->second < node.gained) nodes_.push_back(node.id);
  }
  if (nodes_.empty() && !roster.nodes.empty()) return Step::done;
  if (passes_ > 0 || nodes_.empty()) {
    if (!first_pass_ended_) first_pass_ended_ = now;
    const bool limited = limit != SteadyTime::max();
    if (now >= (limited ? limit : *first_pass_ended_ + longest_unrest)) return Step::give_up;
    if (nodes_.empty()) return Step::ask_again;
    if (pauses_ > 0) {
      --pauses_;
      return Step::ask_again;
    }
  }
  pauses_ = std::min(passes_, most_pauses);
  ++passes_;
  for (const auto id : nodes_) scanned_[id] = version_;
  return Step::scan;
}

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

Result<Roster> KeyWalk::decode_roster(Reply&& reply, Counters& /*counters*/) {
  return read_roster(reply);
}

Result<bool> KeyWalk::begin_pass() {
  if (core_.sharded()) {
    auto planned = plan_pass();
    if (!planned || !*planned) return planned;
  } else {
    if (std::exchange(walked_, true)) return false;
    nodes_ = {0};
  }
  count_ = first_scan_count;
  scan("0");
  return true;
}

Result<bool> KeyWalk::plan_pass() {
  bool failed = false;
  for (;;) {
    // Of the backend itself. What it knows will do to begin with, not to end with.
    const bool anew = plan_.begun();
    auto roster =
        ask<Roster>(core_, {}, &KeyWalk::decode_roster, step_deadline(core_), token_, 0, anew)
            .get();
    if (!roster) {
      if (anew && roster.error().retryable && !std::exchange(failed, true)) continue;
      return std::move(roster).error();
    }
    failed = false;
    switch (plan_.heard(*roster, SteadyTime::clock::now())) {
      case ScanPlan::Step::scan:
        nodes_ = plan_.nodes();
        return true;
      case ScanPlan::Step::ask_again:
        continue;
      case ScanPlan::Step::done:
        return false;
      case ScanPlan::Step::give_up:
        return error_slots_kept_moving();
    }
  }
}

void KeyWalk::scan(const std::string& cursor) {
  if (cursor == "0") origin_.begin();
  command_ = Ref<PageCommand>::adopt(new PageCommand);
  page_ = ask_by(core_, Ref<CommandFuture<Page>>::share(command_.get()),
                 make_request({"SCAN", cursor, "MATCH", pattern_, "COUNT", std::to_string(count_)}),
                 step_deadline(core_), token_, nodes_.back());
  count_ = std::min(count_ * 2, largest_scan_count);
}

Result<std::optional<std::vector<std::string>>> KeyWalk::next() {
  using Keys = std::optional<std::vector<std::string>>;
  if (nodes_.empty()) {
    auto begun = begin_pass();
    if (!begun) return std::move(begun).error();
    if (!*begun) return Keys();
  }
  auto page = page_.get();
  if (!page) {
    // A node may have gone because its slots have.
    const bool again = core_.sharded() && page.error().retryable && ++errors_ < most_errors;
    if (!again) return std::move(page).error();
    plan_.scan_all_again();
    nodes_.clear();
    return Keys(std::in_place);
  }
  if (!origin_.is_kept_by(command_->connection())) {
    if (++restarts_ > most_restarts) return error_scan_lost();
    scan("0");
  } else if (page->cursor != "0") {
    scan(page->cursor);
  } else {
    restarts_ = 0;
    nodes_.pop_back();
    if (!nodes_.empty()) scan("0");
  }
  // SCAN matched the pattern already; a server that did not must not have others' keys shown.
  std::erase_if(page->keys, [&](const auto& key) { return !key.starts_with(prefix_); });
  return Keys(std::move(page->keys));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
