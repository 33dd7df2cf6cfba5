#include <valkeycache/cache_key.hpp>
#include <valkeycache/cached_llm.hpp>
#include <valkeycache/content.hpp>
#include <valkeycache/llm.hpp>

#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

using namespace valkeycache;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

void expect_fault(const Content& content, const std::string& word) {
  EXPECT_THAT(content.fault(), HasSubstr(word));
  EXPECT_THAT(content.to_json(), IsEmpty());
  const auto request = ChatRequest().user({content});
  ASSERT_NE(request.error(), nullptr);
  EXPECT_EQ(request.error()->code, ErrorCode::invalid_argument);
  EXPECT_THAT(request.error()->message, HasSubstr(word));
}
void expect_error(const ChatRequest& request, const std::string& word) {
  ASSERT_NE(request.error(), nullptr);
  EXPECT_EQ(request.error()->code, ErrorCode::invalid_argument);
  EXPECT_THAT(request.error()->message, HasSubstr(word));
}

TEST(Content, IsCanonicalConverseJson) {
  const std::pair<Content, const char*> cases[] = {
      {Content::text("a \"b\"\n"), R"({"text":"a \"b\"\n"})"},
      {Content::text(""), R"({"text":""})"},
      {Content::image("png", "\x89PNG"),
       R"({"image":{"format":"png","source":{"bytes":"iVBORw=="}}})"},
      {Content::document("md", "Annual report (2) [b]-x", "# Hi"),
       R"({"document":{"format":"md","name":"Annual report (2) [b]-x","source":{"bytes":"IyBIaQ=="}}})"},
      {Content::tool_use("t1", "n", R"({"z":1, "a":[1.50]})"),
       R"({"toolUse":{"input":{"a":[1.50],"z":1},"name":"n","toolUseId":"t1"}})"},
      {Content::tool_result("t1", "ok"),
       R"({"toolResult":{"content":[{"text":"ok"}],"toolUseId":"t1"}})"},
      {Content::tool_result("t1", {Content::json("[1, 2]"), Content::image("gif", "G")},
                            ToolStatus::error),
       R"({"toolResult":{"content":[{"json":[1,2]},{"image":{"format":"gif","source":{"bytes":"Rw=="}}}],)"
       R"("status":"error","toolUseId":"t1"}})"},
      {Content::tool_result("t1", std::vector<Content>{}),
       R"({"toolResult":{"content":[],"toolUseId":"t1"}})"},
      {Content::reasoning("hm"), R"({"reasoningContent":{"reasoningText":{"text":"hm"}}})"},
      {Content::reasoning("hm", "sig"),
       R"({"reasoningContent":{"reasoningText":{"signature":"sig","text":"hm"}}})"},
      {Content::guard_text("x"), R"({"guardContent":{"text":{"text":"x"}}})"},
      {Content::guard_text("x", {"query", "grounding_source"}),
       R"({"guardContent":{"text":{"qualifiers":["query","grounding_source"],"text":"x"}}})"},
      {Content::cache_point(), R"({"cachePoint":{"type":"default"}})"},
      {Content::cache_point("1h"), R"({"cachePoint":{"ttl":"1h","type":"default"}})"},
      {Content::raw(R"({"video": {"b":1,"a":2}})"), R"({"video":{"a":2,"b":1}})"},
  };
  for (const auto& [content, json] : cases) {
    EXPECT_THAT(content.fault(), IsEmpty());
    EXPECT_EQ(content.to_json(), json);
    EXPECT_EQ(Content::raw(json).to_json(), json) << "it is canonical";
  }
}

TEST(Content, EachFormatThatConverseHas) {
  for (const char* format : {"png", "jpeg", "gif", "webp"}) {
    EXPECT_THAT(Content::image(format, "x").fault(), IsEmpty()) << format;
  }
  for (const char* format : {"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"}) {
    EXPECT_THAT(Content::document(format, "x", "x").fault(), IsEmpty()) << format;
  }
}

