// One call of ask(), from the question to the stored answer.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/detail/future_state.hpp>
#include <valkeycache/future.hpp>
#include <valkeycache/llm.hpp>
#include <valkeycache/result.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cached/call_errors.hpp"
#include "cached/core.hpp"
#include "cached/counters.hpp"
#include "cached/flights.hpp"
#include "cached/freshness.hpp"
#include "cached/lease.hpp"
#include "cached/recording.hpp"
#include "cached/refreshes.hpp"
#include "cached/shared.hpp"
#include "cached/stream_reader.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// The state of one call and of its future: one allocation. Its steps follow one another, each on
// the thread that the last one's result came from:
//
//   start      the caller's thread, which also answers by itself what the near cache has
//   looked_up  the cache's I/O thread: decodes the entry; on a miss calls Llm::complete()
//   answered   the model's thread: judges, encodes and issues the store, then publishes the answer
//
// Calls with one key at one time are a flight (see call_flight.cpp): the first of them takes these
// steps, the others wait for its answer. Its steps go on when its own future has ended early, for
// those others.
//
// Only the future may end early, by the watchdog. A whole answer that comes after that is stored
// all the same: it has been paid for.
//
// A refresh (see call_stale.cpp) is a call too, without a caller: nobody has its future.
class Call final : public FlightNode {
 public:
  static Future<CachedAnswer> start(const std::shared_ptr<CachedLlmCore>& core,
                                    std::string_view prompt, AskOptions options);
  static Future<CachedAnswer> start(const std::shared_ptr<CachedLlmCore>& core,
                                    const ChatRequest& request, AskOptions options);

  static Future<CachedAnswer> stream(const std::shared_ptr<CachedLlmCore>& core,
                                     const ChatRequest& request, StreamHandler on_event,
                                     AskOptions options);

  // By its reader: every event was told.
  void told(Result<CachedAnswer> result) noexcept;
  // Why the handler is to be called no more.
  [[nodiscard]] std::optional<Error> why_stop() const;
  // The handler cannot go on. True: nobody else has ended the call.
  bool give_up() noexcept;
  [[nodiscard]] const Executor& executor() const noexcept;
  void report_executor() const noexcept;

  // By the watchdog, which watches nothing else.
  static void end_watched(FutureState<CachedAnswer>& state, Error error);

  // Use start().
  Call(const std::shared_ptr<CachedLlmCore>& core, AskOptions options);

 private:
  using Clock = std::chrono::steady_clock;
  struct OnStop {
    Call* call;
    void operator()() const noexcept;
  };

  template <class Question>
  static Future<CachedAnswer> start_with(const std::shared_ptr<CachedLlmCore>& core,
                                         const Question& question, AskOptions options);
  template <class Question>
  static Future<CachedAnswer> started(Ref<Call> call, const std::shared_ptr<CachedLlmCore>& core,
                                      const Question& question);
  template <class Question>
  std::optional<Error> prepare(const CachedLlmCore& core, const Question& question);
  [[nodiscard]] std::optional<Error> check() const;
  [[nodiscard]] bool looks_up() const noexcept;
  // By the near cache alone. True: answered. Before there is a request only what was decoded
  // before.
  bool answer_near(const CachedLlmCore& core, std::string_view prompt);
  bool answer_near(const CachedLlmCore& core, const ChatRequest& request);
  bool answer_near(const CachedLlmCore& core);
  void begin(const std::shared_ptr<CachedLlmCore>& core);
  void lead(const std::shared_ptr<CachedLlmCore>& core);
  void look_up(const std::shared_ptr<CachedLlmCore>& core);
  // `left`: of the entry's TTL, where that was asked for.
  void looked_up(Result<std::optional<std::string>> found, Result<std::optional<Ttl>> left);
  [[nodiscard]] bool asks_age() const noexcept;
  void lookup_failed(Error error);
  void without_cache(Error error, std::shared_ptr<CachedLlmCore> core);
  void missed(EntryFault fault);
  void unreadable(EntryFault fault);
  [[nodiscard]] CachedAnswer answer_of(Entry entry) const;
  // `age`: none where only the entry tells.
  void hit(Entry entry, const CacheKey& key, AnswerSource source,
           std::optional<std::chrono::milliseconds> age);
  void ask_model(std::shared_ptr<CachedLlmCore> core);
  void answered(Result<Completion> completion);
  void failed(Error error);
  void store(const Completion& completion);
  void not_stored() noexcept;
  Future<bool> store_bytes(const CachedLlmCore& core, std::string bytes, Ttl ttl);
  Rejection encode(const Completion& completion, std::string& bytes, Ttl& ttl);
  // Of an answer that is to be stored; none where the user's policy gives no usable one.
  [[nodiscard]] std::optional<Ttl> ttl_of(const Completion& completion) const;
  [[nodiscard]] bool stores_nothing() const noexcept;
  void count_bypass() noexcept;
  void end(Error error);
  // Every end but the first one is ignored.
  void finish(Result<CachedAnswer> result) noexcept;
  void conclude(Result<CachedAnswer> result, const std::shared_ptr<Recording>& replay) noexcept;
  void record(Result<CachedAnswer> result) noexcept;

  // Events.
  std::shared_ptr<Recording> replay(const CachedAnswer& answer);
  Future<Completion> ask_for_events(Llm& model, CallOptions options);
  Result<Completion> heard(Result<Completion> completion);
  void fail_who_have_heard(const Error& error) noexcept;

