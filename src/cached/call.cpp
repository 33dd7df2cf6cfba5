#include "cached/call.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/unix_time.hpp"
#include "cached/admission.hpp"
#include "cached/call_errors.hpp"
#include "cached/near_answer.hpp"
#include "cached/observe.hpp"
#include "key/key_data.hpp"

namespace valkeycache::inline v0 {
namespace detail {

void Call::OnStop::operator()() const noexcept {
  call->shared_->watchdog.cancel(call);
}

Future<CachedAnswer> Call::start(const std::shared_ptr<CachedLlmCore>& core,
                                 std::string_view prompt, AskOptions options) {
  return start_with(core, prompt, std::move(options));
}

Future<CachedAnswer> Call::start(const std::shared_ptr<CachedLlmCore>& core,
                                 const ChatRequest& request, AskOptions options) {
  return start_with(core, request, std::move(options));
}

template <class Question>
Future<CachedAnswer> Call::start_with(const std::shared_ptr<CachedLlmCore>& core,
                                      const Question& question, AskOptions options) {
  return started(Ref<Call>::adopt(new Call(core, std::move(options))), core, question);
}

template <class Question>
Future<CachedAnswer> Call::started(Ref<Call> call, const std::shared_ptr<CachedLlmCore>& core,
                                   const Question& question) {
  call->guarded([&] {
    call->shared_->counters.calls.add();
    auto refusal = call->check();
    if (!refusal) {
      if (call->shared_->near && call->looks_up() && call->answer_near(*core, question)) return;
      refusal = call->prepare(*core, question);
    }
    if (refusal) {
      call->shared_->counters.refused.add();
      call->end(*std::move(refusal));
    } else {
      call->begin(core);
    }
  });
  return FutureAccess::make<CachedAnswer>(std::move(call));
}

template Future<CachedAnswer> Call::started(Ref<Call>, const std::shared_ptr<CachedLlmCore>&,
                                            const ChatRequest&);

Call::Call(const std::shared_ptr<CachedLlmCore>& core, AskOptions options)
    : shared_(core->shared()), core_(core), options_(std::move(options)), started_(Clock::now()) {
  set_context(shared_->context);
  if (options_.timeout) {
    // Further away makes no difference, and the sum cannot overflow.
    constexpr std::chrono::milliseconds longest = std::chrono::hours(24 * 365);
    deadline_ = started_ + std::min(*options_.timeout, longest);
    patience = started_ + (*deadline_ - started_) / 2;  // the other half is the model's
  }
}

void Call::end(Error error) {
  finish(std::move(error));
}

// Whether it ended the call or came too late for that: a call that the watchdog gives up waits for
// nobody any more.
void Call::end_watched(FutureState<CachedAnswer>& state, Error error) {
  auto& call = static_cast<Call&>(state);
  if (call.claim()) {
    call.ended_early_ = true;
    call.conclude(std::move(error), nullptr);
  }
  call.depart();
}

// After the flight has landed or been handed on.
void Call::finish(Result<CachedAnswer> result) noexcept {
  // Claimed before it is disarmed: a follower that begins to be watched looks in the other order.
  if (!claim()) return;
  std::shared_ptr<Recording> events;
  if (reader && result) {
    try {
      events = replay(*result);
    } catch (...) {
      result = error_of(ErrorCode::callback_failed, "no memory for the events of the answer");
    }
  }
  conclude(std::move(result), events);
}

// Claimed, not yet published.
void Call::record(Result<CachedAnswer> result) noexcept {
  CallFacts facts{.started = started_,
                  .model = shared_->identity.model,
                  .trace_parent = options_.trace_parent,
                  .refresh = refresh_ != nullptr};
  if (request_) {
    facts.key = &request_->key;
    facts.model = model_name();
  }
  if (!refresh_ || refresh_->asked) call_ended(*shared_, facts, result);
  FutureState::store(std::move(result));
}

double Call::ms_since(Clock::time_point then) {
  return std::chrono::duration<double, std::milli>(Clock::now() - then).count();
}

std::optional<std::chrono::milliseconds> Call::time_left() const {
  if (!deadline_) return std::nullopt;
  return std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now());
}

const std::string& Call::model_name() const noexcept {
  const auto& named = request_->request.model();
  return named.empty() ? shared_->identity.model : named;
}

// Why nothing at all is to be done, if so.
template <class Question>
std::optional<Error> Call::prepare(const CachedLlmCore& core, const Question& question) {
  auto prepared = core.prepare(question);
  if (!prepared) return std::move(prepared).error();
  request_.emplace(*std::move(prepared));
  return std::nullopt;
}

std::optional<Error> Call::check() const {
  if (shared_->forked()) {
    return error_of(ErrorCode::forked,
                    "this CachedLlm was made before a fork(); make a new one in the child");
  }
  if (shared_->unusable) return shared_->unusable;
  if (!options_.ttl.is_valid()) {
    return error_of(ErrorCode::invalid_argument,
                    "AskOptions::ttl must be at least a millisecond and fit into 64 bits of them");
  }
  if (options_.cache_only && options_.refresh) {
    return error_of(ErrorCode::invalid_argument,
                    "AskOptions::cache_only and AskOptions::refresh exclude each other");
  }
  if (options_.max_age && *options_.max_age < std::chrono::milliseconds::zero()) {
    return error_of(ErrorCode::invalid_argument, "AskOptions::max_age must not be negative");
  }
  if (options_.timeout && *options_.timeout <= std::chrono::milliseconds::zero()) {
    return error_timeout();
  }
  if (options_.stop_token.stop_requested()) return error_cancelled();
  return std::nullopt;
}

bool Call::looks_up() const noexcept {
  return !options_.refresh && (!shared_->options.refresh || options_.cache_only);
}

bool Call::asks_age() const noexcept {
  const auto& advanced = shared_->advanced();
  constexpr auto none = std::chrono::milliseconds::zero();
  return options_.max_age || advanced.stale_while_revalidate > none ||
         advanced.stale_if_error > none;
}

// What is not fresh is left to those who have a request, to refresh it.
bool Call::answer_near(const CachedLlmCore& core, std::string_view prompt) {
  const auto key = PromptKey::of(*shared_, prompt);
  if (!key) return false;
  near_looked_ = true;
  step_started_ = started_;
  near_ = core.cache().find_near(key->path());
  if (!near_) return false;
  const auto* kept = near_.object<NearAnswer>();
  if (!kept || !kept->serves(key->digest(), near_.value(), *shared_)) return false;
  std::optional<std::chrono::milliseconds> age;
  if (asks_age()) {
    age = age_by_ttl(kept->entry, near_.ttl());
    if (judge_age(kept->entry, age, near_.ttl(), shared_->advanced(), options_.max_age) !=
        Freshness::fresh) {
      return false;
    }
  }
  hit(kept->entry, kept->key, AnswerSource::near, age);
  return true;
}

bool Call::answer_near(const CachedLlmCore& /*core*/, const ChatRequest& /*request*/) {
  return false;  // its key is made of its canonical form, which is most of preparing it
}

// An entry that is no answer, or too old, is left to the lookup proper, which finds it where this
// was found and judges it once more.
bool Call::answer_near(const CachedLlmCore& core) {
  step_started_ = Clock::now();
  if (!near_looked_) near_ = core.cache().find_near(request_->key);
  const auto found = std::exchange(near_, {});
  if (!found) return false;
  const auto* kept = found.object<NearAnswer>();
  const auto answer = [&](const NearAnswer& near) {
    std::optional<std::chrono::milliseconds> age;
    if (asks_age()) {
      age = age_by_ttl(near.entry, found.ttl());
      switch (judge_age(near.entry, age, found.ttl(), shared_->advanced(), options_.max_age)) {
        case Freshness::fresh:
          break;
        case Freshness::stale:
          refresh_behind(near.entry, found.value());
          hit(near.entry, near.key, AnswerSource::stale, age);
          return true;
        case Freshness::last_resort:
        case Freshness::too_old:
          return false;
      }
    }
    hit(near.entry, near.key, AnswerSource::near, age);
    return true;
  };
  if (kept && kept->serves(KeyAccess::digest_bytes(request_->key), found.value(), *shared_)) {
    return answer(*kept);
  }
  auto decoded = shared_->codec.decode(found.value(), request_->key, wire_key());
  if (decoded.fault != EntryFault::none) return false;
  const auto fresh =
      std::make_shared<const NearAnswer>(NearAnswer{.entry = std::move(decoded.entry),
                                                    .key = request_->key,
                                                    .format = shared_->advanced().format,
                                                    .secret = shared_->advanced().key.secret});
  core.cache().keep(found, fresh, fresh->bytes());
  return answer(*fresh);
}

void Call::count_bypass() noexcept {
  shared_->counters.of(*bypass_).add();
}

void Call::begin(const std::shared_ptr<CachedLlmCore>& core) {
  bypass_ = request_->bypass;
  if (!bypass_ && !looks_up()) bypass_ = BypassReason::refresh;
  const bool by_cache = !bypass_;
  if (!by_cache && options_.cache_only) {
    count_bypass();
    return end(
        error_of(ErrorCode::cache_miss,
                 *bypass_ == BypassReason::not_deterministic
                     ? "such a request is never stored: its temperature is not 0"
                     : "such a request is never stored: it names something that can change"));
  }
  // Whatever the breaker says: this asks nobody.
  if (by_cache && shared_->near && answer_near(*core)) return;
  if (flies() && join_flight()) return;
  lead(core);
}

void Call::lead(const std::shared_ptr<CachedLlmCore>& core) {
  if (bypass_) {
    count_bypass();
    cache_status_ = CacheStatus::bypass;
    return ask_model(core);
  }
  switch (shared_->breaker.decide(started_)) {
    case Breaker::Decision::use:
      return look_up(core);
    case Breaker::Decision::probe:
      core->probe();
      [[fallthrough]];
    case Breaker::Decision::skip:
      return without_cache(shared_->breaker.reason(), core);
  }
}

void Call::look_up(const std::shared_ptr<CachedLlmCore>& core) {
  step_started_ = Clock::now();
  auto budget = core->lookup_budget();
  if (const auto left = time_left()) budget = std::min(budget, *left);
  const CallOptions by{.timeout = budget, .stop_token = options_.stop_token};
  // Asked before the entry: one that is replaced in between is taken for too old, and never for
  // younger than it is. What is near has an end of its own, for get() may give just that.
  std::optional<Future<std::optional<Ttl>>> left;
  if (asks_age()) {
    if (shared_->near) near_ = core->cache().find_near(request_->key);
    left = core->cache().ttl(request_->key, by);
  }
  auto lookup = core->cache().get(request_->key, by);
  if (joined) {
    // Somebody may be waiting already, who knows nothing of this lookup.
    (void)lookup.ready();
  } else {
    lookup_help_ =
        left ? FutureAccess::pass_help(*this, *left) : FutureAccess::pass_help(*this, lookup);
    lookup_helper_.store(helper());
    if (followed_.load() && helper()) helper()->go_on_alone();
  }
  if (!left) {
    FutureAccess::on_ready(
        std::move(lookup), [call = self()](Result<std::optional<std::string>> found) {
          call->guarded([&] { call->looked_up(std::move(found), std::optional<Ttl>()); });
        });
    return;
  }
  FutureAccess::on_ready(*std::move(left), [call = self(), lookup = std::move(lookup)](
                                               Result<std::optional<Ttl>> time) mutable {
    FutureAccess::on_ready(
        std::move(lookup), [call = std::move(call), time = std::move(time)](
                               Result<std::optional<std::string>> found) mutable {
          call->guarded([&] { call->looked_up(std::move(found), std::move(time)); });
        });
  });
}

void Call::looked_up(Result<std::optional<std::string>> found, Result<std::optional<Ttl>> left) {
  if (!found) return lookup_failed(std::move(found).error());
  if (!left) return lookup_failed(std::move(left).error());
  shared_->breaker.succeeded();
  if (!*found) return missed(EntryFault::none);
  auto decoded = shared_->codec.decode(**found, request_->key, wire_key());
  if (decoded.fault != EntryFault::none) {
    seen_ = *std::move(*found);
    return missed(decoded.fault);
  }
  auto& entry = decoded.entry;
  if (!asks_age()) return hit(std::move(entry), request_->key, AnswerSource::valkey, std::nullopt);
  // Not there when its end was asked for, and there now: it was stored in between.
  auto end = left->value_or(Ttl::none());
  auto age = *left ? age_by_ttl(entry, end) : std::chrono::milliseconds::zero();
  if (const auto near = std::exchange(near_, {}); near && near.value() == **found) {
    const auto by_near = age_by_ttl(entry, near.ttl());
    if (!age || (by_near && *by_near > *age)) {
      age = by_near;
      end = near.ttl();
    }
  }
  auto freshness = judge_age(entry, age, end, shared_->advanced(), options_.max_age);
  // Who may not ask the model takes what there is.
  if (freshness == Freshness::last_resort && options_.cache_only) freshness = Freshness::stale;
  switch (freshness) {
    case Freshness::fresh:
      return hit(std::move(entry), request_->key, AnswerSource::valkey, age);
    case Freshness::stale:
      refresh_behind(entry, **found);
      return hit(std::move(entry), request_->key, AnswerSource::stale, age);
    case Freshness::last_resort:
      stale_ = std::make_unique<StaleEntry>(
          StaleEntry{.entry = std::move(entry), .age = *age, .found = Clock::now()});
      break;
    case Freshness::too_old:
      break;
  }
  seen_ = *std::move(*found);
  missed(EntryFault::none);
}

void Call::lookup_failed(Error error) {
  shared_->cache_failed(error, judge_lookup(error));
  const bool cancelled = error.code == ErrorCode::cancelled && options_.stop_token.stop_requested();
  const bool out_of_time =
      error.code == ErrorCode::timeout && deadline_ && Clock::now() >= *deadline_;
  auto core = core_.lock();
  if (cancelled || out_of_time || !core) {
    shared_->counters.unfinished.add();
    if (!core) {
      if (!cancelled && !out_of_time) error = error_closed();
      land(error_closed(), shared_->counters.unfinished);
    } else if (const auto follower = hand_over()) {
      follower->guarded([&] { follower->lead(core); });
    }
    core.reset();
    return finish(std::move(error));
  }
  without_cache(std::move(error), std::move(core));
}

void Call::without_cache(Error error, std::shared_ptr<CachedLlmCore> core) {
  shared_->counters.cache_errors.add();
  if (shared_->advanced().strict || options_.cache_only) {
    core.reset();
    land(error, shared_->counters.cache_errors);
    return finish(std::move(error));
  }
  cache_status_ = CacheStatus::error;
  cache_error_ = std::move(error);
  ask_model(std::move(core));
}

void Call::unreadable(EntryFault fault) {
  shared_->counters.of(fault).add();
  if (fault != EntryFault::foreign_format) return;
  foreign_entry_ = true;
  shared_->log_once(shared_->told_foreign, LogLevel::warning,
                    "an entry of the Python ValkeyCache was found; it counts as a miss and is left "
                    "as it is. CachedLlmAdvanced::format = EntryFormat::langgraph reads and writes "
                    "such entries. Further ones are only counted (CachedLlmStats::foreign_format)");
}

void Call::missed(EntryFault fault) {
  shared_->counters.misses.add();
  if (fault != EntryFault::none) unreadable(fault);
  if (options_.cache_only) {
    return end(error_of(ErrorCode::cache_miss,
                        "there is no entry, and cache_only forbids asking the model"));
  }
  if (leases()) return take_lease(core_.lock());
  ask_model(core_.lock());
}

void Call::hit(Entry entry, const CacheKey& key, AnswerSource source,
               std::optional<std::chrono::milliseconds> age) {
  auto& counter = source == AnswerSource::stale ? shared_->counters.stale : shared_->counters.hits;
  counter.add();
  events_ = std::move(entry.events);
  auto answer = answer_of(std::move(entry));
  if (age) answer.age = *age;
  answer.cached = true;
  answer.source = source;
  answer.cache_status = CacheStatus::hit;
  answer.key = key;
  land(answer, counter);
  finish(std::move(answer));
}

CachedAnswer Call::answer_of(Entry entry) const {
  CachedAnswer answer;
  answer.latency_ms = ms_since(step_started_);
  answer.total_ms = ms_since(started_);
  answer.age = age_by_clock(entry).value_or(std::chrono::milliseconds::zero());
  answer.avoided_usage = entry.usage;
  answer.response = std::move(entry.response);
  answer.content = std::move(entry.content);
  answer.extra = std::move(entry.extra);
  answer.stop_reason = std::move(entry.stop_reason);
  answer.model = std::move(entry.model);
  if (request_) answer.key = request_->key;
  return answer;
}

// The core is let go before anything is published: a program that leaves main with its answer in
// hand must find itself the owner of the last handles, whose destruction waits for the store.
void Call::ask_model(std::shared_ptr<CachedLlmCore> core) {
  if (!core) {
    land(error_closed(), shared_->counters.unfinished);
    return finish(error_closed());
  }
  const auto left = time_left();
  const bool too_late = late();
  // A flight's call is everybody's: it goes on until nobody waits for it.
  const bool own_stop = flies_ || reader || refresh_;
  std::stop_source everybody{std::nostopstate};
  if (own_stop) everybody = std::stop_source();
  recording_ = by_events() ? std::make_shared<Recording>() : nullptr;
  if (too_late || options_.stop_token.stop_requested() || claimed() ||
      (own_stop && !shared_->flights.set_stop(*this, everybody, recording_) && flies_)) {
    if (const auto follower = hand_over()) follower->take_over(*this, std::move(core));
    release_lease(Lease::Outcome::failed);
    core.reset();
    return finish(too_late ? error_timeout() : error_cancelled());
  }

  watch_once();
  shared_->counters.model_calls.add();
  if (refresh_) {
    shared_->counters.refreshes.add();
    refresh_->asked = true;
  }
  step_started_ = Clock::now();
  Future<Completion> completion;
  try {
    CallOptions options{.timeout = left, .stop_token = options_.stop_token};
    if (own_stop) {
      options = {.timeout = flies_ ? std::nullopt : left, .stop_token = everybody.get_token()};
    }
    completion = by_events() ? ask_for_events(core->model(), std::move(options))
                             : core->model().complete(request_->request, std::move(options));
  } catch (...) {
    core.reset();
    return answered(error_of(ErrorCode::callback_failed, "Llm::complete() threw an exception"));
  }
  core.reset();
  if (!completion.valid()) {
    return answered(
        error_of(ErrorCode::abandoned, "Llm::complete() returned a future without a state"));
  }
  FutureAccess::on_ready(std::move(completion), [call = self()](Result<Completion> result) {
    call->guarded([&] { call->answered(std::move(result)); });
  });
}

void Call::answered(Result<Completion> completion) {
  const double latency_ms = ms_since(step_started_);
  if (recording_) completion = heard(std::move(completion));
  shared_->watchdog.disarm(this);
  if (!completion) return failed(std::move(completion).error());
  shared_->meter.spent(completion->usage, model_name());
  store(*completion);

  CachedAnswer answer;
  answer.latency_ms = latency_ms;
  answer.total_ms = ms_since(started_);
  answer.source = request_->bypass ? AnswerSource::bypass : AnswerSource::model;
  answer.cache_status = cache_status_;
  answer.bypass_reason = bypass_;
  answer.cache_error = std::move(cache_error_);
  answer.usage = completion->usage;
  answer.response = std::move(completion->text);
  answer.content = std::move(completion->content);
  answer.extra = std::move(completion->extra);
  answer.request_id = std::move(completion->request_id);
  answer.stop_reason = std::move(completion->stop_reason);
  answer.model = model_name();
  answer.key = request_->key;
  land(answer, shared_->counters.shared);
  finish(std::move(answer));
}

// The next one's failure is everybody's, or a model in trouble would be asked by all in turn.
void Call::failed(Error error) {
  shared_->counters.model_errors.add();
  if (refresh_) {
    shared_->counters.refresh_errors.add();
    return refresh_failed(std::move(error));
  }
  fail_who_have_heard(error);
  if (error.retryable && stale_still_serves()) return answer_stale(std::move(error));
  if (error.retryable && !last_try_) {
    if (const auto follower = hand_over()) {
      follower->last_try_ = true;
      follower->take_over(*this, core_.lock());
    }
  } else {
    land(error, shared_->counters.shared);
  }
  release_lease(Lease::Outcome::failed);
  finish(std::move(error));
}

// Unless it went to a follower.
void Call::release_lease(Lease::Outcome outcome) noexcept {
  if (const auto lease = std::exchange(lease_, nullptr); lease && lease->held) {
    lease->held->release(outcome);
  }
}

// Nobody need wait for an entry.
void Call::not_stored() noexcept {
  if (refresh_) rest_from_refreshing();
  release_lease(Lease::Outcome::not_stored);
}

void Call::store(const Completion& completion) {
  auto& counters = shared_->counters;
  std::string bytes;
  Ttl ttl;
  if (const auto reason = encode(completion, bytes, ttl); reason != Rejection::none) {
    counters.of(reason).add();
    return not_stored();
  }
  const auto core = core_.lock();
  if (!core) {  // destroyed meanwhile, and the connection with it
    counters.store_errors.add();
    return;
  }
  if (shared_->pending_stores.fetch_add(1, std::memory_order_relaxed) >=
      shared_->advanced().max_pending_stores) {
    shared_->pending_stores.fetch_sub(1, std::memory_order_relaxed);
    counters.store_dropped.add();
    return not_stored();
  }
  // The lease is kept until this is known: what failed is no entry to wait for.
  auto held = lease_ ? lease_->held : nullptr;
  lease_.reset();
  auto refresh = refresh_ ? self() : Ref<Call>();
  Future<bool> storing;
  try {
    storing = store_bytes(*core, std::move(bytes), ttl);
  } catch (...) {  // no memory
    Promise<bool> promise;
    promise.set(error_of(ErrorCode::overloaded, "there is no memory for the store"));
    storing = promise.future();
  }
  FutureAccess::on_ready(std::move(storing), [shared = shared_, refresh = std::move(refresh),
                                              held = std::move(held)](const Result<bool>& stored) {
    shared->pending_stores.fetch_sub(1, std::memory_order_relaxed);
    if (stored) {
      (*stored ? shared->counters.stored : shared->counters.of(Rejection::superseded)).add();
      shared->breaker.succeeded();
    } else {
      shared->counters.store_errors.add();
      shared->cache_failed(stored.error(), judge_store(stored.error()));
    }
    if (refresh && !stored) refresh->rest_from_refreshing();
    if (held) held->release(stored ? Lease::Outcome::stored : Lease::Outcome::not_stored);
  });
}

// False: something else stands there by now, and stays. Only leases care.
Future<bool> Call::store_bytes(const CachedLlmCore& core, std::string bytes, Ttl ttl) {
  const auto& cache = core.cache();
  const auto& key = request_->key;
  const CallOptions options{.timeout = shared_->advanced().store_timeout};
  if (!leases() && !refresh_) {
    Promise<bool> promise;
    auto future = promise.future();
    FutureAccess::on_ready(cache.set(key, std::move(bytes), ttl, options),
                           [promise = std::move(promise)](Result<void> stored) mutable {
                             promise.set(stored ? Result<bool>(true) : std::move(stored).error());
                           });
    return future;
  }
  if (!seen_) return cache.set_if_absent(key, std::move(bytes), ttl, options);
  // One after the other on one connection: what was seen may have come to its end meanwhile.
  auto replaced = cache.replace_if(key, *seen_, bytes, ttl, options);
  auto added = cache.set_if_absent(key, std::move(bytes), ttl, options);
  Promise<bool> promise;
  auto future = promise.future();
  FutureAccess::on_ready(std::move(replaced), [promise = std::move(promise),
                                               added = std::move(added)](Result<bool> was) mutable {
    FutureAccess::on_ready(std::move(added), [promise = std::move(promise),
                                              was = std::move(was)](Result<bool> now) mutable {
      promise.set(was && !*was ? std::move(now) : std::move(was));
    });
  });
  return future;
}

bool Call::stores_nothing() const noexcept {
  return options_.no_store || shared_->options.no_store;
}

std::optional<Ttl> Call::ttl_of(const Completion& completion) const {
  const auto& advanced = shared_->advanced();
  auto ttl = options_.ttl;
  if (ttl.is_unset() && advanced.ttl_policy) {
    try {
      ttl = advanced.ttl_policy(request_->request, completion);
    } catch (...) {
      return std::nullopt;
    }
    if (!ttl.is_valid()) return std::nullopt;
  }
  ttl = ttl.value_or(shared_->ttl);
  return advanced.ttl_jitter ? jittered(ttl, random_part()) : ttl;
}

Rejection Call::encode(const Completion& completion, std::string& bytes, Ttl& ttl) {
  const auto& advanced = shared_->advanced();
  if (stores_nothing()) return Rejection::no_store;
  if (request_->bypass) {
    return *request_->bypass == BypassReason::not_deterministic ? Rejection::not_deterministic
                                                                : Rejection::unpinned;
  }
  if (cache_status_ == CacheStatus::error || shared_->breaker.is_open()) {
    return Rejection::cache_error;
  }
  if (foreign_entry_) return Rejection::foreign_entry;

  const auto by_answer = judge_answer(completion, {.max_tokens = advanced.store_max_tokens,
                                                   .tool_use = advanced.store_tool_use,
                                                   .invoke = request_->request.is_invoke(),
                                                   .max_bytes = advanced.max_entry_bytes});
  if (by_answer != Rejection::none) {
    if (completion.stop_reason.empty()) {
      shared_->log_once(shared_->told_no_stop_reason, LogLevel::warning,
                        "the model gives no stop reason, so its answers are not stored: set "
                        "Completion::stop_reason to \"end_turn\" when the answer is whole");
    }
    return by_answer;
  }

  const auto chosen = ttl_of(completion);
  if (!chosen) {
    shared_->log_once(shared_->told_policy_failed, LogLevel::error,
                      "CachedLlmAdvanced::ttl_policy threw, or gave a TTL out of range: the answer "
                      "is not stored");
    return Rejection::predicate;
  }
  const auto lifetime = lifetime_of(*chosen, advanced);
  ttl = lifetime.hard;
  Entry entry{.response = completion.text,
              .content = completion.content,
              .model = model_name(),
              .stop_reason = completion.stop_reason,
              .usage = completion.usage,
              .created_ms = unix_time_ms(),
              .hard_ttl_ms = ttl.is_finite() ? ttl.duration().count() : 0,
              .soft_ttl_ms = lifetime.soft_ms,
              .events = recording_ ? recording_->to_json(completion) : std::string(),
              .extra = completion.extra};
  auto encoded = shared_->codec.encode(entry, request_->key, wire_key());
  if (!encoded && !entry.events.empty()) {  // better without its boundaries than not at all
    entry.events.clear();
    encoded = shared_->codec.encode(entry, request_->key, wire_key());
  }
  if (!encoded) {
    return encoded.error().code == ErrorCode::too_large ? Rejection::too_large
                                                        : Rejection::malformed;
  }

  bool threw = false;
  if (!predicate_allows(shared_->options.predicate, request_->request, completion, threw)) {
    if (threw) {
      shared_->log_once(shared_->told_predicate_threw, LogLevel::error,
                        "CachedLlmOptions::predicate threw: the answer is not stored");
    }
    return Rejection::predicate;
  }
  bytes = *std::move(encoded);
  return Rejection::none;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
