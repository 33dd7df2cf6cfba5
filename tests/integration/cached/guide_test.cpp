// The guide's flow, as an observer of Valkey sees it.
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cached_fixture.hpp"
#include "support/valkey/monitor.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

class Guide : public CachedTest {
 protected:
  ValkeyServer server_;
  ValkeyCache cache_ = ValkeyCache::open(server_.uri(), guide_cache()).value();
  CachedLlm llm_{cache_, claude(), guide_options()};

  std::string stored(const std::string& wire_key) {
    return server_.command({"GET", wire_key}).text;
  }
};

// A command's words, its value left out.
std::vector<std::string> without_value(const MonitoredCommand& command) {
  auto words = command.arguments;
  if (words.at(0) == "SET") words.at(2) = "...";
  return words;
}

TEST_F(Guide, MissThenHitWithTheGuidesCommands) {
  ASSERT_TRUE(ok(cache_.ping({.timeout = patience}).get()));
  Monitor monitor(server_);
  const auto miss = llm_.ask(guide_question).get();
  ASSERT_TRUE(ok(miss));
  EXPECT_FALSE(miss->cached);
  EXPECT_EQ(miss->cache_status, CacheStatus::miss);
  EXPECT_EQ(miss->model, sonnet);
  EXPECT_GT(miss->usage.input_tokens, 0);
  ASSERT_TRUE(settled(cache_));
  const auto hit = llm_.ask(guide_question).get();
  ASSERT_TRUE(ok(hit));
  EXPECT_TRUE(hit->cached);
  EXPECT_EQ(hit->response, miss->response);
  EXPECT_EQ(hit->avoided_usage, miss->usage);
  EXPECT_EQ(model_calls(), 1U);

  const auto commands = monitor.commands();
  ASSERT_EQ(commands.size(), 3U) << ::testing::PrintToString(monitor.lines());
  EXPECT_THAT(without_value(commands[0]), ElementsAre("GET", guide_wire_key));
  EXPECT_THAT(without_value(commands[1]), ElementsAre("SET", guide_wire_key, "...", "EX", "3600"));
  EXPECT_THAT(without_value(commands[2]), ElementsAre("GET", guide_wire_key));
}

