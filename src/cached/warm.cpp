#include <valkeycache/warm.hpp>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "cached/call_errors.hpp"
#include "cached/core.hpp"
#include "cached/pace.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct CachedLlmAccess {
  static std::shared_ptr<CachedLlmCore> core(const CachedLlm& llm) { return llm.core_; }
};

namespace {

using Clock = std::chrono::steady_clock;

// A request under way.
struct Item {
  std::uint64_t index;
  PreparedRequest request;
};

// A step of one has ended.
struct Event {
  enum class Step : std::uint8_t { looked_up, answered, checked };
  Step step;
  std::unique_ptr<Item> item;
  std::optional<Error> error = {};
  std::optional<std::string> bytes = {};  // looked_up
  bool stands = false;                    // checked
};

// Where the steps' results wait for the thread that called warm().
class Inbox {
 public:
  void put(Event event) {
    // Told under the lock: the waiting thread may be about to leave.
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_one();
  }

  // What there is; waits for something until then, or until the stop_token is triggered.
  std::deque<Event> take(const std::stop_token& stop, std::optional<Clock::time_point> until) {
    const auto some = [this] {
      return !events_.empty();
    };
    std::unique_lock lock(mutex_);
    if (until) {
      changed_.wait_until(lock, stop, *until, some);
    } else if (stop.stop_requested()) {
      // Nothing more to be told of the token; what is under way ends by it.
      changed_.wait(lock, some);
    } else {
      changed_.wait(lock, stop, some);
    }
    return std::exchange(events_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Event> events_;
};

// On the calling thread alone, but for the inbox.
class Warming {
 public:
  Warming(const CachedLlm& llm, CachedLlmCore& core,
          const std::function<std::optional<WarmRequest>()>& next, const WarmOptions& options)
      : llm_(llm),
        core_(core),
        next_(next),
        options_(options),
        began_(Clock::now()),
        pace_(options.per_second, began_) {}

  WarmReport run() {
    for (;;) {
      if (!exhausted_ && stopping()) {
        exhausted_ = true;
        report_.stopped = ErrorCode::cancelled;
      }
      while (!exhausted_ && !stopping() && under_way_ < options_.concurrency) pull();
      begin_asks();
      if (under_way_ == 0 && exhausted_) break;
      if (under_way_ == 0) continue;
      std::optional<Clock::time_point> until;
      if (!waiting_.empty()) until = pace_.next();
      for (auto& event : inbox_->take(options_.stop_token, until)) heard(std::move(event));
      tell();
    }
    tell();
    report_.elapsed = Clock::now() - began_;
    return std::move(report_);
  }

 private:
  [[nodiscard]] bool stopping() const { return options_.stop_token.stop_requested(); }

  void pull() {
    std::optional<WarmRequest> request;
    try {
      request = next_();
    } catch (...) {
      report_.stopped = ErrorCode::callback_failed;
    }
    if (!request) {
      exhausted_ = true;
      return;
    }
    const auto index = report_.requests++;
    changed_ = true;
    auto prepared =
        request->request() ? core_.prepare(*request->request()) : core_.prepare(request->prompt());
    if (!prepared) return fail(index, prepared.error().code);
    if (prepared->bypass) {
      ++report_.unstorable;
      return;
    }
    ++under_way_;
    look_up(std::make_unique<Item>(Item{index, *std::move(prepared)}));
  }

  void look_up(std::unique_ptr<Item> item) {
    // Nobody waits for an answer here: it may take as long as a store.
    const auto patience = std::max(core_.lookup_budget(), core_.shared()->advanced().store_timeout);
    const auto key = item->request.key;
    FutureAccess::on_ready(
        core_.cache().get(key, {.timeout = patience, .stop_token = options_.stop_token}),
        [inbox = inbox_, item = std::move(item)](Result<std::optional<std::string>> found) mutable {
          Event event{.step = Event::Step::looked_up, .item = std::move(item)};
          if (found) {
            event.bytes = *std::move(found);
          } else {
            event.error = std::move(found).error();
          }
          inbox->put(std::move(event));
        });
  }

  void begin_asks() {
    while (!waiting_.empty()) {
      if (stopping()) {
        for (const auto& item : waiting_) end_with(item->index, ErrorCode::cancelled);
        waiting_.clear();
        return;
      }
      const auto now = Clock::now();
      if (now < pace_.next()) return;
      pace_.begun(now);
      auto item = std::move(waiting_.front());
      waiting_.pop_front();
      ask(std::move(item));
    }
  }

  void ask(std::unique_ptr<Item> item) {
    ++report_.asked;
    auto answer = llm_.ask(
        item->request.request,
        {.ttl = options_.ttl, .timeout = options_.timeout, .stop_token = options_.stop_token});
    FutureAccess::on_ready(std::move(answer), [inbox = inbox_, item = std::move(item)](
                                                  Result<CachedAnswer> result) mutable {
      Event event{.step = Event::Step::answered, .item = std::move(item)};
      if (!result) event.error = std::move(result).error();
      inbox->put(std::move(event));
    });
  }

  // The store was issued before the answer was there, over the same connection. Not to be
  // cancelled: it tells what has been paid for.
  void check(std::unique_ptr<Item> item) {
    const auto key = item->request.key;
    FutureAccess::on_ready(
        core_.cache().ttl(key, {.timeout = core_.shared()->advanced().store_timeout}),
        [inbox = inbox_, item = std::move(item)](const Result<std::optional<Ttl>>& left) mutable {
          inbox->put({.step = Event::Step::checked,
                      .item = std::move(item),
                      .stands = left && left->has_value()});
        });
  }

  void heard(Event event) {
    if (event.error) return end_with(event.item->index, event.error->code);
    switch (event.step) {
      case Event::Step::looked_up:
        return looked_up(std::move(event));
      case Event::Step::answered:
        return check(std::move(event.item));
      case Event::Step::checked:
        return ended(event.stands ? report_.stored : report_.not_stored);
    }
  }

  void looked_up(Event event) {
    const auto& key = event.item->request.key;
    if (event.bytes) {
      const auto& shared = *core_.shared();
      const auto fault = shared.codec.decode(*event.bytes, key, shared.prefix + key.path()).fault;
      if (fault == EntryFault::none) return ended(report_.skipped);
      if (fault == EntryFault::foreign_format) return ended(report_.unstorable);
    }
    waiting_.push_back(std::move(event.item));
  }

  void ended(std::uint64_t& count) {
    --under_way_;
    ++count;
    changed_ = true;
  }

  void end_with(std::uint64_t index, ErrorCode code) {
    if (code == ErrorCode::cancelled && stopping()) return ended(report_.cancelled);
    --under_way_;
    fail(index, code);
  }

  void fail(std::uint64_t index, ErrorCode code) {
    ++report_.failed;
    changed_ = true;
    auto& errors = report_.errors;
    const auto known = std::find_if(errors.begin(), errors.end(),
                                    [&](const auto& error) { return error.first == code; });
    if (known == errors.end()) {
      errors.emplace_back(code, 1);
    } else {
      ++known->second;
    }
    if (report_.failures.size() < options_.max_failures) report_.failures.push_back({index, code});
  }

  void tell() {
    if (!std::exchange(changed_, false) || !options_.progress) return;
    report_.elapsed = Clock::now() - began_;
    try {
      options_.progress(report_);
    } catch (...) {
      core_.shared()->log(LogLevel::error, "the progress callback of warm() threw");
    }
  }

  const CachedLlm& llm_;
  CachedLlmCore& core_;
  const std::function<std::optional<WarmRequest>()>& next_;
  const WarmOptions& options_;
  const Clock::time_point began_;
  Pace pace_;
  // Shared with the steps: the last one may still be inside it when the report is there.
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::deque<std::unique_ptr<Item>> waiting_;  // for their turn to be asked
  std::size_t under_way_ = 0;                  // those included
  bool exhausted_ = false;
  bool changed_ = false;
  WarmReport report_;
};

std::optional<Error> unusable(const CachedLlmCore& core, const WarmOptions& options) {
  const auto wrong = [](const char* why) {
    return error_of(ErrorCode::invalid_argument, why);
  };
  const auto& shared = *core.shared();
  if (shared.forked()) {
    return error_of(ErrorCode::forked,
                    "this CachedLlm was made before a fork(); make a new one in the child");
  }
  if (shared.unusable) return shared.unusable;
  if (shared.options.no_store) {
    return wrong("warm(): CachedLlmOptions::no_store is set, so that nothing would be stored");
  }
  if (options.concurrency == 0) return wrong("WarmOptions::concurrency must be at least 1");
  if (!std::isfinite(options.per_second) || options.per_second < 0) {
    return wrong("WarmOptions::per_second must be a number that is not negative");
  }
  if (!options.ttl.is_valid()) {
    return wrong("WarmOptions::ttl must be at least a millisecond and fit into 64 bits of them");
  }
  if (options.timeout && *options.timeout <= std::chrono::milliseconds::zero()) {
    return wrong("WarmOptions::timeout must be positive");
  }
  // A wait here would be for what this very thread has to do.
  Promise<void> never;
  auto waited = never.future().get(std::chrono::nanoseconds(0));
  if (!waited && waited.error().code == ErrorCode::would_deadlock) return std::move(waited).error();
  return std::nullopt;
}

}  // namespace
}  // namespace detail

Result<WarmReport> warm_from(const CachedLlm& llm,
                             const std::function<std::optional<WarmRequest>()>& next,
                             const WarmOptions& options) {
  const auto core = detail::CachedLlmAccess::core(llm);
  if (!core) return detail::error_of(ErrorCode::closed, "this CachedLlm was moved from");
  if (auto error = detail::unusable(*core, options)) return *std::move(error);
  return detail::Warming(llm, *core, next, options).run();
}

}  // namespace valkeycache::inline v0
