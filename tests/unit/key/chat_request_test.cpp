#include <valkeycache/llm.hpp>

#include <cmath>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace valkeycache;
using ::testing::HasSubstr;
using ::testing::Not;

void expect_error(const ChatRequest& request, const std::string& word) {
  ASSERT_NE(request.error(), nullptr);
  EXPECT_EQ(request.error()->code, ErrorCode::invalid_argument);
  EXPECT_THAT(request.error()->message, HasSubstr(word));
}
void expect_error(const Result<ChatRequest>& request, const std::string& word) {
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(request.error().message, HasSubstr(word));
}
std::string round_trip(const std::string& json) {
  return ChatRequest::from_converse_json(json).value().to_json();
}

TEST(ChatRequest, WritesConverseJson) {
  const auto request = ChatRequest("Hi \"you\"\n")
                           .model("m")
                           .assistant("Yes?")
                           .user("Bye")
                           .system("Be kind.")
                           .temperature(0.2)
                           .top_p(1.0)
                           .max_tokens(300)
                           .stop_sequences({"END", "\""})
                           .extra("additionalModelRequestFields", R"({"top_k": 5})")
                           .extra("zeta", "[ 1 ]");
  ASSERT_EQ(request.error(), nullptr);
  EXPECT_EQ(request.model(), "m");
  EXPECT_EQ(
      request.to_json(),
      R"({"additionalModelRequestFields":{"top_k":5},)"
      R"("inferenceConfig":{"maxTokens":300,"stopSequences":["END","\""],"temperature":0.2,"topP":1.0},)"
      R"("messages":[{"content":[{"text":"Hi \"you\"\n"}],"role":"user"},)"
      R"({"content":[{"text":"Yes?"}],"role":"assistant"},)"
      R"({"content":[{"text":"Bye"}],"role":"user"}],)"
      R"("system":[{"text":"Be kind."}],"zeta":[1]})");
}

TEST(ChatRequest, AnEmptyOneIsAnEmptyObject) {
  EXPECT_EQ(ChatRequest().to_json(), "{}");
  EXPECT_EQ(ChatRequest().temperature_text(), std::nullopt);
}

TEST(ChatRequest, TheOrderOfSettersDoesNotMatter) {
  EXPECT_EQ(
      ChatRequest().temperature(1).user("a").extra("x", "1").system("s").max_tokens(2).to_json(),
      ChatRequest("a").max_tokens(2).system("s").extra("x", "1").temperature(1).to_json());
}

TEST(ChatRequest, TheLastOfTwoWins) {
  EXPECT_EQ(ChatRequest().temperature(0.1).temperature(2).temperature_text(), "2");
  EXPECT_EQ(ChatRequest().extra("x", "1").extra("x", "2").to_json(), R"({"x":2})");
}

TEST(ChatRequest, ReadsConverseJson) {
  const auto request = ChatRequest::from_converse_json(R"( {
      "modelId": "m", "system": [{"text":"s"}], "future": {"b":2,"a":1},
      "inferenceConfig": {"temperature": 0.70}, "messages": [{"role":"user","content":[{"text":"hi"}]}]
    } )");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model(), "m");
  EXPECT_EQ(request->to_json(),
            R"({"future":{"a":1,"b":2},"inferenceConfig":{"temperature":0.70},)"
            R"("messages":[{"content":[{"text":"hi"}],"role":"user"}],"system":[{"text":"s"}]})");
  EXPECT_EQ(round_trip(request->to_json()), request->to_json());
}

TEST(ChatRequest, TypedSettersAddToWhatWasRead) {
  auto request =
      ChatRequest::from_converse_json(R"({"messages":[],"inferenceConfig":{"topK":1}})").value();
  request.user("hi").max_tokens(3);
  EXPECT_EQ(request.to_json(), R"({"inferenceConfig":{"maxTokens":3,"topK":1},)"
                               R"("messages":[{"content":[{"text":"hi"}],"role":"user"}]})");
}