TEST_F(Guide, TheEntryReadsWell) {
  const auto miss = llm_.ask(guide_question).get();
  ASSERT_TRUE(ok(miss));
  ASSERT_TRUE(settled(cache_));
  EXPECT_THAT(stored(guide_wire_key), StartsWith(R"({"response":")"));
  EXPECT_GT(server_.command({"TTL", guide_wire_key}).integer, 3590);
}

TEST_F(Guide, PaddingHits) {
  ASSERT_TRUE(ok(llm_.ask(guide_question).get()));
  ASSERT_TRUE(settled(cache_));
  EXPECT_TRUE(llm_.ask(std::string(" \n\t") + guide_question + "\u00a0 ").get()->cached);
  EXPECT_EQ(model_calls(), 1U);
}

TEST_F(Guide, AnotherModelOrTemperatureMisses) {
  ASSERT_TRUE(ok(llm_.ask(guide_question).get()));
  ASSERT_TRUE(settled(cache_));
  const auto colder = ChatRequest(guide_question).temperature(0.2);
  EXPECT_FALSE(llm_.ask(colder).get()->cached);

  auto options = guide_options();
  options.advanced.key.key_model = "claude-haiku";
  const CachedLlm haiku(cache_, claude(), options);
  EXPECT_FALSE(haiku.ask(guide_question).get()->cached);

  options.advanced.key.key_model.clear();
  const CachedLlm unaliased(cache_, claude(), options);
  EXPECT_FALSE(unaliased.ask(guide_question).get()->cached);
  const auto named = ChatRequest(guide_question).temperature(0.7).model("amazon.nova-lite-v1:0");
  EXPECT_FALSE(unaliased.ask(named).get()->cached);
  EXPECT_EQ(model_calls(), 5U);
}

TEST_F(Guide, EachTtlIsWhatWasAskedFor) {
  ASSERT_TRUE(ok(cache_.ping({.timeout = patience}).get()));
  Monitor monitor(server_);
  ASSERT_TRUE(ok(llm_.ask("a", {.ttl = 300s}).get()));
  ASSERT_TRUE(ok(llm_.ask("b", {.ttl = 1500ms}).get()));
  ASSERT_TRUE(ok(llm_.ask("c", {.ttl = Ttl::none()}).get()));
  ASSERT_TRUE(settled(cache_));
  std::vector<std::vector<std::string>> sets;
  for (const auto& command : monitor.commands()) {
    if (command.arguments.at(0) == "SET") {
      sets.push_back({command.arguments.begin() + 3, command.arguments.end()});
    }
  }
  EXPECT_THAT(sets,
              ElementsAre(ElementsAre("EX", "300"), ElementsAre("PX", "1500"), ElementsAre()));
}

TEST_F(Guide, ACompleteRequestHasAKeyOfItsOwn) {
  const auto request = ChatRequest(guide_question).temperature(0.7).system("Be brief.");
  ASSERT_TRUE(ok(llm_.ask(request).get()));
  ASSERT_TRUE(settled(cache_));
  const auto hit = llm_.ask(request).get();
  ASSERT_TRUE(ok(hit));
  EXPECT_TRUE(hit->cached);
  EXPECT_EQ(hit->key->text().size(), 64U);
  EXPECT_FALSE(llm_.ask(guide_question).get()->cached);
  EXPECT_EQ(server_.command({"EXISTS", cache_.wire_key(*hit->key)}).integer, 1);
}

TEST_F(Guide, GarbageIsAMissAndIsOverwritten) {
  for (const std::string garbage : {"garbage", "", "{\"response\":\"forged\"}", "\xff\x00\x01"}) {
    server_.command({"SET", guide_wire_key, garbage});
    const auto answer = llm_.ask(guide_question).get();
    ASSERT_TRUE(ok(answer));
    EXPECT_FALSE(answer->cached);
    EXPECT_EQ(answer->cache_status, CacheStatus::miss);
    ASSERT_TRUE(settled(cache_));
    const auto hit = llm_.ask(guide_question).get();
    ASSERT_TRUE(ok(hit));
    EXPECT_TRUE(hit->cached);
    EXPECT_EQ(hit->response, answer->response);
  }
  EXPECT_EQ(llm_.stats().corrupt_entries, 4U);
}

TEST_F(Guide, SomebodyElsesAnswerIsNeverHandedOver) {
  ASSERT_TRUE(ok(llm_.ask("another question").get()));
  ASSERT_TRUE(settled(cache_));
  const auto other = cache_.wire_key(llm_.key_of("another question").value());
  server_.command({"COPY", other, guide_wire_key});
  const auto answer = llm_.ask(guide_question).get();
  ASSERT_TRUE(ok(answer));
  EXPECT_FALSE(answer->cached);
  EXPECT_EQ(llm_.stats().wrong_digest, 1U);
  ASSERT_TRUE(settled(cache_));
  EXPECT_TRUE(llm_.ask(guide_question).get()->cached) << "it was overwritten";
}

TEST_F(Guide, APythonEntryIsLeftAloneUnlessAskedFor) {
  const std::string python = R"(json:{"response":"by Python"})";
  server_.command({"SET", guide_wire_key, python});
  EXPECT_FALSE(llm_.ask(guide_question).get()->cached);
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(stored(guide_wire_key), python);

  auto options = guide_options();
  options.advanced.format = EntryFormat::langgraph;
  const CachedLlm beside_python(cache_, claude(), options);
  const auto hit = beside_python.ask(guide_question).get();
  ASSERT_TRUE(ok(hit));
  EXPECT_TRUE(hit->cached);
  EXPECT_EQ(hit->response, "by Python");
}

TEST_F(Guide, AnEvictedEntryIsAMiss) {
  ASSERT_TRUE(ok(llm_.ask(guide_question).get()));
  ASSERT_TRUE(settled(cache_));
  server_.command({"DEL", guide_wire_key});
  EXPECT_FALSE(llm_.ask(guide_question).get()->cached);
  EXPECT_TRUE(settled(cache_));
}

TEST_F(Guide, TheModelsErrorIsTheCallsAndNothingIsStored) {
  bedrock().add_fault(faults::error(400, "ValidationException", "no such thing"));
  const auto answer = llm_.ask(guide_question).get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::invalid_request);
  EXPECT_EQ(answer.error().server_code, "ValidationException");
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(server_.command({"DBSIZE"}).integer, 0);
}

TEST_F(Guide, AFilteredAnswerIsGivenAndNotStored) {
  bedrock().set_stop_reason("guardrail_intervened");
  const auto answer = llm_.ask(guide_question).get();
  bedrock().set_stop_reason("end_turn");
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->stop_reason, "guardrail_intervened");
  ASSERT_TRUE(settled(cache_));
  EXPECT_EQ(server_.command({"DBSIZE"}).integer, 0);
  EXPECT_EQ(llm_.stats().rejected_filtered, 1U);
}

TEST_F(Guide, CancellingWhileTheModelThinks) {
  bedrock().hold();
  std::stop_source stop;
  auto answer = llm_.ask(guide_question, {.stop_token = stop.get_token()});
  EXPECT_TRUE(wait_until([&] { return model_calls() == 1; }));
  stop.request_stop();
  const auto result = answer.get(patience);
  bedrock().release();
  EXPECT_TRUE(fails_with(result, ErrorCode::cancelled));
}

TEST_F(Guide, ADeadlineWhileTheModelThinks) {
  bedrock().hold();
  const auto result = llm_.ask(guide_question, {.timeout = 30ms}).get(patience);
  bedrock().release();
  EXPECT_TRUE(fails_with(result, ErrorCode::timeout));
}

}  // namespace