TEST(Content, FaultsAreRemembered) {
  expect_fault(Content::text("\xff"), "UTF-8");
  expect_fault(Content::image("PNG", "x"), "format");
  expect_fault(Content::image("bmp", "x"), "format");
  expect_fault(Content::image("png", ""), "no bytes");
  expect_fault(Content::document("png", "x", "x"), "format");
  expect_fault(Content::document("pdf", "x", ""), "no bytes");
  for (const std::string name :
       {"", "a.pdf", "a_b", "a  b", "a \tb", "caf\xc3\xa9", "a/b", "x\"y"}) {
    expect_fault(Content::document("pdf", name, "x"), "name");
  }
  expect_fault(Content::document("pdf", std::string(201, 'a'), "x"), "name");
  EXPECT_THAT(Content::document("pdf", std::string(200, 'a'), "x").fault(), IsEmpty());
  expect_fault(Content::tool_use("", "n", "{}"), "id");
  expect_fault(Content::tool_use("t", "", "{}"), "name");
  expect_fault(Content::tool_use("t", "n", ""), "input");
  expect_fault(Content::tool_use("t", "n", "[]"), "input");
  expect_fault(Content::tool_use("t", "n", R"({"a":1,"a":1})"), "duplicate");
  expect_fault(Content::tool_result("", "x"), "id");
  expect_fault(Content::tool_result("t", "\xff"), "in a tool result, a text block");
  expect_fault(Content::tool_result("t", {Content::image("png", "")}), "no bytes");
  expect_fault(Content::json("{"), "json block");
  expect_fault(Content::reasoning("\xff"), "UTF-8");
  expect_fault(Content::reasoning("x", "\xff"), "UTF-8");
  expect_fault(Content::guard_text("\xff"), "UTF-8");
  expect_fault(Content::guard_text("x", {"\xff"}), "UTF-8");
  expect_fault(Content::cache_point("\xff"), "UTF-8");
  expect_fault(Content::raw("[]"), "is a JSON object");
  expect_fault(Content::raw("{\"secret\":oops}"), "at byte");
  EXPECT_THAT(Content::raw("{\"secret\":oops}").fault(), Not(HasSubstr("secret")));
}

// Whatever a maker accepts, a request with it can be read back.
TEST(Content, DepthIsThatOfTheWholeRequest) {
  const auto deep = [](std::size_t depth) {
    return R"({"a":)" + nested(depth - 1) + "}";
  };
  const auto fits = [](const Content& content) {
    const auto request = ChatRequest().user({content});
    return !request.error() && ChatRequest::from_converse_json(request.to_json()).has_value();
  };
  EXPECT_TRUE(fits(Content::raw(deep(124))));
  expect_fault(Content::raw(deep(125)), "nesting");
  EXPECT_TRUE(fits(Content::tool_use("t", "n", deep(122))));
  expect_fault(Content::tool_use("t", "n", deep(123)), "nesting");
  EXPECT_TRUE(fits(Content::tool_result("t", {Content::json(nested(120))})));
  expect_fault(Content::tool_result("t", {Content::json(nested(121))}), "nests");
  EXPECT_TRUE(fits(Content::json(nested(123))));
  expect_fault(Content::json(nested(124)), "nesting");

  const auto with_schema = [&](std::size_t depth) {
    return ChatRequest().tool({.name = "t", .input_schema = deep(depth)});
  };
  EXPECT_TRUE(ChatRequest::from_converse_json(with_schema(122).to_json()));
  expect_error(with_schema(123), "nesting");
  EXPECT_TRUE(ChatRequest::from_converse_json(ChatRequest().tool_json(deep(125)).to_json()));
  expect_error(ChatRequest().tool_json(deep(126)), "nesting");
}

// --- in a request

TEST(Messages, TypedSettersSayWhatTheSdkSays) {
  std::ifstream file(VALKEYCACHE_TEST_DATA "/sdk_requests.json");
  const auto vectors = nlohmann::json::parse(file);
  std::string body;
  for (const auto& one : vectors.at("cases")) {
    if (one.at("name") == "Converse, every member of the request") body = one.at("body");
  }
  ASSERT_THAT(body, Not(IsEmpty()));

  const auto request =
      ChatRequest()
          .user({Content::text("h\u00e9llo \u65e5\u672c\u8a9e \U0001F600 \"q\" \\ / \n"),
                 Content::image("png", "\x89PNG"), Content::cache_point()})
          .message(
              {.role = Role::assistant,
               .content = {Content::tool_use("tooluse_1", "t", R"({"b":1,"a":[1.5,null,true]})")}})
          .user({Content::raw(R"({"toolResult":{"toolUseId":"tooluse_1","status":"success",)"
                              R"("content":[{"json":{"z":1}},{"text":"ok"}]}})")})
          .system("Be brief.")
          .max_tokens(512)
          .temperature(0)
          .extra("inferenceConfig",
                 R"({"maxTokens":512,"temperature":0,"topP":1,"stopSequences":["END"]})")
          .tool({.name = "t",
                 .description = "d",
                 .input_schema = R"({"type":"object","properties":{"a":{"type":"number"}}})"})
          .tool_choice(ToolChoice::automatic)
          .guardrail("abcdef123456", "1", "enabled")
          .extra("additionalModelRequestFields",
                 R"({"top_k":50,"thinking":{"type":"enabled","budget_tokens":1024}})")
          .extra("additionalModelResponseFieldPaths", R"(["/stop_sequence"])")
          .extra("requestMetadata", R"({"team":"x"})")
          .extra("performanceConfig", R"({"latency":"standard"})");
  ASSERT_EQ(request.error(), nullptr) << request.error()->message;
  EXPECT_EQ(request.to_json(), ChatRequest::from_converse_json(body).value().to_json());
}

