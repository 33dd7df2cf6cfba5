#include <valkeycache/cache_key.hpp>

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace valkeycache;
using ::testing::HasSubstr;

CacheKey simple(const char* model, double temperature, const std::string& prompt) {
  return CacheKey::builder().model(model).temperature(temperature).prompt(prompt).build().value();
}
CacheKey complete(const ChatRequest& request, const KeyOptions& options = {}) {
  KeyOptions all = options;
  all.complete = true;
  return CacheKey::of(request, {"m", "s"}, all).value();
}

TEST(KeyDiff, NothingBetweenEqualKeys) {
  EXPECT_EQ(diff(simple("m", 0.7, "p"), simple("m", 0.7, " p ")), "");
  EXPECT_EQ(diff(complete(ChatRequest("a")), complete(ChatRequest("a"))), "");
}

TEST(KeyDiff, NamesThePartOfASimpleKey) {
  EXPECT_EQ(diff(simple("mode", 0.7, "p"), simple("model", 0.8, "q")),
            R"(model differs at byte 4: "mode" in the first, "model" in the second)");
  EXPECT_EQ(diff(simple("m", 0.7, "p"), simple("m", 1, "q")),
            "temperature differs: 0.7 in the first, 1.0 in the second");
  EXPECT_EQ(
      diff(simple("m", 0.7, "What is a|b?"), simple("m", 0.7, "What is a|c?")),
      R"(prompt differs at byte 10: "What is a|b?" in the first, "What is a|c?" in the second)");
}

TEST(KeyDiff, ShowsTheSurroundingsOnly) {
  const std::string head(1000, 'h');
  const std::string tail(1000, 't');
  const auto text = diff(simple("m", 0.7, head + "A" + tail), simple("m", 0.7, head + "B" + tail));
  EXPECT_THAT(text, HasSubstr("prompt differs at byte 1000: …\"hhh"));
  EXPECT_THAT(text, HasSubstr("hhAtt"));
  EXPECT_THAT(text, HasSubstr("hhBtt"));
  EXPECT_LT(text.size(), 300U);
}

TEST(KeyDiff, CutsBetweenCharacters) {
  std::string head;
  for (int i = 0; i < 100; ++i) head += "é";
  for (const char* pad : {"", "x"}) {
    const auto text =
        diff(simple("m", 0.7, pad + head + "A" + head), simple("m", 0.7, pad + head + "B" + head));
    EXPECT_THAT(text, HasSubstr("\"éé"));
    EXPECT_THAT(text, HasSubstr("éé\"…"));
  }
}

TEST(KeyDiff, NamesTheMemberOfACompleteKey) {
  EXPECT_EQ(
      diff(complete(ChatRequest("a").max_tokens(10)), complete(ChatRequest("a").max_tokens(20))),
      "request.inferenceConfig.maxTokens differs: 10 in the first, 20 in the second");
  EXPECT_EQ(
      diff(complete(ChatRequest("a").system("be brief")),
           complete(ChatRequest("a").system("be kind"))),
      R"(request.system[0].text differs at byte 3: "be brief" in the first, "be kind" in the second)");
  EXPECT_EQ(diff(complete(ChatRequest("a")), complete(ChatRequest("a").max_tokens(20))),
            R"(request.inferenceConfig is only in the second: {"maxTokens":20})");
  EXPECT_EQ(
      diff(complete(ChatRequest("a").user("b")), complete(ChatRequest("a"))),
      R"(request.messages[1] is only in the first: {"content":[{"text":"b"}],"role":"user"})");
  EXPECT_EQ(
      diff(complete(ChatRequest("a")), complete(ChatRequest("a").assistant("b"))),
      R"(request.messages[1] is only in the second: {"content":[{"text":"b"}],"role":"assist…)");
  EXPECT_EQ(diff(complete(ChatRequest("a").extra("x", "1")),
                 complete(ChatRequest("a").extra("x", "true"))),
            "request.x differs: 1 in the first, true in the second");
  EXPECT_EQ(diff(complete(ChatRequest("a"), {.tenant = "x"}), complete(ChatRequest("a"))),
            "tenant is only in the first: \"x\"");
  EXPECT_EQ(
      diff(complete(ChatRequest("a"), {.variant = 1}), complete(ChatRequest("a"), {.variant = 2})),
      "variant differs: 1 in the first, 2 in the second");
}

TEST(KeyDiff, TellsOtherSecrets) {
  EXPECT_EQ(diff(complete(ChatRequest("a"), {.secret = std::string(16, 'a')}),
                 complete(ChatRequest("a"), {.secret = std::string(16, 'b')})),
            "the secrets differ; what they hash is the same");
}

TEST(KeyDiff, TellsOtherForms) {
  const auto text = diff(simple("m", 0.7, "p"), complete(ChatRequest("p").temperature(0.7)));
  EXPECT_THAT(text, HasSubstr("simple in the first"));
  EXPECT_THAT(text, HasSubstr("complete in the second"));
}

TEST(KeyDiff, OfRawKeys) {
  const auto raw = [](std::vector<std::string> namespaces, std::string text) {
    return CacheKey::raw(std::move(namespaces), std::move(text)).value();
  };
  EXPECT_EQ(diff(raw({"a"}, "x"), raw({"a", "b"}, "x")),
            "there are 1 namespaces in the first, 2 in the second");
  EXPECT_EQ(diff(raw({"a", "b"}, "x"), raw({"a", "c"}, "y")),
            R"(namespace 1 differs at byte 0: "b" in the first, "c" in the second)");
  EXPECT_EQ(diff(raw({"a"}, "x"), raw({"a"}, "xy")),
            R"(the key text differs at byte 1: "x" in the first, "xy" in the second)");
}

}  // namespace
