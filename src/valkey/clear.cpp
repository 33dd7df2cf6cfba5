#include "valkey/clear.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "key/lease_name.hpp"
#include "valkey/cluster_slot.hpp"
#include "valkey/decode.hpp"
#include "valkey/glob.hpp"
#include "valkey/near_tier.hpp"
#include "valkey/scan.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// By one DEL. The server reads at most 16 KiB of a connection before it turns to the others, so
// that what they wait for is one such request, not a page.
constexpr std::size_t most_erased_at_once = 250;

// The whole job and its future. Its steps run one after the other on the core's I/O thread, which
// also is what keeps the core alive meanwhile.
class ClearJob final : public FutureState<std::uint64_t> {
 public:
  ClearJob(CacheCore& core, std::string prefix, ClearOptions options)
      : core_(core),
        prefix_(std::move(prefix)),
        pattern_(glob_escape(prefix_) + "*"),
        options_(std::move(options)) {
    set_context(core.context());
    if (options_.timeout) deadline_ = core.deadline_for({.timeout = options_.timeout});
  }

  void begin();
  void scan(std::string_view cursor, std::uint32_t node = 0);
  void erase(std::vector<Reply> keys);

  void heard_roster(Result<Reply> reply);
  void scanned(Result<Reply> page, std::uint32_t node, std::uint64_t connection);
  // `sent_on`: not carried out where it was sent to first.
  void erased(Result<std::uint64_t> count, bool sent_on);

 private:
  void ask_roster();
  void submit_erase(std::span<const Reply> keys, bool counted);
  void submit_each(std::span<const Reply> keys);
  [[nodiscard]] SteadyTime step_deadline() const;
  void tell_progress();
  void settle();
  void forget_near();

  CacheCore& core_;
  const std::string prefix_;
  const std::string pattern_;
  const ClearOptions options_;
  SteadyTime deadline_ = SteadyTime::max();
  std::int64_t count_ = first_scan_count;
  std::uint64_t removed_ = 0;
  std::uint64_t told_ = 0;
  int steps_under_way_ = 0;
  std::size_t scans_left_ = 0;  // servers that have not been scanned to their end
  std::map<std::uint32_t, CursorOrigin> origins_;
  int restarts_ = 0;
  // Of a cluster.
  ScanPlan plan_;
  std::vector<bool> probed_;  // by slot: in this pass, whether it is on the move
  bool keys_moved_ = false;   // while they were being erased
  bool roster_failed_ = false;
  bool scanned_all_ = false;
  std::optional<Error> error_;
};

// A step keeps the job, not the other way round.

// Asks the backend itself which servers there are.
class RosterStep final : public CountedCommand {
 public:
  explicit RosterStep(Ref<ClearJob> job) : job_(std::move(job)) {}
  bool on_reply(Reply&& reply, Counters& /*counters*/) override {
    outcome_ = std::move(reply);
    return true;
  }
  void on_error(Error&& error) override { outcome_ = std::move(error); }
  void publish() noexcept override { job_->heard_roster(std::move(outcome_)); }

 private:
  Ref<ClearJob> job_;
  Result<Reply> outcome_ = error_abandoned();
};

class ScanStep final : public CountedCommand {
 public:
  ScanStep(Ref<ClearJob> job, std::uint32_t on) : job_(std::move(job)) { node = on; }
  bool on_reply(Reply&& reply, Counters& /*counters*/) override {
    const bool refused = reply.type == Reply::Type::error;
    const bool page = is_scan_page(reply);
    connection_ = connection_of(*this);
    outcome_ = page ? Result<Reply>(std::move(reply)) : Result<Reply>(reply_error("SCAN", reply));
    return page || refused;
  }
  void on_error(Error&& error) override { outcome_ = std::move(error); }
  void publish() noexcept override { job_->scanned(std::move(outcome_), node, connection_); }

 private:
  Ref<ClearJob> job_;
  std::uint64_t connection_ = 0;
  Result<Reply> outcome_ = error_abandoned();
};

