// CachedLlm: the cache-aside call. Look in Valkey; on a miss ask the model, answer, and store.
//
// A cache failure never fails an answer: with Valkey down, slow, full or returning garbage the
// model is asked, and the answer says so. Thread-safe; copies share one core.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/content.hpp>
#include <valkeycache/entry.hpp>
#include <valkeycache/future.hpp>
#include <valkeycache/hooks.hpp>
#include <valkeycache/llm.hpp>
#include <valkeycache/observer.hpp>
#include <valkeycache/result.hpp>
#include <valkeycache/stats.hpp>
#include <valkeycache/ttl.hpp>
#include <valkeycache/valkey_cache.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {

enum class AnswerSource : std::uint8_t {
  near,    // this process's own tier
  valkey,  // an entry
  model,   // asked for this call
  shared,  // asked by another caller at the same time
  stale,   // an entry past its TTL; see CachedLlmAdvanced::stale_while_revalidate
  bypass,  // asked, and by its nature neither looked up nor stored
};
enum class CacheStatus : std::uint8_t {
  hit,
  miss,
  bypass,  // the cache was not looked at; see CachedAnswer::bypass_reason
  error,   // the cache could not be used; see CachedAnswer::cache_error
};
// Why the cache was not looked at. All but the first are in the nature of the request, which is not
// stored either.
enum class BypassReason : std::uint8_t {
  refresh,             // asked for
  draft_guardrail,     // a guardrail's version "DRAFT" can change at any time
  s3_input,            // so can what lies in S3
  unversioned_prompt,  // a prompt's ARN without a version
  not_deterministic,   // CachedLlmAdvanced::deterministic_only, and the temperature is not 0
};
VALKEYCACHE_API const char* to_string(AnswerSource source) noexcept;
VALKEYCACHE_API const char* to_string(CacheStatus status) noexcept;
VALKEYCACHE_API const char* to_string(BypassReason reason) noexcept;

struct CachedAnswer {
  std::string response;
  bool cached = false;    // from an entry
  double latency_ms = 0;  // the guide's: the lookup on a hit, the model call on a miss
  double total_ms = 0;    // from ask() to the answer
  AnswerSource source = AnswerSource::model;
  CacheStatus cache_status = CacheStatus::miss;
  // Why the cache could not be used, with status error: the lookup's error, or the last one of
  // those that opened the breaker.
  std::optional<Error> cache_error = {};
  std::optional<BypassReason> bypass_reason = {};  // with status bypass
  // With source stale and status miss: why the model gave no answer (stale_if_error).
  std::optional<Error> model_error = {};
  // Time since the entry was stored; 0 for a fresh answer. By the storing machine's clock, or by
  // what is left of its TTL where that was asked for (stale_while_revalidate, stale_if_error,
  // max_age).
  std::chrono::milliseconds age{0};
  Usage usage = {};          // tokens spent by this call
  Usage avoided_usage = {};  // tokens that the entry saved
  std::string stop_reason = {};
  std::string content = {};     // content blocks as Converse JSON, where there is more than text
  std::string extra = {};       // Completion::extra: trace and the like, a JSON object or empty
  std::string request_id = {};  // of a fresh answer
  std::string model = {};
  std::optional<CacheKey> key = {};
};

// The tools that the model asks for; empty when it asks for none.
inline std::vector<ToolUse> tool_uses(const CachedAnswer& answer) {
  return tool_uses(std::string_view(answer.content));
}
// The answer's blocks, as they go back into a conversation:
//   request.assistant(content_of(answer)).user({Content::tool_result(...)})
inline std::vector<Content> content_of(const CachedAnswer& answer) {
  return content_of(answer.response, answer.content);
}

// Decides last whether an answer that passed all other rules is stored. What it throws counts as
// no.
using AdmissionPredicate = std::function<bool(const ChatRequest&, const Completion&)>;
// The TTL of an answer that is about to be stored; an unset one: the next default applies.
using TtlPolicy = std::function<Ttl(const ChatRequest&, const Completion&)>;

// What few programs need to change.
struct CachedLlmAdvanced {
  // Keys: see KeyOptions. A key_model different from the model's own id shares entries with Python
  // services only in EntryFormat::langgraph; otherwise each overwrites the other's (a warning says
  // so).
  KeyOptions key = {};  // default: the guide's keys, which whoever knows a prompt can compute
  // How entries are written, and which are read; those in the other format count as misses. The
  // standard one holds whole answers, usage and MACs, but means nothing to the Python ValkeyCache.
  EntryFormat format = EntryFormat::standard;

  // Of ask(prompt), and part of its key. The guide's: answers vary, and the first is everybody's.
  double temperature = 0.7;

