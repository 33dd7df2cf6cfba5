#include "valkey/clear.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "valkey/decode.hpp"
#include "valkey/glob.hpp"
#include "valkey/near_tier.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::int64_t first_count = 100;  // the guide's
constexpr std::int64_t largest_count = 1000;

// What is no number would be sent back for ever.
bool is_cursor(const Reply& reply) {
  return reply.type == Reply::Type::string && !reply.text.empty() &&
         std::all_of(reply.text.begin(), reply.text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

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

  void scan(std::string_view cursor);
  void erase(std::vector<Reply> keys);

  void scanned(Result<Reply> page);
  void erased(Result<std::uint64_t> count);

 private:
  [[nodiscard]] SteadyTime step_deadline() const;
  void tell_progress();
  void settle();
  void forget_near();

  CacheCore& core_;
  const std::string prefix_;
  const std::string pattern_;
  const ClearOptions options_;
  SteadyTime deadline_ = SteadyTime::max();
  std::int64_t count_ = first_count;
  std::uint64_t removed_ = 0;
  int steps_under_way_ = 0;
  bool scanned_all_ = false;
  std::optional<Error> error_;
};

// A step keeps the job, not the other way round.
class ScanStep final : public CountedCommand {
 public:
  explicit ScanStep(Ref<ClearJob> job) : job_(std::move(job)) {}
  bool on_reply(Reply&& reply, Counters& /*counters*/) override {
    const bool refused = reply.type == Reply::Type::error;
    const bool page = reply.type == Reply::Type::array && reply.elements.size() == 2 &&
                      is_cursor(reply.elements[0]) && reply.elements[1].type == Reply::Type::array;
    outcome_ = page ? Result<Reply>(std::move(reply)) : Result<Reply>(reply_error("SCAN", reply));
    return page || refused;
  }
  void on_error(Error&& error) override { outcome_ = std::move(error); }
  void publish() noexcept override { job_->scanned(std::move(outcome_)); }

 private:
  Ref<ClearJob> job_;
  Result<Reply> outcome_ = error_abandoned();
};

class EraseStep final : public CountedCommand {
 public:
  explicit EraseStep(Ref<ClearJob> job) : job_(std::move(job)) { effect = Effect::change; }
  bool on_reply(Reply&& reply, Counters& counters) override {
    outcome_ = decode_count(std::move(reply), counters);
    return outcome_.has_value() || outcome_.error().code != ErrorCode::protocol_error;
  }
  void on_error(Error&& error) override { outcome_ = std::move(error); }
  void publish() noexcept override { job_->erased(std::move(outcome_)); }

 private:
  Ref<ClearJob> job_;
  Result<std::uint64_t> outcome_ = error_abandoned();
};

// Without a time limit of its own a step still ends when there is no server to be had.
SteadyTime ClearJob::step_deadline() const {
  const auto& options = core_.options();
  const auto patience = options.connect_timeout + options.command_timeout * 5;
  return std::min(deadline_, core_.deadline_for({.timeout = patience}));
}

void ClearJob::scan(std::string_view cursor) {
  ++steps_under_way_;
  auto step = Ref<ScanStep>::adopt(new ScanStep(Ref<ClearJob>::share(this)));
  append_request(step->request,
                 {"SCAN", cursor, "MATCH", pattern_, "COUNT", std::to_string(count_)});
  step->deadline = step_deadline();
  count_ = std::min(count_ * 2, largest_count);
  core_.submit(std::move(step), options_.stop_token);
}

void ClearJob::erase(std::vector<Reply> keys) {
  // SCAN matched the pattern already; a server that did not must not cost others their keys.
  std::erase_if(keys, [&](const Reply& key) { return !key.text.starts_with(prefix_); });
  if (keys.empty()) return;
  ++steps_under_way_;
  auto step = Ref<EraseStep>::adopt(new EraseStep(Ref<ClearJob>::share(this)));
  append_request_header(step->request, keys.size() + 1);
  append_argument(step->request, "DEL");
  for (const auto& key : keys) append_argument(step->request, key.text);
  step->deadline = step_deadline();
  core_.submit(std::move(step), options_.stop_token);
}

void ClearJob::scanned(Result<Reply> page) {
  --steps_under_way_;
  if (!page) {
    if (!error_) error_ = std::move(page).error();
  } else if (!error_) {
    const auto cursor = std::move(page->elements[0].text);
    auto keys = std::move(page->elements[1].elements);
    if (cursor == "0") {
      scanned_all_ = true;
    } else {
      scan(cursor);
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
  if (!options_.progress) return;
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
  job->scan("0");
  core.go_on_alone();  // step after step, whether or not anybody waits
  return FutureAccess::make<std::uint64_t>(std::move(job));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