// Of entries; or of what is not counted: the leases beside them, and what has been erased before.
class EraseStep final : public CountedCommand {
 public:
  EraseStep(Ref<ClearJob> job, bool counted) : job_(std::move(job)), counted_(counted) {
    effect = Effect::change;
  }
  bool on_reply(Reply&& reply, Counters& counters) override {
    Counters nobodys;
    outcome_ = decode_count(std::move(reply), counted_ ? counters : nobodys);
    if (!counted_ && outcome_) outcome_ = std::uint64_t{0};
    return outcome_.has_value() || outcome_.error().code != ErrorCode::protocol_error;
  }
  void on_error(Error&& error) override { outcome_ = std::move(error); }
  void publish() noexcept override { job_->erased(std::move(outcome_), redirects != 0); }

 private:
  Ref<ClearJob> job_;
  const bool counted_;
  Result<std::uint64_t> outcome_ = error_abandoned();
};

bool is_lease(const Reply& key) noexcept {
  return key.text.ends_with(lease_suffix);
}

// Without a time limit of its own a step still ends when there is no server to be had.
SteadyTime ClearJob::step_deadline() const {
  const auto& options = core_.options();
  const auto patience = options.connect_timeout + options.command_timeout * 5;
  return std::min(deadline_, core_.deadline_for({.timeout = patience}));
}

void ClearJob::begin() {
  if (core_.sharded()) return ask_roster();
  scans_left_ = 1;
  scan("0");
}

void ClearJob::ask_roster() {
  ++steps_under_way_;
  auto step = Ref<RosterStep>::adopt(new RosterStep(Ref<ClearJob>::share(this)));
  // The first may be a guess. What ends the job is not: a server that has come since, unseen, has
  // keys, too.
  step->anew = plan_.begun();
  step->deadline = step_deadline();
  core_.submit(std::move(step), options_.stop_token);
}

// Every primary is scanned, by a cursor of its own, as the plan has it.
void ClearJob::heard_roster(Result<Reply> reply) {
  --steps_under_way_;
  if (!reply) {
    const bool again = plan_.begun() && reply.error().retryable;
    if (again && !std::exchange(roster_failed_, true)) return ask_roster();
    if (!error_) error_ = std::move(reply).error();
    scanned_all_ = true;
    return settle();
  }
  roster_failed_ = false;
  const auto roster = read_roster(*reply);
  if (error_ && roster.version == plan_.version()) {
    scanned_all_ = true;
    return settle();
  }
  // What went wrong may have done so because of the change.
  if (error_) plan_.scan_all_again();
  error_.reset();
  switch (plan_.heard(roster, SteadyTime::clock::now(), deadline_)) {
    case ScanPlan::Step::done:
      scanned_all_ = true;
      return settle();
    case ScanPlan::Step::give_up:
      error_ = error_slots_kept_moving();
      scanned_all_ = true;
      return settle();
    case ScanPlan::Step::ask_again:
      return ask_roster();
    case ScanPlan::Step::scan:
      break;
  }
  count_ = first_scan_count;
  probed_.assign(cluster_slots, false);
  scans_left_ = plan_.nodes().size();
  ++steps_under_way_;  // one that ends at once is not the last one
  for (const auto node : std::vector(plan_.nodes())) scan("0", node);
  --steps_under_way_;
  settle();
}

void ClearJob::scan(std::string_view cursor, std::uint32_t node) {
  if (cursor == "0") origins_[node].begin();
  ++steps_under_way_;
  auto step = Ref<ScanStep>::adopt(new ScanStep(Ref<ClearJob>::share(this), node));
  append_request(step->request,
                 {"SCAN", cursor, "MATCH", pattern_, "COUNT", std::to_string(count_)});
  step->deadline = step_deadline();
  count_ = std::min(count_ * 2, largest_scan_count);
  core_.submit(std::move(step), options_.stop_token);
}

void ClearJob::erase(std::vector<Reply> keys) {
  // SCAN matched the pattern already; a server that did not must not cost others their keys.
  std::erase_if(keys, [&](const Reply& key) { return !key.text.starts_with(prefix_); });
  const std::span<const Reply> all = keys;
  const auto leases = std::stable_partition(keys.begin(), keys.end(), std::not_fn(is_lease));
  const auto entries = static_cast<std::size_t>(leases - keys.begin());
  submit_each(all.first(entries));
  submit_each(all.subspan(entries));
}

