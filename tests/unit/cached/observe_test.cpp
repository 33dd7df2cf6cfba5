// What is measured of calls, told to the observer, and printed for Prometheus.
#include <valkeycache/cached_llm.hpp>

#include <cmath>
#include <map>
#include <mutex>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cached/meter.hpp"
#include "unit/cached/ask_support.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using test::adds_up;
using test::answer_of;
using test::cached;
using test::FakeLlm;
using test::fresh_cache;
using test::LogKeeper;
using test::ok;
using test::settled;

CachedLlmOptions priced() {
  CachedLlmOptions options;
  options.advanced.prices = {.currency = "EUR",
                             .models = {{.model = "fake-model", .input = 1e6, .output = 2e6}}};
  return options;
}

TEST(Observe, TokensAndCostsSpentAndSparedAreApart) {
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")), priced());
  ASSERT_TRUE(ok(llm.ask("x").get()));
  ASSERT_TRUE(settled(cache));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(llm.ask("x").get()->cached);
  const auto stats = llm.stats();
  EXPECT_EQ(stats.consumed, (TokenTotals{.input = 7, .output = 11}));
  EXPECT_EQ(stats.avoided, (TokenTotals{.input = 14, .output = 22}));
  EXPECT_DOUBLE_EQ(stats.consumed_cost, 29);
  EXPECT_DOUBLE_EQ(stats.avoided_cost, 58);
  EXPECT_EQ(stats.currency, "EUR");
  EXPECT_EQ(stats.unpriced, 0U);
  EXPECT_EQ(stats.latency_of(AnswerSource::model).count(), 1U);
  EXPECT_EQ(stats.latency_of(AnswerSource::valkey).count(), 2U);
  EXPECT_GT(stats.latency_of(AnswerSource::valkey).sum_seconds, 0);
  EXPECT_TRUE(adds_up(stats));
}

TEST(Observe, AModelWithoutAPriceIsCounted) {
  auto options = priced();
  options.advanced.prices.models = {{.model = "another", .input = 1}};
  const auto llm = cached(fresh_cache(), FakeLlm::saying(answer_of("a")), options);
  ASSERT_TRUE(ok(llm.ask("x").get()));
  EXPECT_EQ(llm.stats().unpriced, 1U);
  EXPECT_EQ(llm.stats().consumed_cost, 0);
}

TEST(Observe, BucketsHoldWhatTheirBoundsSay) {
  EXPECT_EQ(detail::latency_bucket(0), 0U);
  EXPECT_EQ(detail::latency_bucket(1000), 0U);
  EXPECT_EQ(detail::latency_bucket(1001), 1U);
  EXPECT_EQ(detail::latency_bucket(2000), 1U);
  EXPECT_EQ(detail::latency_bucket(2001), 2U);
  EXPECT_EQ(detail::latency_bucket(~std::uint64_t{0}), LatencyHistogram::bucket_count - 1);
  for (std::size_t i = 0; i + 1 < LatencyHistogram::bucket_count; ++i) {
    const auto bound = std::uint64_t{1000} << i;
    EXPECT_EQ(detail::latency_bucket(bound), i);
    EXPECT_DOUBLE_EQ(LatencyHistogram::bound(i), static_cast<double>(bound) / 1e9);
  }
  EXPECT_TRUE(std::isinf(LatencyHistogram::bound(LatencyHistogram::bucket_count - 1)));
}

// Keeps what it was told, as lines.
class LineKeeper {
 public:
  CallObserver observer() {
    return json_lines([this](std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(line);
    });
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Observe, EachCallIsToldOnceAndWithoutText) {
  LineKeeper keeper;
  auto options = priced();
  options.advanced.observer = keeper.observer();
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("secret answer")), options);
  ASSERT_TRUE(ok(llm.ask("secret question").get()));
  ASSERT_TRUE(settled(cache));
  ASSERT_TRUE(ok(llm.ask("secret question").get()));
  EXPECT_FALSE(llm.ask("absent", {.cache_only = true}).get());
  EXPECT_FALSE(llm.ask("  ").get());

  const auto lines = keeper.lines();
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_TRUE(holds(lines[0], R"("source":"model","cache_status":"miss")")) << lines[0];
  EXPECT_TRUE(holds(lines[0], R"("cost":29.0)"));
  EXPECT_TRUE(holds(lines[0], R"("response_bytes":13)"));
  EXPECT_TRUE(holds(lines[1], R"("source":"valkey","cache_status":"hit")")) << lines[1];
  EXPECT_TRUE(holds(lines[1], R"("avoided_cost":29.0)"));
  EXPECT_TRUE(holds(lines[2], R"("error":"cache_miss","key":")")) << lines[2];
  EXPECT_TRUE(holds(lines[3], R"("error":"invalid_argument","model":)")) << lines[3];
  const auto digest = llm.key_of("secret question")->text();
  for (const auto& line : lines) {
    EXPECT_FALSE(holds(line, "secret")) << line;
    EXPECT_FALSE(holds(line, digest)) << line;
    EXPECT_FALSE(holds(line, "\n"));
  }
  EXPECT_EQ(llm.stats().failed, 2U);
}

