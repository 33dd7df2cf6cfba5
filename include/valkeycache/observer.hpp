// What a program can be told of each call: enough for a span or a log line, and never a text.
#pragma once

#include <valkeycache/llm.hpp>
#include <valkeycache/result.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {

enum class AnswerSource : std::uint8_t;
enum class CacheStatus : std::uint8_t;
enum class BypassReason : std::uint8_t;

// A caller's span, by its ids in W3C's Trace Context and in OpenTelemetry. Zeros: none.
struct TraceParent {
  std::array<std::uint8_t, 16> trace_id{};
  std::array<std::uint8_t, 8> span_id{};
  friend bool operator==(const TraceParent&, const TraceParent&) = default;
};

// A call that has ended. Its views are valid only while the observer runs.
struct CallRecord {
  std::chrono::system_clock::time_point start = {};  // the end's time less the duration
  std::chrono::system_clock::time_point end = {};
  std::chrono::nanoseconds duration{0};  // by a clock that is never set
  // Of an answer; none for a call that failed.
  std::optional<AnswerSource> source = {};
  std::optional<CacheStatus> cache_status = {};
  std::optional<ErrorCode> error = {};        // why the call failed
  std::optional<ErrorCode> cache_error = {};  // why the cache could not be used
  std::optional<ErrorCode> model_error = {};  // why a stale entry is the answer of a miss
  std::optional<BypassReason> bypass_reason = {};
  TraceParent trace_parent = {};  // AskOptions::trace_parent
  // No caller's: the refresh behind a stale hit, from its beginning to the model's answer.
  bool refresh = false;
  // 16 hex digits: of the key's HMAC where KeyOptions::secret is set, else good within this process
  // only. Empty for a call that ended before it had a key.
  std::string_view key_id = {};
  std::string_view model = {};
  Usage usage = {};          // spent by this call
  Usage avoided_usage = {};  // spared by the entry
  // None without a price of the model.
  std::optional<double> cost = {};
  std::optional<double> avoided_cost = {};
  std::string_view currency = {};
  std::size_t request_bytes = 0;   // of what was hashed
  std::size_t response_bytes = 0;  // text and content blocks
  std::chrono::milliseconds age{0};
};

// Called once for each call, before its future becomes ready, and for each refresh that asked the
// model, on the thread that ends it: the caller's for a hit of the near cache, else an I/O thread,
// which serves nobody else meanwhile. So it must be thread-safe and quick: hand the record's values
// to a queue. While it blocks, that call and others wait. What it throws is swallowed; the log says
// so once.
using CallObserver = std::function<void(const CallRecord&)>;

// The record as one line of JSON, without a newline. Members: start_ns and end_ns (Unix time),
// duration_ms, source, cache_status, error, cache_error, model_error, bypass_reason, trace_id,
// parent_span_id (both in hex), refresh, key, model, usage, avoided_usage, cost, avoided_cost,
// currency, request_bytes, response_bytes, age_ms; what is none, empty or false is left out.
VALKEYCACHE_API std::string json_line(const CallRecord& record);

// An observer that gives each call's line to `sink`, under the same rules.
VALKEYCACHE_API CallObserver json_lines(std::function<void(std::string_view)> sink);

}  // namespace valkeycache::inline v0
