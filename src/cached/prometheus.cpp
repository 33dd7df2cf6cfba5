#include <valkeycache/cached_llm.hpp>
#include <valkeycache/stats.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

#include "base/ascii.hpp"

namespace valkeycache::inline v0 {

namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

bool is_label_name(std::string_view name) {
  const auto good = [](char c) {
    return detail::is_alphanumeric(c) || c == '_';
  };
  return !name.empty() && !detail::is_digit(name[0]) && !name.starts_with("__") &&
         std::all_of(name.begin(), name.end(), good);
}

std::string label(std::string_view name, std::string_view value) {
  std::string text(name);
  text += "=\"";
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

// Whatever the locale says.
std::string number(double value) {
  if (std::isinf(value)) return "+Inf";
  std::array<char, 40> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}
std::string number(std::uint64_t value) {
  return std::to_string(value);
}

class Page {
 public:
  explicit Page(const Labels& labels) {
    std::vector<std::string_view> taken = {"source", "reason", "fault", "kind", "currency", "le"};
    for (const auto& [name, value] : labels) {
      if (!is_label_name(name) || std::find(taken.begin(), taken.end(), name) != taken.end()) {
        continue;
      }
      taken.emplace_back(name);
      common_ += (common_.empty() ? "" : ",") + label(name, value);
    }
  }

  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = "valkeycache_" + std::string(name);
    text_ += "# HELP " + name_ + ' ' + std::string(help) + "\n# TYPE " + name_ + ' ' +
             std::string(type) + '\n';
  }
  template <class Number>
  void sample(Number value, const std::string& own = {}, std::string_view suffix = {}) {
    text_ += name_;
    text_ += suffix;
    if (!common_.empty() || !own.empty()) {
      text_ += '{' + common_ + (common_.empty() || own.empty() ? "" : ",") + own + '}';
    }
    text_ += ' ' + number(value) + '\n';
  }
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, "counter", help);
    sample(value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string common_, name_, text_;
};

void tokens(Page& page, const TokenTotals& totals) {
  page.sample(totals.input, label("kind", "input"));
  page.sample(totals.output, label("kind", "output"));
  page.sample(totals.cache_read, label("kind", "cache_read"));
  page.sample(totals.cache_write, label("kind", "cache_write"));
}

void bypasses(Page& page, const CachedLlmStats& stats) {
  page.family("bypassed_total", "counter", "Calls that did not look, by reason.");
  const auto because = [&](BypassReason reason, std::uint64_t count) {
    page.sample(count, label("reason", to_string(reason)));
  };
  because(BypassReason::refresh, stats.bypassed_refresh);
  because(BypassReason::draft_guardrail, stats.bypassed_draft_guardrail);
  because(BypassReason::s3_input, stats.bypassed_s3_input);
  because(BypassReason::unversioned_prompt, stats.bypassed_unversioned_prompt);
  because(BypassReason::not_deterministic, stats.bypassed_not_deterministic);
}

void rejections(Page& page, const CachedLlmStats& stats) {
  page.family("rejected_total", "counter", "Answers not stored, by the first reason.");
  const auto because = [&](std::string_view reason, std::uint64_t count) {
    page.sample(count, label("reason", reason));
  };
  because("no_store", stats.rejected_no_store);
  because("unpinned", stats.rejected_unpinned);
  because("not_deterministic", stats.rejected_not_deterministic);
  because("cache_error", stats.rejected_cache_error);
  because("foreign_entry", stats.rejected_foreign_entry);
  because("stop_reason", stats.rejected_stop_reason);
  because("filtered", stats.rejected_filtered);
  because("malformed", stats.rejected_malformed);
  because("empty", stats.rejected_empty);
  because("too_large", stats.rejected_too_large);
  because("predicate", stats.rejected_predicate);
  because("superseded", stats.rejected_superseded);
}

void faults(Page& page, const CachedLlmStats& stats) {
  page.family("entry_faults_total", "counter", "Entries found that were no answers.");
  const auto with = [&](std::string_view fault, std::uint64_t count) {
    page.sample(count, label("fault", fault));
  };
  with("corrupt", stats.corrupt_entries);
  with("wrong_digest", stats.wrong_digest);
  with("bad_mac", stats.bad_mac);
  with("foreign_format", stats.foreign_format);
  with("unsupported", stats.unsupported_entries);
}

void latencies(Page& page, const CachedLlmStats& stats) {
  page.family("call_duration_seconds", "histogram", "From the question to the answer, by source.");
  for (std::size_t i = 0; i < stats.latency.size(); ++i) {
    const auto source = label("source", to_string(static_cast<AnswerSource>(i)));
    const auto& histogram = stats.latency[i];
    std::uint64_t below = 0;
    for (std::size_t bucket = 0; bucket < histogram.buckets.size(); ++bucket) {
      below += histogram.buckets[bucket];
      page.sample(below, source + ',' + label("le", number(LatencyHistogram::bound(bucket))),
                  "_bucket");
    }
    page.sample(histogram.sum_seconds, source, "_sum");
    page.sample(below, source, "_count");
  }
}

}  // namespace