// As a program reads them that knows no more than the header says.
TEST(Observe, LinesAreJsonWithTheMembersOfTheHeader) {
  const auto text_of = [](const CallRecord& record) {
    return nlohmann::json::parse(json_line(record));
  };
  const auto least = text_of({});
  for (const auto* member : {"start_ns", "end_ns", "request_bytes", "response_bytes", "age_ms"}) {
    EXPECT_TRUE(least.at(member).is_number_integer()) << member;
  }
  EXPECT_TRUE(least.at("duration_ms").is_number_float());
  EXPECT_EQ(least.size(), 6U) << "what is none is left out: " << least;

  const std::string odd = "m\"\\\n\x01\xff\xc3\xa9";
  const auto most = text_of({.source = AnswerSource::shared,
                             .cache_status = CacheStatus::error,
                             .error = ErrorCode::throttled,
                             .cache_error = ErrorCode::timeout,
                             .trace_parent = {.trace_id = {0x4b, 0xf9}, .span_id = {0x00, 0xf0}},
                             .key_id = "0123456789abcdef",
                             .model = odd,
                             .usage = {.input_tokens = 1, .output_tokens = 2, .total_tokens = 3},
                             .avoided_usage = {.input_tokens = 4},
                             .cost = 0.5,
                             .avoided_cost = 0.25,
                             .currency = "EUR"});
  EXPECT_EQ(most.size(), 19U) << most;
  EXPECT_EQ(most.at("trace_id"), "4bf90000000000000000000000000000");
  EXPECT_EQ(most.at("parent_span_id"), "00f0000000000000");
  EXPECT_EQ(most.at("source"), "shared");
  EXPECT_EQ(most.at("cache_status"), "error");
  EXPECT_EQ(most.at("error"), "throttled");
  EXPECT_EQ(most.at("cache_error"), "timeout");
  EXPECT_EQ(most.at("key"), "0123456789abcdef");
  EXPECT_EQ(most.at("usage").at("output_tokens"), 2);
  EXPECT_EQ(most.at("avoided_usage").at("input_tokens"), 4);
  EXPECT_EQ(most.at("cost"), 0.5);
  EXPECT_EQ(most.at("model"), "m\"\\\n\x01\xef\xbf\xbd\xc3\xa9");
}

TEST(Observe, ACallBearsItsCallersSpan) {
  std::vector<TraceParent> parents;
  CachedLlmOptions options;
  options.advanced.observer = [&](const CallRecord& record) {
    parents.push_back(record.trace_parent);
  };
  const auto llm = cached(fresh_cache(), FakeLlm::saying(answer_of("a")), options);
  const TraceParent mine{.trace_id = {1, 2, 3}, .span_id = {4, 5}};
  ASSERT_TRUE(ok(llm.ask("x", {.trace_parent = mine}).get()));
  ASSERT_TRUE(ok(llm.ask("y").get()));
  EXPECT_FALSE(llm.ask(" ", {.trace_parent = mine}).get());
  EXPECT_EQ(parents, (std::vector<TraceParent>{mine, {}, mine}));
}