TEST(ChatRequest, AbsentAndEmptyStayDistinct) {
  for (const char* json :
       {"{}", R"({"messages":[]})", R"({"system":[]})", R"({"inferenceConfig":{}})",
        R"({"toolConfig":null})",
        R"({"a":1,"inferenceConfig":{},"k":2,"messages":[],"n":3,"system":[],"z":4})"}) {
    EXPECT_EQ(round_trip(json), json);
  }
}

TEST(ChatRequest, UnknownMembersAndNumbersStayAsTheyAre) {
  const std::string json =
      R"({"":0,"a":[18446744073709551617,1.10,1E5,-0],"b":{"":{}},"inferenceConfig":{"x":1e400}})";
  EXPECT_EQ(round_trip(json), json);
}

TEST(ChatRequest, ExtraReplacesWhatSettersWrote) {
  auto request = ChatRequest("a").system("s").temperature(1).model("m");
  request.extra("messages", "[]").extra("system", R"([{"text":"t"}])");
  request.extra("inferenceConfig", R"({"topP":0.5})").extra("modelId", R"("n")");
  EXPECT_EQ(request.to_json(),
            R"({"inferenceConfig":{"topP":0.5},"messages":[],"system":[{"text":"t"}]})");
  EXPECT_EQ(request.model(), "n");
  EXPECT_FALSE(request.has_member("modelId"));
}

TEST(ChatRequest, HasMember) {
  const auto request = ChatRequest("a").extra("x", "null");
  EXPECT_TRUE(request.has_member("messages"));
  EXPECT_TRUE(request.has_member("x"));
  EXPECT_FALSE(request.has_member("system"));
  EXPECT_FALSE(request.has_member("inferenceConfig"));
  EXPECT_TRUE(ChatRequest().system("s").has_member("system"));
  EXPECT_TRUE(ChatRequest().max_tokens(1).has_member("inferenceConfig"));
}

TEST(ChatRequest, MessagesAndSystemBlocksAsJson) {
  const auto request =
      ChatRequest()
          .message_json(R"({"role":"user","content":[{"image":{"format":"png"}}]})")
          .system_json(R"({"cachePoint":{"type":"default"}})");
  EXPECT_EQ(request.to_json(),
            R"({"messages":[{"content":[{"image":{"format":"png"}}],"role":"user"}],)"
            R"("system":[{"cachePoint":{"type":"default"}}]})");
}

TEST(ChatRequest, HashedJsonLeavesOutWhatCannotChangeTheAnswer) {
  const auto request = ChatRequest("a").extra("requestMetadata", R"({"t":"1"})").extra("z", "1");
  EXPECT_THAT(request.to_json(), HasSubstr("requestMetadata"));
  EXPECT_EQ(request.to_hashed_json(), ChatRequest("a").extra("z", "1").to_json());
}

TEST(ChatRequest, SettersRememberTheFirstError) {
  expect_error(ChatRequest("\xff"), "user message");
  expect_error(ChatRequest().assistant("\xff"), "assistant message");
  expect_error(ChatRequest().system("\xff"), "system text");
  expect_error(ChatRequest().model("\xff"), "model");
  expect_error(ChatRequest().stop_sequences({"a", "\xff"}), "stop sequence");
  expect_error(ChatRequest().temperature(std::nan("")), "temperature");
  expect_error(ChatRequest().temperature(std::numeric_limits<double>::infinity()), "temperature");
  expect_error(ChatRequest().top_p(-std::numeric_limits<double>::infinity()), "top_p");
  expect_error(ChatRequest().max_tokens(0), "max_tokens");
  expect_error(ChatRequest().max_tokens(-1), "max_tokens");
  expect_error(ChatRequest().message_json("{"), "message_json: JSON that ends too early at byte 1");
  expect_error(ChatRequest().message_json("[]"), "message_json");
  expect_error(ChatRequest().message_json(R"({"a":1,"a":2})"), "duplicate");
  expect_error(ChatRequest().system_json("\"x\""), "system_json");
  expect_error(ChatRequest().system_json("{}}"), "system_json");
  expect_error(ChatRequest().extra("x", ""), "extra");
  expect_error(ChatRequest().extra("x", "NaN"), "extra");
  expect_error(ChatRequest().extra("\xff", "1"), "name");
  expect_error(ChatRequest().extra("messages", "{}"), "messages");
  expect_error(ChatRequest().extra("system", "\"s\""), "system");
  expect_error(ChatRequest().extra("inferenceConfig", "[]"), "inferenceConfig");
  expect_error(ChatRequest().extra("modelId", "1"), "modelId");
  expect_error(ChatRequest().extra("modelId", "\"\""), "modelId");
  expect_error(ChatRequest().max_tokens(0).temperature(std::nan("")), "max_tokens");
}

