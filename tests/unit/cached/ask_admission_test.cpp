// Which answers ask() stores, and what it makes of entries that are no answers.
#include <valkeycache/cached_llm.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "unit/cached/ask_support.hpp"

namespace valkeycache {
namespace {

using test::adds_up;
using test::answer_of;
using test::cached;
using test::FakeLlm;
using test::fresh_cache;
using test::LogKeeper;
using test::ok;
using test::settled;

struct Outcome {
  CachedLlmStats stats;
  bool stored = false;
};

// Asks once: the answer always comes; was it stored?
Outcome ask_once(const Completion& completion, CachedLlmOptions options = {}) {
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(completion), std::move(options));
  const auto answer = llm.ask("x").get();
  EXPECT_TRUE(ok(answer));
  if (answer) {
    EXPECT_EQ(answer->response, completion.text);
    EXPECT_EQ(answer->stop_reason, completion.stop_reason);
    EXPECT_EQ(answer->cache_status, CacheStatus::miss);
  }
  EXPECT_TRUE(settled(cache));
  EXPECT_TRUE(adds_up(llm.stats()));
  const auto entry = cache.get(llm.key_of("x").value()).get();
  return {llm.stats(), entry && entry->has_value()};
}

TEST(AskAdmission, StoresWholeAnswers) {
  const auto outcome = ask_once(answer_of("a", "stop_sequence"));
  EXPECT_TRUE(outcome.stored);
  EXPECT_EQ(outcome.stats.stored, 1U);
}

TEST(AskAdmission, CountsWhatItDoesNotStoreByReason) {
  const auto stop_reason = ask_once(answer_of("a", "max_tokens"));
  EXPECT_FALSE(stop_reason.stored);
  EXPECT_EQ(stop_reason.stats.rejected_stop_reason, 1U);

  const auto filtered = ask_once(answer_of("Sorry", "guardrail_intervened"));
  EXPECT_FALSE(filtered.stored);
  EXPECT_EQ(filtered.stats.rejected_filtered, 1U);

  const auto malformed = ask_once(answer_of("{", "malformed_model_output"));
  EXPECT_FALSE(malformed.stored);
  EXPECT_EQ(malformed.stats.rejected_malformed, 1U);

  const auto empty = ask_once(answer_of("  "));
  EXPECT_FALSE(empty.stored);
  EXPECT_EQ(empty.stats.rejected_empty, 1U);

  const auto not_utf8 = ask_once(answer_of("broken \xc3"));
  EXPECT_FALSE(not_utf8.stored);
  EXPECT_EQ(not_utf8.stats.rejected_malformed, 1U);

  auto bad_content = answer_of("a");
  bad_content.content = "[{]";
  const auto not_json = ask_once(bad_content);
  EXPECT_FALSE(not_json.stored);
  EXPECT_EQ(not_json.stats.rejected_malformed, 1U);
}

TEST(AskAdmission, CutAnswersByChoice) {
  const auto outcome =
      ask_once(answer_of("a", "max_tokens"), {.advanced = {.store_max_tokens = true}});
  EXPECT_TRUE(outcome.stored);
}

TEST(AskAdmission, ToolCallsByChoice) {
  auto calls_tool = answer_of("", "tool_use");
  calls_tool.content = R"([{"toolUse":{"input":{},"name":"f","toolUseId":"1"}}])";
  EXPECT_FALSE(ask_once(calls_tool).stored);
  EXPECT_TRUE(ask_once(calls_tool, {.advanced = {.store_tool_use = true}}).stored);
}

TEST(AskAdmission, NothingOverTheLimit) {
  // The text alone is over it; then only text and metadata together.
  const auto text =
      ask_once(answer_of(std::string(5000, 'x')), {.advanced = {.max_entry_bytes = 4096}});
  EXPECT_FALSE(text.stored);
  EXPECT_EQ(text.stats.rejected_too_large, 1U);
  const auto whole =
      ask_once(answer_of(std::string(4090, 'x')), {.advanced = {.max_entry_bytes = 4096}});
  EXPECT_FALSE(whole.stored);
  EXPECT_EQ(whole.stats.rejected_too_large, 1U);
  EXPECT_TRUE(
      ask_once(answer_of(std::string(2000, 'x')), {.advanced = {.max_entry_bytes = 4096}}).stored);
}

TEST(AskAdmission, ThePredicateHasTheLastWord) {
  int asked = 0;
  std::string seen;
  const CachedLlmOptions options{
      .predicate = [&](const ChatRequest& request, const Completion& completion) {
        ++asked;
        seen = request.as_triple()->prompt + "/" + completion.text;
        return completion.text != "b";
      }};
  EXPECT_TRUE(ask_once(answer_of("a"), options).stored);
  EXPECT_EQ(seen, "x/a");
  const auto no = ask_once(answer_of("b"), options);
  EXPECT_FALSE(no.stored);
  EXPECT_EQ(no.stats.rejected_predicate, 1U);
  EXPECT_EQ(asked, 2);
  // What other rules reject it is not asked about.
  EXPECT_FALSE(ask_once(answer_of("c", "max_tokens"), options).stored);
  EXPECT_EQ(asked, 2);
}

TEST(AskAdmission, APredicateThatThrowsSaysNo) {
  LogKeeper log;
  const auto outcome =
      ask_once(answer_of("a"), {.predicate = [](const ChatRequest&, const Completion&) -> bool {
                                  throw std::runtime_error("secret text");
                                },
                                .advanced = {.log = log.hook()}});
  EXPECT_FALSE(outcome.stored);
  EXPECT_EQ(outcome.stats.rejected_predicate, 1U);
  EXPECT_EQ(log.count("predicate threw"), 1);
  EXPECT_EQ(log.count("secret text"), 0);
}

TEST(AskAdmission, ALogHookThatThrowsHarmsNothing) {
  const auto outcome = ask_once(answer_of("a", ""), {.advanced = {.log = [](const LogRecord&) {
                                                       throw std::runtime_error("no log today");
                                                     }}});
  EXPECT_FALSE(outcome.stored);
}

TEST(AskAdmission, SaysOnceThatAModelGivesNoStopReason) {
  LogKeeper log;
  const auto llm =
      cached(fresh_cache(), FakeLlm::saying(answer_of("a", "")), {.advanced = {.log = log.hook()}});
  ASSERT_TRUE(ok(llm.ask("x").get()));
  ASSERT_TRUE(ok(llm.ask("x").get()));
  EXPECT_EQ(llm.stats().rejected_stop_reason, 2U);
  EXPECT_EQ(log.count("stop_reason"), 1);
}

TEST(AskAdmission, WarnsOfAKeyModelWithoutThePythonFormat) {
  LogKeeper log;
  const auto model = FakeLlm::saying(answer_of("a"));
  const CachedLlmAdvanced aliased{.key = {.key_model = "claude-sonnet"}, .log = log.hook()};
  const auto llm = cached(fresh_cache(), model, {.advanced = aliased});
  ASSERT_TRUE(ok(llm.ask("x").get()));
  ASSERT_TRUE(ok(llm.ask("y").get()));
  EXPECT_EQ(log.count("EntryFormat::langgraph"), 1);

  auto python = aliased;
  python.format = EntryFormat::langgraph;
  const auto shared = cached(fresh_cache(), model, {.advanced = python});
  auto same = aliased;
  same.key.key_model = "fake-model";
  const auto unaliased = cached(fresh_cache(), model, {.advanced = same});
  EXPECT_EQ(log.count("EntryFormat::langgraph"), 1);
}

// --- what is found ---

struct Found {
  CachedLlmStats stats;
  CachedAnswer answer;
  std::string entry_afterwards;
};

Found ask_over(const std::string& bytes, CachedLlmOptions options = {}) {
  const auto cache = fresh_cache();
  const auto llm = cached(cache, FakeLlm::saying(answer_of("fresh")), std::move(options));
  const auto key = llm.key_of("x").value();
  EXPECT_TRUE(ok(cache.set(key, bytes).get()));
  auto answer = llm.ask("x").get();
  EXPECT_TRUE(ok(answer));
  EXPECT_TRUE(settled(cache));
  EXPECT_TRUE(adds_up(llm.stats()));
  return {llm.stats(), std::move(answer).value_or(CachedAnswer{}),
          cache.get(key).get().value().value_or("")};
}

std::string entry_for(const CacheKey& key, const std::string& wire_key,
                      EntryCodecOptions options = {}) {
  return EntryCodec(std::move(options))
      .encode({.response = "old", .stop_reason = "end_turn", .created_ms = 1}, key, wire_key)
      .value();
}

TEST(AskEntries, GarbageIsAMissAndIsOverwritten) {
  for (const std::string garbage : {"garbage", "", "{", R"({"response":"x"})", "[]", "\xff\xfe"}) {
    const auto found = ask_over(garbage);
    EXPECT_EQ(found.answer.response, "fresh") << garbage;
    EXPECT_EQ(found.answer.cache_status, CacheStatus::miss) << garbage;
    EXPECT_EQ(found.stats.corrupt_entries, 1U) << garbage;
    EXPECT_EQ(found.stats.misses, 1U) << garbage;
    EXPECT_EQ(found.entry_afterwards.rfind(R"({"response":"fresh")", 0), 0U) << garbage;
  }
}

TEST(AskEntries, AnotherRequestsAnswerIsAMissAndIsOverwritten) {
  const auto other =
      CacheKey::builder().model("fake-model").temperature(0.7).prompt("y").build().value();
  const auto found = ask_over(entry_for(other, "llm_cache:" + other.path()));
  EXPECT_EQ(found.answer.response, "fresh");
  EXPECT_EQ(found.stats.wrong_digest, 1U);
  EXPECT_EQ(found.entry_afterwards.rfind(R"({"response":"fresh")", 0), 0U);
}

TEST(AskEntries, AForgedEntryIsAMissAndIsOverwritten) {
  const std::string secret(32, 's');
  CachedLlmOptions options{.advanced = {.key = {.secret = secret}}};
  const auto probe = cached(fresh_cache(), FakeLlm::manual(), options);
  const auto key = probe.key_of("x").value();
  const auto wire_key = "llm_cache:" + key.path();
  const auto forged = ask_over(entry_for(key, wire_key, {.secret = std::string(32, 'f')}), options);
  EXPECT_EQ(forged.answer.response, "fresh");
  EXPECT_EQ(forged.stats.bad_mac, 1U);
  EXPECT_EQ(forged.entry_afterwards.rfind(R"({"response":"fresh")", 0), 0U);

  const auto genuine = ask_over(entry_for(key, wire_key, {.secret = secret}), options);
  EXPECT_EQ(genuine.answer.response, "old");
  EXPECT_EQ(genuine.stats.hits, 1U);
}

TEST(AskEntries, APythonEntryIsLeftAsItIs) {
  LogKeeper log;
  const std::string python = R"(json:{"response":"by Python"})";
  const auto cache = fresh_cache();
  const auto llm =
      cached(cache, FakeLlm::saying(answer_of("fresh")), {.advanced = {.log = log.hook()}});
  const auto key = llm.key_of("x").value();
  ASSERT_TRUE(ok(cache.set(key, python).get()));
  for (int i = 0; i < 3; ++i) {
    const auto answer = llm.ask("x").get();
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(answer->response, "fresh");
    EXPECT_EQ(answer->cache_status, CacheStatus::miss);
  }
  ASSERT_TRUE(settled(cache));
  EXPECT_EQ(cache.get(key).get().value(), python);
  EXPECT_EQ(llm.stats().foreign_format, 3U);
  EXPECT_EQ(llm.stats().rejected_foreign_entry, 3U);
  EXPECT_EQ(llm.stats().misses, 3U);
  EXPECT_TRUE(adds_up(llm.stats()));
  EXPECT_EQ(log.count("EntryFormat::langgraph"), 1) << "reported once, with the option's name";
}

TEST(AskEntries, APythonEntryIsAHitInThePythonFormat) {
  const auto found = ask_over(R"(json:{"response":"by Python"})",
                              {.advanced = {.format = EntryFormat::langgraph}});
  EXPECT_EQ(found.answer.response, "by Python");
  EXPECT_TRUE(found.answer.cached);
  EXPECT_EQ(found.answer.age.count(), 0) << "it does not say when it was stored";
}

TEST(AskEntries, WhatOnlyPythonCanHoldIsAMissAndIsOverwritten) {
  // In the Python format: a pickle, which nobody but Python can read.
  const auto found = ask_over("pickle:\x80\x04", {.advanced = {.format = EntryFormat::langgraph}});
  EXPECT_EQ(found.answer.response, "fresh");
  EXPECT_EQ(found.stats.unsupported_entries + found.stats.corrupt_entries, 1U);
  EXPECT_NE(found.entry_afterwards.find("fresh"), std::string::npos);
}

TEST(AskEntries, ALaterVersionsEntryIsAMissAndIsOverwritten) {
  const auto key =
      CacheKey::builder().model("fake-model").temperature(0.7).prompt("x").build().value();
  auto bytes = entry_for(key, "llm_cache:" + key.path());
  const auto version = bytes.find(R"("v":1)");
  ASSERT_NE(version, std::string::npos) << bytes;
  bytes.replace(version, 5, R"("v":99)");
  const auto found = ask_over(bytes);
  EXPECT_EQ(found.answer.response, "fresh");
  EXPECT_EQ(found.stats.unsupported_entries, 1U);
  EXPECT_EQ(found.entry_afterwards.rfind(R"({"response":"fresh")", 0), 0U);
}

}  // namespace
}  // namespace valkeycache