TEST(Messages, OneTextBlockIsTheSimpleForm) {
  EXPECT_EQ(ChatRequest().user({Content::text("hi")}).to_json(), ChatRequest("hi").to_json());
  EXPECT_EQ(ChatRequest().message({Role::user, {Content::text("hi")}}).to_json(),
            ChatRequest("hi").to_json());
  EXPECT_EQ(ChatRequest().system(Content::text("s")).to_json(),
            ChatRequest().system("s").to_json());
}

TEST(Messages, WithoutContentIsAnError) {
  expect_error(ChatRequest().user(std::vector<Content>{}), "a user message");
  expect_error(ChatRequest().assistant(std::vector<Content>{}), "an assistant message");
  expect_error(ChatRequest().system(Content::raw("1")), "a system block");
}

TEST(Messages, EveryByteOfAnImageIsInTheKey) {
  const auto key = [](std::string_view bytes) {
    return CacheKey::of(ChatRequest()
                            .user({Content::text("x"), Content::image("png", bytes)})
                            .temperature(1),
                        {"m", ""})
        .value();
  };
  EXPECT_FALSE(key("ab").is_simple());
  EXPECT_EQ(key("ab"), key("ab"));
  EXPECT_NE(key("ab").text(), key("ac").text());
  EXPECT_NE(key("ab").text(), key(std::string_view("ab\0", 3)).text());
}

// --- tools

TEST(Tools, AreKeptInTheirOrder) {
  const auto request = ChatRequest("x")
                           .tool({.name = "b", .input_schema = R"({"type": "object"})"})
                           .tool_choice("b")
                           .tool({.name = "a", .description = "says \"a\"", .input_schema = "{}"})
                           .tool_json(R"({"cachePoint":{"type":"default"}})");
  ASSERT_EQ(request.error(), nullptr);
  EXPECT_THAT(
      request.to_json(),
      HasSubstr(R"("toolConfig":{"toolChoice":{"tool":{"name":"b"}},"tools":[)"
                R"({"toolSpec":{"inputSchema":{"json":{"type":"object"}},"name":"b"}},)"
                R"({"toolSpec":{"description":"says \"a\"","inputSchema":{"json":{}},"name":"a"}},)"
                R"({"cachePoint":{"type":"default"}}]})"));
  EXPECT_EQ(ChatRequest::from_converse_json(request.to_json()).value().to_json(),
            request.to_json());
}

TEST(Tools, ChoicesAndTheOrderOfSetters) {
  const ToolSpec tool{.name = "t", .input_schema = "{}"};
  EXPECT_EQ(ChatRequest().tool(tool).tool_choice(ToolChoice::any).to_json(),
            ChatRequest().tool_choice(ToolChoice::any).tool(tool).to_json());
  EXPECT_THAT(ChatRequest().tool_choice(ToolChoice::any).to_json(), HasSubstr(R"({"any":{}})"));
  EXPECT_THAT(ChatRequest().tool_choice("t").tool_choice(ToolChoice::automatic).to_json(),
              HasSubstr(R"("toolChoice":{"auto":{}})"));
  // What was there stays.
  EXPECT_EQ(
      ChatRequest().extra("toolConfig", R"({"x":1,"tools":[]})").tool(tool).to_json(),
      R"({"toolConfig":{"tools":[{"toolSpec":{"inputSchema":{"json":{}},"name":"t"}}],"x":1}})");
}