TEST(ChatRequest, ReadingErrors) {
  const auto read = [](std::string_view json) {
    return ChatRequest::from_converse_json(json);
  };
  expect_error(read(""), "ends too early");
  expect_error(read("[]"), "is a JSON object");
  expect_error(read("{} x"), "after");
  expect_error(read(R"({"a":1,"\u0061":2})"), "duplicate");
  expect_error(read("{\"a\":\"\xff\"}"), "UTF-8");
  expect_error(read(R"({"a":"\udfff"})"), "surrogate");
  expect_error(read(R"({"messages":null})"), "messages");
  expect_error(read(R"({"system":{}})"), "system");
  expect_error(read(R"({"inferenceConfig":0.5})"), "inferenceConfig");
  expect_error(read(R"({"modelId":[]})"), "modelId");
}

TEST(ChatRequest, ErrorsQuoteNothing) {
  const auto request = ChatRequest::from_converse_json(R"({"prompt":"my plan" oops})");
  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message, Not(HasSubstr("plan")));
  EXPECT_THAT(request.error().message, Not(HasSubstr("oops")));
}

TEST(ChatRequest, DepthIsThatOfTheWholeRequest) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  const auto object = [&](std::size_t depth) {
    return R"({"a":)" + nested(depth - 1) + "}";
  };
  EXPECT_TRUE(ChatRequest::from_converse_json(object(128)));
  expect_error(ChatRequest::from_converse_json(object(129)), "nesting");
  // What setters accept can be read back.
  const auto full =
      ChatRequest().message_json(object(126)).system_json(object(126)).extra("x", nested(127));
  ASSERT_EQ(full.error(), nullptr);
  EXPECT_EQ(round_trip(full.to_json()), full.to_json());
  expect_error(ChatRequest().message_json(object(127)), "nesting");
  expect_error(ChatRequest().system_json(object(127)), "nesting");
  expect_error(ChatRequest().extra("x", nested(128)), "nesting");
}

// --- triples

TEST(Triple, OfASimpleRequest) {
  const auto triple = ChatRequest(" Hi \xC2\xA0").temperature(0.7).as_triple();
  ASSERT_TRUE(triple);
  EXPECT_EQ(triple->temperature, "0.7");
  EXPECT_EQ(triple->prompt, "Hi");
  EXPECT_EQ(ChatRequest("x").temperature(1).as_triple()->temperature, "1");
  EXPECT_EQ(ChatRequest("a\"b\\c\n\x01 d").temperature(1).as_triple()->prompt, "a\"b\\c\n\x01 d");
  EXPECT_TRUE(ChatRequest("x").temperature(1).extra("requestMetadata", "{}").as_triple());
}

TEST(Triple, PrintsTheTemperatureAsPythonDoes) {
  const auto with = [](const std::string& token) {
    const auto triple =
        ChatRequest("x").extra("inferenceConfig", R"({"temperature":)" + token + "}").as_triple();
    return triple ? triple->temperature : "none";
  };
  EXPECT_EQ(with("0.70"), "0.7");
  EXPECT_EQ(with("1e0"), "1.0");
  EXPECT_EQ(with("1"), "1");
  EXPECT_EQ(with("-0"), "none");
  EXPECT_EQ(with("1e999"), "none");
  EXPECT_EQ(with("\"0.7\""), "none");
  EXPECT_EQ(with("null"), "none");
}

