#include "valkey/clear.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "key/lease_name.hpp"
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

  void heard_roster(Result<Reply> roster);
  void scanned(Result<Reply> page, std::uint32_t node);
  void erased(Result<std::uint64_t> count);

 private:
  void ask_roster();
  void submit_erase(std::span<const Reply> keys);
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
  // Of a cluster: which map was scanned by, and how often it was begun.
  std::int64_t map_version_ = 0;
  int passes_ = 0;
  bool asked_again_after_error_ = false;
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
    outcome_ = page ? Result<Reply>(std::move(reply)) : Result<Reply>(reply_error("SCAN", reply));
    return page || refused;
  }
  void on_error(Error&& error) override { outcome_ = std::move(error); }
  void publish() noexcept override { job_->scanned(std::move(outcome_), node); }

 private:
  Ref<ClearJob> job_;
  Result<Reply> outcome_ = error_abandoned();
};

// Of entries, or of the leases beside them, which are no entries and are not counted.
class EraseStep final : public CountedCommand {
 public:
  EraseStep(Ref<ClearJob> job, bool leases) : job_(std::move(job)), leases_(leases) {
    effect = Effect::change;
  }
  bool on_reply(Reply&& reply, Counters& counters) override {
    Counters nobodys;
    outcome_ = decode_count(std::move(reply), leases_ ? nobodys : counters);
    if (leases_ && outcome_) outcome_ = std::uint64_t{0};
    return outcome_.has_value() || outcome_.error().code != ErrorCode::protocol_error;
  }
  void on_error(Error&& error) override { outcome_ = std::move(error); }
  void publish() noexcept override { job_->erased(std::move(outcome_)); }

 private:
  Ref<ClearJob> job_;
  const bool leases_;
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
  step->anew = passes_ > 0;
  step->deadline = step_deadline();
  core_.submit(std::move(step), options_.stop_token);
}

// Every primary is scanned, by a cursor of its own; and again when slots have changed their owner
// meanwhile, for their keys may have moved to where the scan had been.
void ClearJob::heard_roster(Result<Reply> roster) {
  --steps_under_way_;
  if (!roster) {
    if (!error_) error_ = std::move(roster).error();
    return settle();
  }
  const auto& ids = roster->elements;
  const auto version = ids.at(0).integer;
  if (passes_ > 0 && version == map_version_) {
    scanned_all_ = true;
    return settle();
  }
  if (passes_ >= most_passes) {
    error_ = error_slots_kept_moving();
    return settle();
  }
  error_.reset();  // what went wrong may have done so because of the change
  ++passes_;
  map_version_ = version;
  count_ = first_scan_count;
  scans_left_ = ids.size() - 1;
  for (std::size_t i = 1; i < ids.size(); ++i) {
    scan("0", static_cast<std::uint32_t>(ids[i].integer));
  }
}

void ClearJob::scan(std::string_view cursor, std::uint32_t node) {
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
  const std::size_t most = core_.sharded() ? 1 : most_erased_at_once;
  for (; keys.size() > most; keys = keys.subspan(most)) submit_erase(keys.first(most));
  submit_erase(keys);
}

void ClearJob::submit_erase(std::span<const Reply> keys) {
  ++steps_under_way_;
  auto step =
      Ref<EraseStep>::adopt(new EraseStep(Ref<ClearJob>::share(this), is_lease(keys.front())));
  append_request_header(step->request, keys.size() + 1);
  append_argument(step->request, "DEL");
  for (const auto& key : keys) append_argument(step->request, key.text);
  step->deadline = step_deadline();
  core_.submit(std::move(step), options_.stop_token);
}

void ClearJob::scanned(Result<Reply> page, std::uint32_t node) {
  --steps_under_way_;
  if (!page) {
    if (!error_) error_ = std::move(page).error();
  } else if (!error_) {
    const auto cursor = std::move(page->elements[0].text);
    auto keys = std::move(page->elements[1].elements);
    if (cursor == "0") {
      --scans_left_;
    } else {
      scan(cursor, node);
    }
    if (!error_) erase(std::move(keys));  // the next page may have been refused at once
  }
  settle();
}

void ClearJob::erased(Result<std::uint64_t> count) {
  --steps_under_way_;
  if (count) {
    removed_ += *count;
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
  if (core_.sharded() && !scanned_all_ && passes_ > 0) {
    if (!error_) return ask_roster();
    if (error_->retryable && !std::exchange(asked_again_after_error_, true)) return ask_roster();
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