TEST(Observe, CallsEndedFromOutsideAreToldOnce) {
  LineKeeper keeper;
  CachedLlmOptions options;
  options.advanced.observer = keeper.observer();
  const auto model = FakeLlm::manual();
  const auto llm = cached(fresh_cache(), model, options);
  std::stop_source stop;
  auto answer = llm.ask("x", {.stop_token = stop.get_token()});
  ASSERT_TRUE(model->wait_for_calls(1));
  stop.request_stop();
  EXPECT_TRUE(test::fails_with(answer.get(), ErrorCode::cancelled));
  model->answer(0, answer_of("late"));
  ASSERT_EQ(keeper.lines().size(), 1U);
  EXPECT_TRUE(holds(keeper.lines()[0], R"("error":"cancelled")"));
  EXPECT_EQ(llm.stats().consumed.output, 11U) << "it has been paid for";
}

TEST(Observe, AnObserverThatThrowsBreaksNothing) {
  LogKeeper log;
  CachedLlmOptions options;
  options.advanced.log = log.hook();
  options.advanced.observer = [](const CallRecord&) {
    throw std::runtime_error("no");
  };
  const auto llm = cached(fresh_cache(), FakeLlm::saying(answer_of("a")), options);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ok(llm.ask("x").get()));
  EXPECT_EQ(log.count("observer threw"), 1);
}

// Reads the text format and refuses what is not in it.
struct Exposition {
  std::map<std::string, std::string> types;
  std::map<std::string, double> samples;  // name{labels} as written
  std::vector<std::string> faults;

