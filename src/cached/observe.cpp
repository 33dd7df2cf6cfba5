#include "cached/observe.hpp"

#include <valkeycache/observer.hpp>

#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/crypto.hpp"
#include "key/key_data.hpp"
#include "key/log_id.hpp"

namespace valkeycache::inline v0 {
namespace detail {

namespace {

void tell(const CallShared& shared, const CallFacts& facts, const Result<CachedAnswer>& result) {
  const auto& prices = shared.advanced().prices;
  CallRecord record;
  record.duration = std::chrono::steady_clock::now() - facts.started;
  record.end = std::chrono::system_clock::now();
  record.start =
      record.end - std::chrono::duration_cast<std::chrono::system_clock::duration>(record.duration);
  record.model = facts.model;
  record.trace_parent = facts.trace_parent;
  record.refresh = facts.refresh;
  record.currency = prices.currency;
  const auto* key = facts.key;
  if (result) {
    record.source = result->source;
    record.cache_status = result->cache_status;
    if (result->cache_error) record.cache_error = result->cache_error->code;
    if (result->model_error) record.model_error = result->model_error->code;
    record.bypass_reason = result->bypass_reason;
    if (!result->model.empty()) record.model = result->model;
    record.usage = result->usage;
    record.avoided_usage = result->avoided_usage;
    if (result->usage != Usage{}) record.cost = prices.cost(result->usage, record.model);
    if (result->avoided_usage != Usage{}) {
      record.avoided_cost = prices.cost(result->avoided_usage, record.model);
    }
    record.response_bytes = result->response.size() + result->content.size();
    record.age = result->age;
    if (result->key) key = &*result->key;
  } else {
    record.error = result.error().code;
  }
  std::string id;
  if (key) {
    id = log_id(*key);
    record.request_bytes = KeyAccess::data(*key).content.size();
  }
  record.key_id = id;
  shared.advanced().observer(record);
}

}  // namespace

void call_ended(CallShared& shared, const CallFacts& facts,
                const Result<CachedAnswer>& result) noexcept {
  if (facts.refresh) {
    // What it cost is in the sums already.
  } else if (result) {
    shared.meter.answered(result->source, result->total_ms);
    if (result->cached || result->source == AnswerSource::shared) {
      shared.meter.avoided(result->avoided_usage,
                           result->model.empty() ? facts.model : std::string_view(result->model));
    }
    if (result->model_error) shared.counters.stale_if_error.add();
  } else {
    shared.meter.failed();
  }
  if (!shared.advanced().observer) return;
  try {
    tell(shared, facts, result);
  } catch (...) {
    shared.log_once(shared.told_observer_threw, LogLevel::error,
                    "CachedLlmAdvanced::observer threw; the calls go on");
  }
}

}  // namespace detail

namespace {

nlohmann::ordered_json json_of(const Usage& usage) {
  return {{"input_tokens", usage.input_tokens},
          {"output_tokens", usage.output_tokens},
          {"cache_read_tokens", usage.cache_read_tokens},
          {"cache_write_tokens", usage.cache_write_tokens}};
}

std::int64_t unix_ns(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

std::string json_line(const CallRecord& record) {
  nlohmann::ordered_json line;
  line["start_ns"] = unix_ns(record.start);
  line["end_ns"] = unix_ns(record.end);
  line["duration_ms"] = std::chrono::duration<double, std::milli>(record.duration).count();
  if (record.source) line["source"] = to_string(*record.source);
  if (record.cache_status) line["cache_status"] = to_string(*record.cache_status);
  if (record.error) line["error"] = to_string(*record.error);
  if (record.cache_error) line["cache_error"] = to_string(*record.cache_error);
  if (record.model_error) line["model_error"] = to_string(*record.model_error);
  if (record.bypass_reason) line["bypass_reason"] = to_string(*record.bypass_reason);
  if (record.trace_parent != TraceParent{}) {
    line["trace_id"] = detail::hex(record.trace_parent.trace_id);
    line["parent_span_id"] = detail::hex(record.trace_parent.span_id);
  }
  if (record.refresh) line["refresh"] = true;
  if (!record.key_id.empty()) line["key"] = record.key_id;
  if (!record.model.empty()) line["model"] = record.model;
  if (record.usage != Usage{}) line["usage"] = json_of(record.usage);
  if (record.avoided_usage != Usage{}) line["avoided_usage"] = json_of(record.avoided_usage);
  if (record.cost) line["cost"] = *record.cost;
  if (record.avoided_cost) line["avoided_cost"] = *record.avoided_cost;
  if (!record.currency.empty()) line["currency"] = record.currency;
  line["request_bytes"] = record.request_bytes;
  line["response_bytes"] = record.response_bytes;
  line["age_ms"] = record.age.count();
  return line.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

CallObserver json_lines(std::function<void(std::string_view)> sink) {
  return [sink = std::move(sink)](const CallRecord& record) {
    sink(json_line(record));
  };
}

}  // namespace valkeycache::inline v0