TEST(Tools, Errors) {
  for (const std::string name : {"", "a b", "a.b", "caf\xc3\xa9", "a\"b"}) {
    expect_error(ChatRequest().tool({.name = name, .input_schema = "{}"}), "name");
    expect_error(ChatRequest().tool_choice(name), "name");
  }
  expect_error(ChatRequest().tool({.name = std::string(65, 'a'), .input_schema = "{}"}), "name");
  EXPECT_EQ(ChatRequest().tool({.name = std::string(64, 'a'), .input_schema = "{}"}).error(),
            nullptr);
  expect_error(ChatRequest().tool({.name = "t", .description = "\xff", .input_schema = "{}"}),
               "description");
  expect_error(ChatRequest().tool({.name = "t", .input_schema = ""}), "input_schema");
  expect_error(ChatRequest().tool({.name = "t", .input_schema = "[]"}), "input_schema");
  expect_error(ChatRequest().tool_json("[]"), "tool_json");
  const ToolSpec tool{.name = "t", .input_schema = "{}"};
  expect_error(ChatRequest().extra("toolConfig", "null").tool(tool), "toolConfig");
  expect_error(ChatRequest().extra("toolConfig", R"({"tools":1})").tool(tool), "toolConfig.tools");
}

TEST(Guardrail, IsInTheRequest) {
  EXPECT_EQ(ChatRequest().guardrail("g", "2").to_json(),
            R"({"guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"2"}})");
  EXPECT_EQ(ChatRequest().guardrail("g", "2").guardrail("h\"", "DRAFT", "enabled_full").to_json(),
            R"({"guardrailConfig":{"guardrailIdentifier":"h\"","guardrailVersion":"DRAFT",)"
            R"("trace":"enabled_full"}})");
  expect_error(ChatRequest().guardrail("", "1"), "guardrail");
  expect_error(ChatRequest().guardrail("g", ""), "guardrail");
  expect_error(ChatRequest().guardrail("g", "1", "\xff"), "guardrail");
}

// --- answers

constexpr const char* tool_content =
    R"([{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}}, {"text":"Let me see."},)"
    R"({"toolUse":{"toolUseId":"t1","name":"weather","input":{"city": "Turku", "n":1.0}}},)"
    R"({"novelty":[1]},{"toolUse":{"name":"clock","toolUseId":"t\u0032","input":{},"type":"x"}}])";

TEST(Answers, SayWhichToolsTheyAskFor) {
  Completion answer;
  answer.content = tool_content;
  EXPECT_THAT(tool_uses(answer),
              ElementsAre(ToolUse{"t1", "weather", R"({"city": "Turku", "n":1.0})"},
                          ToolUse{"t2", "clock", "{}"}));
  CachedAnswer cached;
  cached.content = tool_content;
  EXPECT_EQ(tool_uses(cached), tool_uses(answer));
  for (const char* none :
       {"", "[]", "{}", "null", "[1]", R"([{"text":"toolUse"}])", R"([{"toolUse":1}])",
        R"([{"toolUse":{}})", R"([{"toolUse":{"toolUseId":"a"}}] x)"}) {
    EXPECT_THAT(tool_uses(std::string_view(none)), IsEmpty()) << none;
  }
  EXPECT_THAT(tool_uses(std::string_view(R"([{"toolUse":{"toolUseId":1,"name":null}}])")),
              ElementsAre(ToolUse{"", "", "{}"}));
}

TEST(Answers, GoBackIntoTheConversationWhole) {
  Completion answer;
  answer.text = "Let me see.";
  answer.content = tool_content;
  CachedAnswer cached;
  cached.response = answer.text;
  cached.content = answer.content;
  const auto request = ChatRequest("What is the weather in Turku?")
                           .assistant(answer)
                           .user({Content::tool_result("t1", "sunny")});
  ASSERT_EQ(request.error(), nullptr);
  EXPECT_EQ(request.to_json(),
            ChatRequest("What is the weather in Turku?")
                .message_json(std::string(R"({"role":"assistant","content":)") + tool_content + "}")
                .user({Content::tool_result("t1", "sunny")})
                .to_json());
  EXPECT_EQ(ChatRequest("q").assistant(content_of(cached)).to_json(),
            ChatRequest("q").assistant(answer).to_json());

  answer.content.clear();
  EXPECT_EQ(ChatRequest("q").assistant(answer).to_json(),
            ChatRequest("q").assistant("Let me see.").to_json());
  answer.content = "[{";
  expect_error(ChatRequest("q").assistant(answer), "assistant message");
}

}  // namespace