  explicit Exposition(const std::string& text) {
    static const std::regex head(R"(# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))");
    static const std::regex sample(
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+))re");
    if (text.empty() || text.back() != '\n') faults.emplace_back("no newline at the end");
    std::istringstream lines(text);
    std::set<std::string> done;
    std::string line, family, help;
    while (std::getline(lines, line)) {
      std::smatch m;
      if (std::regex_match(line, m, head)) {
        if (m[1] == "HELP") {
          help = m[2];
          continue;
        }
        family = m[2];
        if (help != family) faults.push_back("TYPE without HELP: " + line);
        if (!done.insert(family).second) faults.push_back("twice: " + line);
        types[family] = m[3];
        if (m[3] == "counter" && !family.ends_with("_total"))
          faults.push_back("no _total: " + line);
      } else if (std::regex_match(line, m, sample)) {
        const std::string name = m[1];
        const bool histogram = types[family] == "histogram";
        const bool good = histogram ? name == family + "_bucket" || name == family + "_sum" ||
                                          name == family + "_count"
                                    : name == family;
        if (!good) faults.push_back("of no family: " + line);
        if (m[2] == "{}" || m[3].str().ends_with(',')) faults.push_back("labels: " + line);
        std::size_t used = 0;
        const std::string number = m[4];
        const auto value = std::stod(number, &used);
        if (used != number.size() || value < 0) faults.push_back("value: " + line);
        if (!samples.emplace(name + m[2].str(), value).second) faults.push_back("twice: " + line);
        if (name.ends_with("_bucket")) cumulative(line, value);
        if (name.ends_with("_count") && (last_ != value || !infinite_)) {
          faults.push_back("not the +Inf bucket's: " + line);
        }
        if (histogram && name.ends_with("_count")) last_ = last_bound_ = -1;
      } else {
        faults.push_back("unreadable: " + line);
      }
    }
  }
  double operator[](const std::string& sample) const {
    const auto at = samples.find(sample);
    return at == samples.end() ? -1 : at->second;
  }

 private:
  void cumulative(const std::string& line, double value) {
    static const std::regex le(R"re(le="([^"]+)")re");
    std::smatch m;
    if (!std::regex_search(line, m, le)) return faults.push_back("no le: " + line);
    infinite_ = m[1] == "+Inf";
    const auto bound = infinite_ ? HUGE_VAL : std::stod(m[1]);
    if (bound <= last_bound_ || value < last_) faults.push_back("not cumulative: " + line);
    last_bound_ = bound;
    last_ = value;
  }
  double last_ = -1, last_bound_ = -1;
  bool infinite_ = false;
};

TEST(Prometheus, TheTextIsWellFormedAndTrue) {
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")), priced());
  ASSERT_TRUE(ok(llm.ask("x").get()));
  ASSERT_TRUE(settled(cache));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(ok(llm.ask("x").get()));
  const Exposition page(prometheus_text(llm.stats()));
  EXPECT_EQ(page.faults, std::vector<std::string>{});
  EXPECT_EQ(page["valkeycache_calls_total"], 4);
  EXPECT_EQ(page["valkeycache_hits_total"], 3);
  EXPECT_EQ(page[R"(valkeycache_tokens_avoided_total{kind="output"})"], 33);
  EXPECT_EQ(page[R"(valkeycache_cost_avoided_total{currency="EUR"})"], 87);
  EXPECT_EQ(page[R"(valkeycache_cost_consumed_total{currency="EUR"})"], 29);
  EXPECT_EQ(page[R"(valkeycache_call_duration_seconds_count{source="valkey"})"], 3);
  EXPECT_EQ(page[R"(valkeycache_call_duration_seconds_bucket{source="valkey",le="+Inf"})"], 3);
  EXPECT_EQ(page[R"(valkeycache_rejected_total{reason="predicate"})"], 0);
}

// Each with a value of its own, so that none stands in another's place.
TEST(Prometheus, EveryCounterIsThere) {
  CachedLlmStats stats;
  std::map<std::string, std::uint64_t*> samples = {
      {"calls_total", &stats.calls},
      {"refused_total", &stats.refused},
      {"hits_total", &stats.hits},
      {"stale_total", &stats.stale},
      {"misses_total", &stats.misses},
      {"shared_total", &stats.shared},
      {"bypassed_total{reason=\"refresh\"}", &stats.bypassed_refresh},
      {"bypassed_total{reason=\"draft_guardrail\"}", &stats.bypassed_draft_guardrail},
      {"bypassed_total{reason=\"s3_input\"}", &stats.bypassed_s3_input},
      {"bypassed_total{reason=\"unversioned_prompt\"}", &stats.bypassed_unversioned_prompt},
      {"bypassed_total{reason=\"not_deterministic\"}", &stats.bypassed_not_deterministic},
      {"cache_errors_total", &stats.cache_errors},
      {"unfinished_total", &stats.unfinished},
      {"failed_total", &stats.failed},
      {"model_calls_total", &stats.model_calls},
      {"model_errors_total", &stats.model_errors},
      {"refreshes_total", &stats.refreshes},
      {"refresh_errors_total", &stats.refresh_errors},
      {"stale_if_error_total", &stats.stale_if_error},
      {"stored_total", &stats.stored},
      {"store_errors_total", &stats.store_errors},
      {"store_dropped_total", &stats.store_dropped},
      {"rejected_total{reason=\"no_store\"}", &stats.rejected_no_store},
      {"rejected_total{reason=\"unpinned\"}", &stats.rejected_unpinned},
      {"rejected_total{reason=\"not_deterministic\"}", &stats.rejected_not_deterministic},
      {"rejected_total{reason=\"cache_error\"}", &stats.rejected_cache_error},
      {"rejected_total{reason=\"foreign_entry\"}", &stats.rejected_foreign_entry},
      {"rejected_total{reason=\"stop_reason\"}", &stats.rejected_stop_reason},
      {"rejected_total{reason=\"filtered\"}", &stats.rejected_filtered},
      {"rejected_total{reason=\"malformed\"}", &stats.rejected_malformed},
      {"rejected_total{reason=\"empty\"}", &stats.rejected_empty},
      {"rejected_total{reason=\"too_large\"}", &stats.rejected_too_large},
      {"rejected_total{reason=\"predicate\"}", &stats.rejected_predicate},
      {"rejected_total{reason=\"superseded\"}", &stats.rejected_superseded},
      {"entry_faults_total{fault=\"corrupt\"}", &stats.corrupt_entries},
      {"entry_faults_total{fault=\"wrong_digest\"}", &stats.wrong_digest},
      {"entry_faults_total{fault=\"bad_mac\"}", &stats.bad_mac},
      {"entry_faults_total{fault=\"foreign_format\"}", &stats.foreign_format},
      {"entry_faults_total{fault=\"unsupported\"}", &stats.unsupported_entries},
      {"breaker_trips_total", &stats.breaker_trips},
      {"tokens_consumed_total{kind=\"input\"}", &stats.consumed.input},
      {"tokens_consumed_total{kind=\"output\"}", &stats.consumed.output},
      {"tokens_consumed_total{kind=\"cache_read\"}", &stats.consumed.cache_read},
      {"tokens_consumed_total{kind=\"cache_write\"}", &stats.consumed.cache_write},
      {"tokens_avoided_total{kind=\"input\"}", &stats.avoided.input},
      {"tokens_avoided_total{kind=\"output\"}", &stats.avoided.output},
      {"tokens_avoided_total{kind=\"cache_read\"}", &stats.avoided.cache_read},
      {"tokens_avoided_total{kind=\"cache_write\"}", &stats.avoided.cache_write},
      {"unpriced_total", &stats.unpriced},
  };
  std::uint64_t value = 100;
  for (const auto& [name, member] : samples) *member = value++;
  stats.breaker_open = true;
  const Exposition page(prometheus_text(stats));
  EXPECT_EQ(page.faults, std::vector<std::string>{});
  for (const auto& [name, member] : samples) {
    EXPECT_EQ(page["valkeycache_" + name], static_cast<double>(*member)) << name;
  }
  EXPECT_EQ(page["valkeycache_breaker_open"], 1);
  for (const auto& [full_name, value_of_it] : page.samples) {
    const auto name = full_name.substr(std::string_view("valkeycache_").size());
    const bool elsewhere =
        name.starts_with("call_duration_") || name.starts_with("cost_") || name == "breaker_open";
    EXPECT_TRUE(elsewhere || samples.contains(name)) << name << " is not looked at here";
  }
}

TEST(Prometheus, HistogramsAreCumulative) {
  CachedLlmStats stats;
  auto& latency = stats.latency[static_cast<std::size_t>(AnswerSource::model)];
  for (std::size_t i = 0; i < LatencyHistogram::bucket_count; ++i) latency.buckets[i] = i + 1;
  latency.sum_seconds = 12.5;
  const Exposition page(prometheus_text(stats));
  EXPECT_EQ(page.faults, std::vector<std::string>{});
  const std::string name = "valkeycache_call_duration_seconds";
  const std::string start = name + R"(_bucket{source="model",le=")";
  std::map<double, double> buckets;  // by bound
  for (const auto& [sample, value] : page.samples) {
    if (!sample.starts_with(start)) continue;
    const auto bound = sample.substr(start.size());
    buckets[bound.starts_with("+Inf") ? HUGE_VAL : std::stod(bound)] = value;
  }
  ASSERT_GT(buckets.size(), 10U);
  for (const auto& [bound, value] : buckets) {
    double expected = 0;
    for (std::size_t i = 0; i < LatencyHistogram::bucket_count; ++i) {
      // A bound is printed with fewer digits than it has.
      if (LatencyHistogram::bound(i) <= bound * 1.001) expected += static_cast<double>(i + 1);
    }
    EXPECT_EQ(value, expected) << bound;
  }
  EXPECT_EQ(page[name + R"(_count{source="model"})"], 32 * 33 / 2);
  EXPECT_EQ(page[name + R"(_sum{source="model"})"], 12.5);
  EXPECT_EQ(page[name + R"(_count{source="valkey"})"], 0);
}

