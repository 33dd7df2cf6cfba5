// Streams of Bedrock through a real Valkey.
#include <string>
#include <vector>

#include "cached_fixture.hpp"
#include "support/bedrock/event_frames.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using Type = StreamEvent::Type;

namespace {

class CachedStreams : public CachedTest {
 protected:
  struct Heard {
    Result<CachedAnswer> answer;
    std::vector<StreamEvent> events;
  };
  static Heard listen(const CachedLlm& llm, const ChatRequest& request) {
    std::vector<StreamEvent> events;
    auto answer =
        llm.stream(request, [&](const StreamEvent& event) { events.push_back(event); }).get();
    return {std::move(answer), std::move(events)};
  }
  static void expect_same(const std::vector<StreamEvent>& told,
                          const std::vector<StreamEvent>& live) {
    ASSERT_EQ(told.size(), live.size());
    for (std::size_t i = 0; i < live.size(); ++i) {
      EXPECT_EQ(told[i].type, live[i].type) << i;
      EXPECT_EQ(told[i].block, live[i].block) << i;
      EXPECT_EQ(told[i].text, live[i].text) << i;
      EXPECT_EQ(told[i].json, live[i].json) << i;
      EXPECT_EQ(told[i].usage, live[i].usage) << i;
    }
  }
  static std::string text_of(const std::vector<StreamEvent>& events) {
    std::string text;
    for (const auto& event : events) text += event.type == Type::text_delta ? event.text : "";
    return text;
  }

  ValkeyServer server_;
  ValkeyCache cache_ = ValkeyCache::open(server_.uri(), guide_cache()).value();
};

TEST_F(CachedStreams, AHitIsToldAsTheMissWas) {
  auto options = guide_options();
  options.advanced.store_tool_use = true;
  const CachedLlm llm(cache_, claude(), options);
  const auto text = ChatRequest(guide_question).temperature(0.7);
  const auto tool = ChatRequest("What is the weather in Turku?")
                        .tool({.name = "get_weather",
                               .input_schema = R"({"type":"object","required":["city"]})"});
  for (const auto& request : {text, tool}) {
    const auto miss = listen(llm, request);
    ASSERT_TRUE(ok(miss.answer));
    EXPECT_FALSE(miss.answer->cached);
    ASSERT_TRUE(settled(cache_));
    const auto hit = listen(llm, request);
    ASSERT_TRUE(ok(hit.answer));
    EXPECT_EQ(hit.answer->source, AnswerSource::valkey);
    expect_same(hit.events, miss.events);
    EXPECT_GT(hit.events.size(), 5U);

    const auto asked = llm.ask(request).get();
    ASSERT_TRUE(ok(asked));
    EXPECT_TRUE(asked->cached);
    EXPECT_EQ(asked->response, miss.answer->response);
    EXPECT_EQ(asked->content, miss.answer->content);
    EXPECT_EQ(tool_uses(*asked), tool_uses(*miss.answer));
  }
  EXPECT_EQ(model_calls(), 2U);
}

TEST_F(CachedStreams, AnEntryOfAskIsToldAsWell) {
  const CachedLlm llm(cache_, claude(), guide_options());
  const auto request = ChatRequest(guide_question).temperature(0.7);
  const auto asked = llm.ask(request).get();
  ASSERT_TRUE(ok(asked));
  ASSERT_TRUE(settled(cache_));
  const auto hit = listen(llm, request);
  ASSERT_TRUE(ok(hit.answer));
  EXPECT_TRUE(hit.answer->cached);
  EXPECT_EQ(text_of(hit.events), asked->response);
  EXPECT_EQ(model_calls(), 1U);
}

TEST_F(CachedStreams, WhatBreaksOffIsNotStored) {
  const CachedLlm llm(cache_, claude(), guide_options());
  const auto request = ChatRequest(guide_question).temperature(0.7);
  std::vector<std::string> heard;
  for (const auto& fault :
       {faults::stream_ends_after(4), faults::stream_exception(4, "throttlingException"),
        faults::in_stream({.corrupt = 4}), faults::truncated(300), faults::with_body(""),
        faults::with_body("[1,2,3]"), faults::with_body("{}", "text/html"),
        faults::with_body(event_frame("messageStart", "{\"role\":\"\xff\"}"),
                          "application/vnd.amazon.eventstream")}) {
    bedrock().add_fault(fault);
    const auto broken = listen(llm, request);
    EXPECT_FALSE(broken.answer);
    heard.push_back(text_of(broken.events));
    ASSERT_TRUE(settled(cache_));
    EXPECT_EQ(server_.command({"DBSIZE"}).integer, 0);
  }
  const auto whole = listen(llm, request);
  ASSERT_TRUE(ok(whole.answer));
  for (const auto& part : heard) EXPECT_TRUE(whole.answer->response.starts_with(part)) << part;
  ASSERT_TRUE(settled(cache_));
  EXPECT_TRUE(llm.ask(request).get()->cached);
}

}  // namespace
