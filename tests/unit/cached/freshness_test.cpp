// How long an entry is good, by its times alone; and what decides those.
#include "cached/freshness.hpp"

#include <valkeycache/cached_llm.hpp>

#include <chrono>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "cached/refreshes.hpp"
#include "unit/cached/ask_support.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using detail::age_by_clock;
using detail::age_by_ttl;
using detail::Freshness;
using detail::jittered;
using detail::judge_age;
using detail::lifetime_of;
using test::adds_up;
using test::answer_of;
using test::cached;
using test::fails_with;
using test::FakeLlm;
using test::fresh_cache;
using test::LogKeeper;
using test::ok;
using test::settled;

CachedLlmAdvanced stale_for(std::chrono::milliseconds while_revalidate,
                            std::chrono::milliseconds if_error = 0ms) {
  CachedLlmAdvanced advanced;
  advanced.stale_while_revalidate = while_revalidate;
  advanced.stale_if_error = if_error;
  return advanced;
}

TEST(Freshness, AnEntryIsKeptForAsLongAsItMayBeStale) {
  const auto plain = lifetime_of(100s, {});
  EXPECT_EQ(plain.hard, Ttl(100s));
  EXPECT_EQ(plain.soft_ms, 0);
  const auto longer = lifetime_of(100s, stale_for(50s, 20s));
  EXPECT_EQ(longer.hard, Ttl(150s));
  EXPECT_EQ(longer.soft_ms, 100000);
  EXPECT_EQ(lifetime_of(100s, stale_for(0s, 20s)).hard, Ttl(120s));
  EXPECT_EQ(lifetime_of(Ttl::none(), stale_for(50s)).hard, Ttl::none());
  EXPECT_EQ(lifetime_of(Ttl::none(), stale_for(50s)).soft_ms, 0);
  // Beyond what can be said, the TTL alone.
  const Ttl longest = std::chrono::milliseconds(8'999'999'999'999'999'999);
  EXPECT_EQ(lifetime_of(longest, stale_for(1h)).hard, longest);
  EXPECT_EQ(lifetime_of(longest, stale_for(std::chrono::milliseconds::max())).hard, longest);
}

TEST(Freshness, JitterTakesWholeSecondsUpToATenth) {
  constexpr double most = 0.999999;
  EXPECT_EQ(jittered(100s, 0), Ttl(100s));
  EXPECT_EQ(jittered(100s, 0.5), Ttl(95s));
  EXPECT_EQ(jittered(100s, most), Ttl(90s));
  EXPECT_EQ(jittered(100500ms, most), Ttl(90500ms));
  EXPECT_EQ(jittered(10s, most), Ttl(9s));
  EXPECT_EQ(jittered(9s, most), Ttl(9s));
  EXPECT_EQ(jittered(Ttl::none(), most), Ttl::none());
  EXPECT_EQ(jittered(Ttl(), most), Ttl());
}

TEST(Freshness, AgeIsWhatIsGoneOfTheTtl) {
  Entry entry{.response = "a", .created_ms = 1, .hard_ttl_ms = 100000};
  EXPECT_EQ(age_by_ttl(entry, 70s), 30s) << "whatever the clock of the writer said";
  EXPECT_EQ(age_by_ttl(entry, 200s), 0s) << "somebody gave it more";
  const auto by_clock = age_by_ttl(entry, Ttl::none());
  ASSERT_TRUE(by_clock);
  EXPECT_GT(*by_clock, 24h * 365);
  entry.created_ms = 0;
  EXPECT_EQ(age_by_ttl(entry, Ttl::none()), std::nullopt);
  entry.created_ms = 99'999'999'999'999;
  EXPECT_EQ(age_by_clock(entry), 0s) << "from the future";
}

TEST(Freshness, IsJudgedByTheReadersOptions) {
  const Entry entry{.response = "a", .hard_ttl_ms = 200000, .soft_ttl_ms = 100000};
  const auto both = stale_for(10s, 30s);
  EXPECT_EQ(judge_age(entry, 99s, 60s, both, {}), Freshness::fresh);
  EXPECT_EQ(judge_age(entry, 100s, 60s, both, {}), Freshness::stale);
  EXPECT_EQ(judge_age(entry, 110s, 60s, both, {}), Freshness::last_resort);
  EXPECT_EQ(judge_age(entry, 130s, 60s, both, {}), Freshness::too_old);
  EXPECT_EQ(judge_age(entry, 199s, 60s, {}, {}), Freshness::fresh) << "never asked for";
  EXPECT_EQ(judge_age({.response = "a"}, 199s, 60s, both, {}), Freshness::fresh) << "never stale";
  EXPECT_EQ(judge_age(entry, 105s, Ttl::none(), both, {}), Freshness::fresh) << "without an end";
  EXPECT_EQ(judge_age(entry, 105s, Ttl::none(), both, 104s), Freshness::too_old);
  EXPECT_EQ(judge_age(entry, {}, 60s, both, {}), Freshness::fresh) << "nobody knows";
  EXPECT_EQ(judge_age(entry, 20s, 60s, {}, 20s), Freshness::fresh);
  EXPECT_EQ(judge_age(entry, 20001ms, 60s, {}, 20s), Freshness::too_old);
  EXPECT_EQ(judge_age(entry, 105s, 60s, both, 106s), Freshness::stale);
  EXPECT_EQ(judge_age(entry, 105s, 60s, both, 104s), Freshness::too_old);
  EXPECT_EQ(judge_age(entry, {}, 60s, {}, 20s), Freshness::too_old) << "nobody knows";
}

