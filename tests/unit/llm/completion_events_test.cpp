#include "llm/completion_events.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace valkeycache;
using ::testing::ElementsAre;

std::vector<std::string> told(const Completion& completion) {
  std::vector<std::string> lines;
  detail::tell_as_events(completion, [&](const StreamEvent& event) {
    using Type = StreamEvent::Type;
    const auto block = std::to_string(event.block) + ' ';
    switch (event.type) {
      case Type::message_start:
        lines.push_back("start " + event.text);
        break;
      case Type::block_start:
        lines.push_back(block + "begin " + event.json);
        break;
      case Type::text_delta:
        lines.push_back(block + "text " + event.text);
        break;
      case Type::reasoning_delta:
        lines.push_back(block + "reasoning " + event.text);
        break;
      case Type::tool_delta:
        lines.push_back(block + "tool " + event.text);
        break;
      case Type::other_delta:
        lines.push_back(block + "other " + event.json);
        break;
      case Type::block_stop:
        lines.push_back(block + "end");
        break;
      case Type::message_stop:
        lines.push_back("stop " + event.text);
        break;
      case Type::usage:
        lines.push_back("usage " + std::to_string(event.usage.total_tokens));
        break;
    }
  });
  return lines;
}

TEST(CompletionEvents, OfText) {
  EXPECT_THAT(told({.text = "Hi", .stop_reason = "end_turn", .usage = {.total_tokens = 7}}),
              ElementsAre("start assistant", "0 text Hi", "0 end", "stop end_turn", "usage 7"));
  EXPECT_THAT(told({.stop_reason = "end_turn"}),
              ElementsAre("start assistant", "stop end_turn", "usage 0"));
}

TEST(CompletionEvents, OfEveryKindOfBlock) {
  EXPECT_THAT(
      told({.text = "Let me see.",
            .content =
                R"([{"reasoningContent":{"reasoningText":{"text":"Hm\n","signature":"s"}}},)"
                R"({"text":"Let me see."},)"
                R"({"toolUse":{"input":{"n":18446744073709551617},"name":"add","toolUseId":"t1"}},)"
                R"({"toolUse":{"name":"now","toolUseId":"t2"}},)"
                R"({"image":{"format":"png"}}])",
            .stop_reason = "tool_use"}),
      ElementsAre("start assistant", "0 reasoning Hm\n", "0 end", "1 text Let me see.", "1 end",
                  R"(2 begin {"toolUse":{"name":"add","toolUseId":"t1"}})",
                  R"(2 tool {"n":18446744073709551617})", "2 end",
                  R"(3 begin {"toolUse":{"name":"now","toolUseId":"t2"}})", "3 end",
                  R"(4 begin {"image":{"format":"png"}})", "4 end", "stop tool_use", "usage 0"));
}

TEST(CompletionEvents, MalformedContentIsPassedOver) {
  for (const char* content : {"{}", "[", "[1", "[] x", "nonsense"}) {
    EXPECT_THAT(told({.text = "Hi", .content = content, .stop_reason = "s"}),
                ElementsAre("start assistant", "0 text Hi", "0 end", "stop s", "usage 0"))
        << content;
  }
}

}  // namespace
