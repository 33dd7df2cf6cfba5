// warm(): fills the cache from a range of requests, before anybody asks.
//
// What has an entry already costs a lookup and no call of the model, so that a run which was cut
// short is resumed by running it again.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/llm.hpp>
#include <valkeycache/result.hpp>
#include <valkeycache/ttl.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {

// A prompt, as CachedLlm::ask(prompt) takes it, or a request.
class WarmRequest {
 public:
  WarmRequest(ChatRequest request) : request_(std::move(request)) {}  // implicit on purpose
  template <class Text>
  requires std::is_convertible_v<const Text&, std::string_view> WarmRequest(const Text& prompt)
      : prompt_(std::string_view(prompt)) {}

  // Null for a prompt.
  [[nodiscard]] const ChatRequest* request() const noexcept {
    return request_ ? &*request_ : nullptr;
  }
  [[nodiscard]] const std::string& prompt() const noexcept { return prompt_; }

 private:
  std::optional<ChatRequest> request_;
  std::string prompt_;
};

struct WarmFailure {
  std::uint64_t index = 0;  // in the range, from 0
  ErrorCode code = ErrorCode::invalid_argument;
};

// With nothing under way:
//   requests = skipped + stored + not_stored + unstorable + failed + cancelled
//   asked    = stored + not_stored + those of failed and cancelled that had been asked
struct WarmReport {
  std::uint64_t requests = 0;    // taken from the range
  std::uint64_t skipped = 0;     // had an entry
  std::uint64_t asked = 0;       // made an ask(); equal requests at one time share one call
  std::uint64_t stored = 0;      // have an entry now, as Valkey says
  std::uint64_t not_stored = 0;  // answered, but not stored: the rules of admission, or Valkey
  // Not asked, since no answer could be stored: something in the request can change behind its
  // name, or a Python service's entry stands in the way.
  std::uint64_t unstorable = 0;
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;  // begun when the stop_token was triggered
  // By kind of error, in the order of their first occurrence.
  std::vector<std::pair<ErrorCode, std::uint64_t>> errors = {};
  // The first WarmOptions::max_failures of them, in the order in which they failed.
  std::vector<WarmFailure> failures = {};
  std::chrono::nanoseconds elapsed{0};
  // Why the range was not taken to its end: cancelled, or callback_failed when the range threw.
  std::optional<ErrorCode> stopped = {};
};

struct WarmOptions {
  // Requests under way at one time; at least 1.
  std::size_t concurrency = 8;
  // Asks begun in a second. A run that has fallen behind catches up for at most a tenth of a
  // second: no time T sees more than per_second * (T + 0.1 s) + 1 of them. 0: no limit.
  double per_second = 0;
  // Of the entries. Unset: as CachedLlmOptions has it.
  Ttl ttl = {};
  // For each ask. Unset: the model's own time-out decides.
  std::optional<std::chrono::milliseconds> timeout = {};
  // Triggered: nothing more is begun, what is under way is cancelled, and the report is returned.
  std::stop_token stop_token = {};
  // Called on the thread that called warm(), whenever requests have ended. What it throws is
  // ignored; the log says so.
  std::function<void(const WarmReport&)> progress = {};
  std::size_t max_failures = 10000;
};

// Blocks until each request has an entry, or has been tried once. Takes a request when there is
// room for it, on the calling thread, so that the range may be as long as one likes or read from a
// file: memory is in proportion to `concurrency`. Failures are told, not retried (the model's
// client has its own retries). A request whose lookup fails is not asked, since its answer might
// not be stored.
//
// The lookups are no calls in CachedLlm::stats(); the asks are.
//
// Errors: invalid_argument (an option out of range, a CachedLlm that stores nothing or cannot be
// used), would_deadlock on a thread that completes futures, closed, forked.
VALKEYCACHE_API Result<WarmReport> warm_from(
    const CachedLlm& llm, const std::function<std::optional<WarmRequest>()>& next,
    const WarmOptions& options = {});

// The same for a range of prompts (anything that a string_view is made of) or ChatRequests.
template <class Range>
Result<WarmReport> warm(const CachedLlm& llm, const Range& requests,
                        const WarmOptions& options = {}) {
  auto at = std::begin(requests);
  const auto end = std::end(requests);
  return warm_from(
      llm,
      [&]() -> std::optional<WarmRequest> {
        if (at == end) return std::nullopt;
        std::optional<WarmRequest> request{WarmRequest(*at)};
        ++at;
        return request;
      },
      options);
}

}  // namespace valkeycache::inline v0