std::string prometheus_text(const CachedLlmStats& stats, const Labels& labels) {
  Page page(labels);
  page.counter("calls_total", "Calls of ask().", stats.calls);
  page.counter("refused_total", "Calls with an unusable argument, or over from the start.",
               stats.refused);
  page.counter("hits_total", "Calls answered by an entry.", stats.hits);
  page.counter("stale_total", "Calls answered at once by an entry past its TTL.", stats.stale);
  page.counter("misses_total", "Calls that found no entry.", stats.misses);
  page.counter("shared_total", "Calls ended by what the model said to another.", stats.shared);
  bypasses(page, stats);
  page.counter("cache_errors_total", "Lookups that failed or were spared.", stats.cache_errors);
  page.counter("unfinished_total", "Calls over before the cache had answered.", stats.unfinished);
  page.counter("failed_total", "Calls that ended with an error.", stats.failed);
  page.counter("model_calls_total", "Calls of the model.", stats.model_calls);
  page.counter("model_errors_total", "Calls of the model that failed.", stats.model_errors);
  page.counter("refreshes_total", "Of these, those behind stale hits.", stats.refreshes);
  page.counter("refresh_errors_total", "Of these, those that failed.", stats.refresh_errors);
  page.counter("stale_if_error_total",
               "Calls answered by an entry past its TTL for want of the model.",
               stats.stale_if_error);
  page.counter("stored_total", "Answers stored.", stats.stored);
  page.counter("store_errors_total", "Stores that failed.", stats.store_errors);
  page.counter("store_dropped_total", "Stores dropped because too many waited.",
               stats.store_dropped);
  rejections(page, stats);
  faults(page, stats);
  page.family("breaker_open", "gauge", "1 while the cache is left alone.");
  page.sample(std::uint64_t{stats.breaker_open ? 1U : 0U});
  page.counter("breaker_trips_total", "Times that the breaker opened.", stats.breaker_trips);
  page.family("tokens_consumed_total", "counter", "Tokens that models spent.");
  tokens(page, stats.consumed);
  page.family("tokens_avoided_total", "counter", "Tokens that entries spared.");
  tokens(page, stats.avoided);
  page.family("cost_consumed_total", "counter", "What models cost, by the given prices.");
  page.sample(stats.consumed_cost, label("currency", stats.currency));
  page.family("cost_avoided_total", "counter", "What entries spared, by the given prices.");
  page.sample(stats.avoided_cost, label("currency", stats.currency));
  page.counter("unpriced_total", "Answers of models without a price.", stats.unpriced);
  latencies(page, stats);
  return page.take();
}

}  // namespace valkeycache::inline v0