TEST(Prometheus, LabelsAreEscapedAndBadNamesLeftOut) {
  CachedLlmStats stats;
  stats.currency = "a\"b";
  const auto text = prometheus_text(
      stats,
      {{"app", "a\\b\"c\nd"}, {"app", "again"}, {"le", "x"}, {"__x", "y"}, {"1a", "z"}, {"", "e"}});
  const Exposition page(text);
  EXPECT_EQ(page.faults, std::vector<std::string>{});
  EXPECT_EQ(page["valkeycache_calls_total{app=\"a\\\\b\\\"c\\nd\"}"], 0) << text.substr(0, 200);
  EXPECT_EQ(page["valkeycache_cost_avoided_total{app=\"a\\\\b\\\"c\\nd\",currency=\"a\\\"b\"}"], 0);
}

TEST(Prometheus, TheParserRefuses) {
  const std::string head = "# HELP h x\n# TYPE h histogram\n";
  for (const auto& bad :
       {std::string("x 1\n"), std::string("# HELP c x\n# TYPE c counter\nc 1\n"),
        std::string("# HELP g x\n# TYPE g gauge\ng{a=\"\"\"} 1\n"),
        head + "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        head + "h_bucket{le=\"1\"} 2\nh_sum 1\nh_count 2\n",
        head + "h_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 1\n"}) {
    EXPECT_FALSE(Exposition(bad).faults.empty()) << bad;
  }
}

}  // namespace
}  // namespace valkeycache