  // Only requests of temperature 0 are cached. The others, and those that say no temperature, pass
  // by the cache (AnswerSource::bypass). Default: all are, so that who asks a second time at
  // temperature 0.7 gets the first answer again.
  bool deterministic_only = false;
  // Answers cut by max_tokens are stored too; default: no.
  bool store_max_tokens = false;
  // Answers that call tools are stored too; default: no, since toolUseIds repeat.
  bool store_tool_use = false;
  // A longer entry is not stored (rejected_too_large), so that one answer cannot take a million
  // others' room.
  std::size_t max_entry_bytes = std::size_t{1} << 20;

  // The most that a lookup may delay an answer: a Valkey that hangs costs each call a tenth of a
  // second until the breaker opens. Until the first connection stands it is connect_timeout longer.
  std::chrono::milliseconds command_timeout{100};
  std::chrono::milliseconds connect_timeout{250};
  // How long a store may take. Nobody waits for it.
  std::chrono::milliseconds store_timeout{1000};
  // Stores waiting for Valkey; more are dropped and counted.
  std::size_t max_pending_stores = 1024;

  // After this many cache failures in a row no more calls try the cache for the time below; then a
  // PING off the calls' path decides. 0: no breaker. Time-outs count, those by a caller's own short
  // deadline too; cancellations, a full queue of our own, what concerns one key (WRONGTYPE,
  // too_large) and stores that the server refuses do not.
  int breaker_failures = 5;
  std::chrono::milliseconds breaker_open{5000};

  // One flight for all who ask with one key at one time in this process: one lookup, one call of
  // the model, and a copy of the answer for each (AnswerSource::shared). Each keeps its own
  // deadline and stop_token; the model's call is given neither, but ends when the last who waits
  // has gone. An error is everybody's, except that after a retryable one a single further caller
  // asks again. refresh and no_store fly apart, cache_only never joins. What else differs between
  // callers (AskOptions::ttl, members outside the key) is the first one's. False: everybody asks
  // alone.
  bool single_flight = true;

  // One call of the model for all processes that ask with one key at one time: who finds no entry
  // takes a lease beside it for so long, and extends it while the model is asked; the others look
  // for its entry again and again until the lease has ended, but no longer than half of the time
  // that they have (AnswerSource::shared). A holder that dies is replaced once its lease has run
  // out. One whose answer is not stored sends the others to the model without a lease, and so does
  // a Valkey that fails. With leases an answer is stored only where nobody else has stored
  // meanwhile, so that a holder which was stopped and goes on overwrites nothing. Calls with
  // refresh or no_store take none. 0: no lease, and no command more than a lookup and a store.
  std::chrono::milliseconds lease{0};
  // No lease is extended for longer, nor waited for: a model that takes longer is asked by another
  // process, too, and the first answer that comes is stored.
  std::chrono::milliseconds lease_life{std::chrono::minutes(5)};

  // Goes before CachedLlmOptions::ttl, after AskOptions::ttl. An answer for which it throws or
  // gives a TTL out of range is not stored. Empty: no such function.
  TtlPolicy ttl_policy = {};
  // A TTL becomes up to a tenth shorter, at random and by whole seconds, so that what was stored
  // together does not expire together. False: TTLs are kept to.
  bool ttl_jitter = false;

  // An entry is kept so much longer than its TTL. Who finds it then is answered with it at once
  // (AnswerSource::stale), and one refresh runs behind, for all processes: the model is asked, and
  // its answer replaces the entry. Lookups ask for what is left of the TTL then, too (PTTL), so
  // that nobody's clock matters. Neither cache_only nor no_store calls refresh. 0: an entry ends
  // with its TTL, and no command more is sent.
  std::chrono::milliseconds stale_while_revalidate{0};
  // Likewise an entry is kept so much longer than its TTL, and is the answer when the model is
  // asked and fails with a retryable error. The larger of both decides how long it is kept. 0: the
  // error is the call's.
  std::chrono::milliseconds stale_if_error{0};
  // A refresh takes a lease for so long, and extends it while the model is asked. One that brings
  // no entry leaves a mark for so long: nobody refreshes that key meanwhile, so that a model in
  // trouble is asked once in ten seconds for each key that is stale.
  std::chrono::milliseconds refresh_lease{std::chrono::seconds(10)};
  // Refreshes under way in this process at one time; stale hits beyond leave theirs to later ones.
  std::size_t max_refreshes = 64;

  // A lookup that fails, or that the breaker spares, fails the call, for those who want it. A store
  // never does: by then the answer has been paid for.
  bool strict = false;