TEST(Refreshes, OneAtATimeForAKeyAndSoManyAltogether) {
  detail::Refreshes refreshes(2);
  const auto a = detail::sha256("a"), b = detail::sha256("b"), c = detail::sha256("c");
  {
    const auto first = refreshes.begin(a);
    EXPECT_TRUE(first);
    EXPECT_FALSE(refreshes.begin(a));
    auto second = refreshes.begin(b);
    EXPECT_TRUE(second);
    EXPECT_FALSE(refreshes.begin(c)) << "two are under way";
    second.rest_after(1h);
  }
  EXPECT_TRUE(refreshes.begin(a));
  EXPECT_FALSE(refreshes.begin(b)) << "it rests";
  EXPECT_TRUE(refreshes.begin(c));
  {
    auto again = refreshes.begin(c);
    again.rest_after(1ms);
  }
  EXPECT_TRUE(test::wait_until([&] { return static_cast<bool>(refreshes.begin(c)); }));
  // Many that rest, to be swept away.
  for (int i = 0; i < 1000; ++i) {
    auto one = refreshes.begin(detail::sha256(std::to_string(i)));
    ASSERT_TRUE(one);
    one.rest_after(1ms);
  }
}

Ttl stored_ttl(const ValkeyCache& cache, const CachedLlm& llm, const std::string& prompt) {
  EXPECT_TRUE(settled(cache));
  return cache.ttl(llm.key_of(prompt).value()).get().value().value_or(Ttl());
}

// A cache whose clock stands still.
ValkeyCache frozen_cache() {
  const auto now = std::chrono::steady_clock::now();
  return fresh_cache({.ttl = 1h, .clock = [now] {
                        return now;
                      }});
}

TEST(TtlPolicy, GivesTheTtlOfEachAnswer) {
  const auto cache = frozen_cache();
  CachedLlmOptions options{.ttl = 10min};
  options.advanced.ttl_policy = [](const ChatRequest& request,
                                   const Completion& completion) -> Ttl {
    EXPECT_EQ(completion.text, "a");
    const auto prompt = request.as_triple()->prompt;
    if (prompt == "news") return 30s;
    if (prompt == "pi") return Ttl::none();
    return {};
  };
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")), options);
  for (const auto* prompt : {"news", "pi", "else"}) ASSERT_TRUE(ok(llm.ask(prompt).get()));
  EXPECT_EQ(stored_ttl(cache, llm, "news"), Ttl(30s));
  EXPECT_EQ(stored_ttl(cache, llm, "pi"), Ttl::none());
  EXPECT_EQ(stored_ttl(cache, llm, "else"), Ttl(10min));
  ASSERT_TRUE(ok(llm.ask("news", {.ttl = 5s, .refresh = true}).get()));
  EXPECT_EQ(stored_ttl(cache, llm, "news"), Ttl(5s)) << "the call's own goes before it";
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(TtlPolicy, WhatIsNoTtlMeansNotStored) {
  LogKeeper log;
  CachedLlmOptions options;
  options.advanced.log = log.hook();
  options.advanced.ttl_policy = [](const ChatRequest& request, const Completion&) -> Ttl {
    if (request.as_triple()->prompt == "throws") throw std::runtime_error("no");
    return 0s;
  };
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")), options);
  for (const auto* prompt : {"throws", "zero"}) EXPECT_TRUE(ok(llm.ask(prompt).get()));
  EXPECT_TRUE(settled(cache));
  EXPECT_EQ(llm.stats().rejected_predicate, 2U);
  EXPECT_EQ(llm.stats().stored, 0U);
  EXPECT_EQ(log.count("ttl_policy"), 1);
  EXPECT_TRUE(adds_up(llm.stats()));
}

TEST(TtlJitter, SpreadsEntriesAndTheyKnowIt) {
  const auto cache = frozen_cache();
  CachedLlmOptions options{.ttl = 1000s};
  options.advanced.ttl_jitter = true;
  const auto llm = cached(cache, FakeLlm::saying(answer_of("a")), options);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 50; ++i) {
    const auto prompt = std::to_string(i);
    ASSERT_TRUE(ok(llm.ask(prompt).get()));
    const auto ttl = stored_ttl(cache, llm, prompt);
    EXPECT_EQ(ttl.duration() % 1s, 0ms);
    EXPECT_LE(ttl.duration(), 1000s);
    EXPECT_GE(ttl.duration(), 900s);
    const auto key = llm.key_of(prompt).value();
    const auto bytes = cache.get(key).get().value().value();
    EXPECT_EQ(EntryCodec().decode(bytes, key, cache.wire_key(key)).entry.hard_ttl_ms,
              ttl.duration().count());
    seen.insert(ttl.duration().count());
  }
  EXPECT_GT(seen.size(), 5U);
}

TEST(Freshness, UnusableOptionsAreTold) {
  const auto refused = [](CachedLlmAdvanced advanced, AskOptions ask = {}) {
    CachedLlmOptions options;
    options.advanced = std::move(advanced);
    const auto llm = CachedLlm(fresh_cache(), FakeLlm::saying(answer_of("a")), options);
    return fails_with(llm.ask("x", ask).get(), ErrorCode::invalid_argument);
  };
  EXPECT_TRUE(refused(stale_for(-1ms)));
  EXPECT_TRUE(refused(stale_for(0ms, -1ms)));
  auto advanced = stale_for(1s);
  advanced.refresh_lease = 0ms;
  EXPECT_TRUE(refused(advanced));
  advanced.refresh_lease = 1h;
  EXPECT_TRUE(refused(advanced)) << "longer than lease_life";
  EXPECT_TRUE(refused({}, {.max_age = -1ms}));
}

}  // namespace
}  // namespace valkeycache