  // The lease.
  [[nodiscard]] bool leases() const noexcept;
  void take_lease(std::shared_ptr<CachedLlmCore> core);
  void try_lease(std::shared_ptr<CachedLlmCore> core);
  void lease_tried(const Result<bool>& taken,
                   Result<std::vector<Result<std::optional<std::string>>>> found);
  // False: it is pointless, somebody in the flight cannot wait that long.
  bool pause_for(std::chrono::milliseconds pause);
  // Ends the pause, if it is still this one.
  bool end_pause(Clock::rep until) noexcept;
  // By a follower: its patience ends within the pause.
  void hurry(Call& leading);
  void hurried() noexcept;
  void give_up_lease(std::shared_ptr<CachedLlmCore> core);
  void found_by_lease(Entry entry);
  void release_lease(Lease::Outcome outcome) noexcept;

  // What is stale.
  struct StaleEntry {
    Entry entry;
    std::chrono::milliseconds age;
    Clock::time_point found;
  };
  struct Refresh {
    Refreshes::Ticket ticket;
    Entry stale;  // its times only
    bool by_events = false;
    bool asked = false;  // the model
  };
  [[nodiscard]] static std::chrono::milliseconds age_of(const StaleEntry& stale);
  [[nodiscard]] bool stale_still_serves() const noexcept;
  void answer_stale(Error error);
  void refresh_behind(const Entry& entry, std::string_view bytes) noexcept;
  void take_refresh_lease(const CachedLlmCore& core);
  void look_again(Result<bool> taken, const CallOptions& options);
  void refresh_lease_tried(const Result<bool>& taken, const Result<std::optional<Ttl>>& left);
  void refresh_failed(Error error);
  void rest_from_refreshing() noexcept;
  // Its answer is wanted as events.
  [[nodiscard]] bool by_events() const noexcept {
    return reader != nullptr || (refresh_ && refresh_->by_events);
  }

  // The flight.
  [[nodiscard]] bool flies() const noexcept;
  bool join_flight();
  void somebody_follows() noexcept;
  void watch();
  void watch_once();
  void depart() noexcept;
  [[nodiscard]] bool late() const noexcept;
  static bool can_lead(const FlightNode& node) noexcept;
  Ref<Call> hand_over() noexcept;
  void take_over(Call& leading, std::shared_ptr<CachedLlmCore> core) noexcept;
  // Gives all followers the error, or a copy of the answer; each is counted there.
  void land(const Error& error, Counter& counter) noexcept;
  void land(const CachedAnswer& answer, Counter& counter) noexcept;
  template <class Make>
  void claim_for(Counter& counter, Make make,
                 const std::shared_ptr<Recording>& replay = nullptr) noexcept;
  template <class Visit>
  static void for_each(Flights::Chain chain, Visit visit) noexcept;

  // Runs a step; what it throws (memory, a user's copy constructor) ends the call.
  template <class Step>
  void guarded(Step step) noexcept;

  Ref<Call> self() noexcept { return Ref<Call>::share(this); }
  [[nodiscard]] std::string wire_key() const { return shared_->prefix + request_->key.path(); }
  [[nodiscard]] const std::string& model_name() const noexcept;
  // Not after the deadline; nullopt: no deadline.
  [[nodiscard]] std::optional<std::chrono::milliseconds> time_left() const;
  [[nodiscard]] static double ms_since(Clock::time_point then);

  const std::shared_ptr<CallShared> shared_;
  const std::weak_ptr<CachedLlmCore> core_;
  // Who waits for the answer may carry the look-up himself: what keeps the one who lets him.
  std::shared_ptr<const void> lookup_help_;
  const AskOptions options_;
  std::optional<PreparedRequest> request_;
  Clock::time_point started_;
  Clock::time_point step_started_{};
  std::optional<Clock::time_point> deadline_;
  CacheStatus cache_status_ = CacheStatus::miss;
  std::optional<Error> cache_error_;
  std::optional<BypassReason> bypass_;
  bool foreign_entry_ = false;
  bool watched_ = false;
  bool ended_early_ = false;              // by the watchdog
  std::shared_ptr<Recording> recording_;  // of the answer's events, as far as they are needed
  std::string events_;                    // as the entry had them
  std::optional<std::string> seen_;       // what the lookup found, and was no answer
  std::unique_ptr<StaleEntry> stale_;     // the same, but good enough if the model fails
  std::unique_ptr<Refresh> refresh_;      // this is one
  std::unique_ptr<LeaseWait> lease_;
  std::atomic<Clock::rep> pauses_until_{0};  // between two looks at another's lease; 0: does not
  bool near_looked_ = false;
  NearHit near_;           // found, but not decoded yet
  bool flies_ = false;     // set before it joins
  bool last_try_ = false;  // the call before it, in this flight, has failed
  std::atomic<bool> followed_{false};
  std::atomic<WaitHelper*> lookup_helper_{nullptr};
  // Last: its destructor waits for a callback under way, which uses the members above.
  std::optional<std::stop_callback<OnStop>> on_stop_;
};

template <class Step>
void Call::guarded(Step step) noexcept {
  try {
    step();
  } catch (...) {
    const auto error =
        error_of(ErrorCode::callback_failed, "a step of the call threw an exception");
    shared_->watchdog.disarm(this);
    land(error, shared_->counters.shared);
    finish(error);
    depart();
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