  // Where continuations of ask() run; empty: on the thread that has the answer (the cache's or the
  // model's I/O thread; a thread of CachedLlm's own for calls that it ends itself, cancelled or out
  // of time). The steps inside a call never wait for an executor, not for the cache's or the
  // model's either.
  Executor executor = {};
  // Told of what its owner should know, without text of anybody's; empty: nobody is.
  LogHook log = {};

  // What tokens cost. Empty: tokens are summed, costs stay 0.
  PriceTable prices = {};
  // Told of each call; see CallObserver for what it may do. Empty: nobody is, at no cost.
  CallObserver observer = {};
};

struct CachedLlmOptions {
  // Unset: the cache's own default.
  Ttl ttl = {};
  // For every call but those with cache_only: ask the model anyway, store the answer. Default: what
  // is there is the answer.
  bool refresh = false;
  // For every call: look up, but store nothing. Default: what may be stored is.
  bool no_store = false;
  // Empty: every answer that is whole, safe to repeat and short enough is stored.
  AdmissionPredicate predicate = {};
  CachedLlmAdvanced advanced = {};
};

// For one call; what is unset comes from CachedLlmOptions.
struct AskOptions {
  Ttl ttl = {};
  bool refresh = false;
  bool no_store = false;
  // Never ask the model: a miss is ErrorCode::cache_miss, and a cache failure is the call's. Not
  // together with refresh.
  bool cache_only = false;
  // An older entry is a miss, and the fresh answer replaces it; so is one whose age cannot be told,
  // as of those that Python services made. Costs a PTTL at each lookup. Callers who say different
  // ages share no flight. Unset: an entry is good for as long as it is there.
  std::optional<std::chrono::milliseconds> max_age = {};
  // The whole call. Unset: the model's own time-out decides, as it does in any case for how long
  // a model call goes on for others. The call ends then even when the model goes on; its answer is
  // stored all the same.
  std::optional<std::chrono::milliseconds> timeout = {};
  // Triggered: the call ends with ErrorCode::cancelled, likewise.
  std::stop_token stop_token = {};
  // For the observer, which gets it in its record. Neither sent nor stored. Default: no parent.
  TraceParent trace_parent = {};
};

// Counters since construction, read one by one, so not a consistent cut. With nothing under way:
//   calls       = refused + hits + stale + misses + shared + bypassed + cache_errors + unfinished
//   bypassed    = bypassed_*
//   model_calls = model_errors + stored + store_errors + store_dropped + rejected_*
struct CachedLlmStats {
  std::uint64_t calls = 0;
  std::uint64_t refused = 0;  // an unusable argument, or cancelled or out of time from the start
  std::uint64_t hits = 0;
  std::uint64_t stale = 0;  // answered at once by an entry past its TTL
  std::uint64_t misses = 0;
  // Ended by what the model said to another caller with the same key: its answer, or its error.
  std::uint64_t shared = 0;
  std::uint64_t bypassed = 0;      // refresh, or a request that is never stored
  std::uint64_t cache_errors = 0;  // lookups that failed or that the breaker spared
  // By BypassReason.
  std::uint64_t bypassed_refresh = 0;
  std::uint64_t bypassed_draft_guardrail = 0;
  std::uint64_t bypassed_s3_input = 0;
  std::uint64_t bypassed_unversioned_prompt = 0;
  std::uint64_t bypassed_not_deterministic = 0;
  // Cancelled, out of time or closed before the cache had answered, or while another asked.
  std::uint64_t unfinished = 0;
  std::uint64_t model_calls = 0;
  std::uint64_t model_errors = 0;
  // Of model_calls and model_errors: those behind stale hits, which are no calls of anybody's.
  std::uint64_t refreshes = 0;
  std::uint64_t refresh_errors = 0;
  // Of misses and shared: answered by an entry past its TTL, since the model failed.
  std::uint64_t stale_if_error = 0;
  std::uint64_t stored = 0;
  std::uint64_t store_errors = 0;
  std::uint64_t store_dropped = 0;  // the bound on pending stores
  // Answers not stored, by the first reason that applied.
  std::uint64_t rejected_no_store = 0;
  std::uint64_t rejected_unpinned = 0;  // the request names something that can change
  std::uint64_t rejected_not_deterministic = 0;
  std::uint64_t rejected_cache_error = 0;    // the lookup had failed, or the breaker was open
  std::uint64_t rejected_foreign_entry = 0;  // a Python service's entry stands in its place
  std::uint64_t rejected_stop_reason = 0;
  std::uint64_t rejected_filtered = 0;   // by a guardrail or content filter
  std::uint64_t rejected_malformed = 0;  // by the model's own word, or no valid UTF-8 or JSON
  std::uint64_t rejected_empty = 0;
  std::uint64_t rejected_too_large = 0;
  std::uint64_t rejected_predicate = 0;   // or the TTL policy
  std::uint64_t rejected_superseded = 0;  // another process's answer stood there already
  // Entries found that were no answers; each a miss.
  std::uint64_t corrupt_entries = 0;
  std::uint64_t wrong_digest = 0;
  std::uint64_t bad_mac = 0;
  std::uint64_t foreign_format = 0;
  std::uint64_t unsupported_entries = 0;
  bool breaker_open = false;
  std::uint64_t breaker_trips = 0;