void ClearJob::submit_each(std::span<const Reply> keys) {
  if (keys.empty()) return;
  const bool counted = !is_lease(keys.front());
  if (core_.sharded()) {
    for (; !keys.empty(); keys = keys.subspan(1)) {
      submit_erase(keys.first(1), counted);
      // Once more: where the slot is on the move a key that has gone is asked for at the other end
      // (ASK), which may be a node of which nobody has told.
      const auto slot = key_slot(keys.front().text);
      if (probed_[slot]) continue;
      probed_[slot] = true;
      submit_erase(keys.first(1), false);
    }
    return;
  }
  for (; keys.size() > most_erased_at_once; keys = keys.subspan(most_erased_at_once)) {
    submit_erase(keys.first(most_erased_at_once), counted);
  }
  submit_erase(keys, counted);
}

void ClearJob::submit_erase(std::span<const Reply> keys, bool counted) {
  ++steps_under_way_;
  auto step = Ref<EraseStep>::adopt(new EraseStep(Ref<ClearJob>::share(this), counted));
  append_request_header(step->request, keys.size() + 1);
  append_argument(step->request, "DEL");
  for (const auto& key : keys) append_argument(step->request, key.text);
  step->deadline = step_deadline();
  core_.submit(std::move(step), options_.stop_token);
}

void ClearJob::scanned(Result<Reply> page, std::uint32_t node, std::uint64_t connection) {
  if (!page) {
    if (!error_) error_ = std::move(page).error();
  } else if (!error_) {
    const auto cursor = std::move(page->elements[0].text);
    auto keys = std::move(page->elements[1].elements);
    if (!origins_[node].is_kept_by(connection)) {
      if (++restarts_ > most_restarts) {
        error_ = error_scan_lost();
      } else {
        scan("0", node);
      }
    } else if (cursor == "0") {
      --scans_left_;
      restarts_ = 0;
    } else {
      scan(cursor, node);
    }
    if (!error_) erase(std::move(keys));  // the next page may have been refused at once
  }
  --steps_under_way_;  // only now: what it led to may have ended at once
  settle();
}

void ClearJob::erased(Result<std::uint64_t> count, bool sent_on) {
  --steps_under_way_;
  keys_moved_ = keys_moved_ || sent_on;
  if (count) {
    removed_ += *count;
    if (*count != 0) restarts_ = 0;
    tell_progress();
  } else if (!error_) {
    error_ = std::move(count).error();
  }
  settle();
}

void ClearJob::tell_progress() {
  if (!options_.progress || removed_ == told_) return;
  // One by one they are no news.
  if (core_.sharded() && removed_ < told_ + first_scan_count && steps_under_way_ != 0) return;
  told_ = removed_;
  const auto tell = [progress = options_.progress, log = context()->log, removed = removed_] {
    try {
      progress(removed);
    } catch (...) {
      report(log, LogLevel::error, "valkey", "the progress callback of clear() threw");
    }
  };
  if (!context()->executor) {
    run_or_keep(tell);
    return;
  }
  try {
    context()->executor(Task(tell));
  } catch (...) {
    report(context()->log, LogLevel::error, "valkey", "the executor threw; progress was not told");
  }
}

// What is near may have gone from the server long ago, so it is cleared by itself, not by the
// pages.
void ClearJob::forget_near() {
  auto* near = core_.near();
  if (!near) return;
  near->invalidate_prefix(std::string_view(prefix_).substr(core_.options().prefix.size()));
}

void ClearJob::settle() {
  if (steps_under_way_ != 0) return;
  tell_progress();  // of a few at the end, after which scans of other nodes found nothing
  if (core_.sharded() && !scanned_all_ && (!error_ || error_->retryable)) {
    // Where one key has gone others may have, past the scan.
    if (std::exchange(keys_moved_, false)) plan_.scan_all_again();
    return ask_roster();
  }
  if (!core_.sharded()) scanned_all_ = scans_left_ == 0;
  forget_near();
  if (error_) {
    error_->maybe_applied = error_->maybe_applied || removed_ != 0;
    complete(*std::move(error_));
  } else if (scanned_all_) {
    complete(removed_);
  }
}

}  // namespace

Future<std::uint64_t> clear_prefix(CacheCore& core, std::string prefix, ClearOptions options) {
  auto job = Ref<ClearJob>::adopt(new ClearJob(core, std::move(prefix), std::move(options)));
  job->begin();
  core.go_on_alone();  // step after step, whether or not anybody waits
  return FutureAccess::make<std::uint64_t>(std::move(job));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