TEST(Triple, AnythingMoreIsNone) {
  const auto simple = [] {
    return ChatRequest("x").temperature(0.7);
  };
  ASSERT_TRUE(simple().as_triple());
  EXPECT_FALSE(ChatRequest("x").as_triple());
  EXPECT_FALSE(ChatRequest().temperature(0.7).as_triple());
  EXPECT_FALSE(simple().user("y").as_triple());
  EXPECT_FALSE(simple().assistant("y").as_triple());
  EXPECT_FALSE(simple().system("y").as_triple());
  EXPECT_FALSE(simple().extra("system", "[]").as_triple());
  EXPECT_FALSE(simple().max_tokens(1).as_triple());
  EXPECT_FALSE(simple().extra("x", "null").as_triple());
  EXPECT_FALSE(simple().extra("messages", "[]").as_triple());
  EXPECT_FALSE(simple().max_tokens(0).as_triple());  // an error
  EXPECT_FALSE(ChatRequest().assistant("x").temperature(0.7).as_triple());
  for (const char* message : {
           R"({"role":"user","content":[]})",
           R"({"role":"user","content":[{"text":"a"},{"text":"b"}]})",
           R"({"role":"user","content":[{"text":"a"}],"x":1})",
           R"({"role":"user","content":[{"text":"a","x":1}]})",
           R"({"role":"user","content":[{"text":1}]})",
           R"({"role":"user","content":[{"text":{"text":"a"}}]})",
           R"({"role":"user","content":"a"})",
           R"({"role":"USER","content":[{"text":"a"}]})",
           R"({"content":[{"text":"a"}]})",
       }) {
    EXPECT_FALSE(ChatRequest().message_json(message).temperature(0.7).as_triple()) << message;
  }
  EXPECT_TRUE(ChatRequest()
                  .message_json(R"({"role":"user","content":[{"text":"\u0061"}]})")
                  .temperature(0.7)
                  .as_triple());
}

TEST(Triple, BackAsARequest) {
  const auto request = ChatRequest::from_triple("m", {.temperature = "1e-05", .prompt = "Hi"});
  ASSERT_EQ(request.error(), nullptr);
  EXPECT_EQ(request.model(), "m");
  EXPECT_EQ(request.to_json(), R"({"inferenceConfig":{"temperature":1e-05},)"
                               R"("messages":[{"content":[{"text":"Hi"}],"role":"user"}]})");
  EXPECT_EQ(request.as_triple()->prompt, "Hi");
  expect_error(ChatRequest::from_triple("m", {.temperature = "nan", .prompt = "x"}), "temperature");
  expect_error(ChatRequest::from_triple("m", {.temperature = "", .prompt = "x"}), "temperature");
  expect_error(ChatRequest::from_triple("m", {.temperature = "1", .prompt = "\xff"}), "UTF-8");
}

TEST(ChatRequest, NormalizedIsWhatASimpleKeyHashed) {
  const auto request = ChatRequest("  Hi\n")
                           .model("m")
                           .extra("inferenceConfig", R"({"temperature":0.70})")
                           .extra("requestMetadata", R"({"t":"1"})");
  EXPECT_EQ(
      request.normalized().to_json(),
      R"({"inferenceConfig":{"temperature":0.7},)"
      R"("messages":[{"content":[{"text":"Hi"}],"role":"user"}],"requestMetadata":{"t":"1"}})");
  EXPECT_EQ(request.normalized().model(), "m");
  const auto more = ChatRequest("  Hi\n").temperature(0.7).max_tokens(1);
  EXPECT_EQ(more.normalized().to_json(), more.to_json());
}

}  // namespace