  std::uint64_t failed = 0;  // calls that ended with an error, whatever it was
  // Tokens of models' answers, also of those whose callers had gone, and tokens that entries
  // spared. One is no part of the other.
  TokenTotals consumed = {};
  TokenTotals avoided = {};
  // The same by CachedLlmAdvanced::prices.
  double consumed_cost = 0;
  double avoided_cost = 0;
  std::string currency = {};
  std::uint64_t unpriced = 0;  // answers and hits that are in no cost: their model has no price
  // CachedAnswer::total_ms by AnswerSource.
  std::array<LatencyHistogram, 6> latency = {};
  [[nodiscard]] const LatencyHistogram& latency_of(AnswerSource source) const noexcept {
    return latency[static_cast<std::size_t>(source)];
  }
};

namespace detail {
class CachedLlmCore;
struct CachedLlmAccess;
}

// Destroying the last copy closes its share of cache and model. Asks that wait for the model end
// with ErrorCode::closed then, the others likewise unless the cache has their answer; no pending
// future is left without a result.
class VALKEYCACHE_API CachedLlm {
 public:
  // Never fails: an unusable option (a TTL or time-out out of range, a null model) is what each
  // ask() answers with, as ErrorCode::invalid_argument naming it.
  //
  // Takes any handle derived from Llm (it is copied whole) or a shared pointer to one.
  template <class Model>
  requires std::is_base_of_v<Llm, std::remove_cvref_t<Model>> CachedLlm(
      ValkeyCache cache, Model&& model, CachedLlmOptions options = {})
      : CachedLlm(std::move(cache),
                  std::shared_ptr<Llm>(
                      std::make_shared<std::remove_cvref_t<Model>>(std::forward<Model>(model))),
                  std::move(options)) {}
  CachedLlm(ValkeyCache cache, std::shared_ptr<Llm> model, CachedLlmOptions options = {});

  // A user prompt, to the client's model, at CachedLlmAdvanced::temperature. It is sent as it is
  // hashed, stripped at both ends; blank after that is ErrorCode::invalid_argument.
  //
  // Does not block. The store is issued before the answer is published and not waited for: a
  // program may leave main with its answer, for destroying the last ValkeyCache waits for stores.
  //
  // A request that names something which can change behind its name is neither looked up nor stored
  // (AnswerSource::bypass; BypassReason tells what).
  //
  // Errors: the model's; those of the arguments (invalid_argument), before anything is sent;
  // timeout, cancelled; cache_miss; closed, forked; the cache's own only with strict or cache_only.
  Future<CachedAnswer> ask(std::string_view prompt, AskOptions options = {}) const;
  // A request that has the simple key is sent in the form that was hashed (ChatRequest::
  // normalized()), any other as it is.
  Future<CachedAnswer> ask(const ChatRequest& request, AskOptions options = {}) const;

  // The same with the answer's events: a miss passes them on as they arrive; a hit tells them again
  // as they came, with the same boundaries, or one for each block where the entry was made by
  // ask(). Who comes while another's stream is under way hears what it has said so far and then
  // the rest. Each handler has its own pace and is called for one event after the other, on the
  // executor or on a thread of a pool; it may block, and holds up nobody else. What it throws, and
  // the stop_token, end this caller's part only. The future becomes ready when the handler has
  // returned for the last time and is destroyed.
  //
  // A stream that breaks off is not stored. Who has heard something of it gets the error; of the
  // others, after a retryable one, a single one asks again for all. At most 32 MiB of events are
  // kept for those who listen: a longer stream is ErrorCode::too_large. A request made by
  // ChatRequest::invoke() is ErrorCode::unsupported.
  Future<CachedAnswer> stream(const ChatRequest& request, StreamHandler on_event,
                              AskOptions options = {}) const;

  // The key under which ask() looks. Pure computation.
  [[nodiscard]] Result<CacheKey> key_of(std::string_view prompt) const;
  [[nodiscard]] Result<CacheKey> key_of(const ChatRequest& request) const;

  [[nodiscard]] CachedLlmStats stats() const;

 private:
  friend struct detail::CachedLlmAccess;
  std::shared_ptr<detail::CachedLlmCore> core_;
};

}  // namespace valkeycache::inline v0
