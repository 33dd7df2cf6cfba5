// Requests for InvokeModel, and their keys.
#include <valkeycache/cache_key.hpp>
#include <valkeycache/llm.hpp>

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace valkeycache;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* body = R"({"prompt": "hi", "max_tokens": 10, "requestMetadata": 1})";

TEST(InvokeRequest, IsItsBody) {
  const auto request = ChatRequest::invoke("m", body);
  ASSERT_EQ(request.error(), nullptr);
  EXPECT_TRUE(request.is_invoke());
  EXPECT_EQ(request.model(), "m");
  EXPECT_EQ(request.to_json(), R"({"max_tokens":10,"prompt":"hi","requestMetadata":1})");
  EXPECT_EQ(request.to_hashed_json(), request.to_json()) << "nothing in it is without meaning";
  EXPECT_TRUE(request.has_member("prompt"));
  EXPECT_FALSE(request.has_member("messages"));
  EXPECT_FALSE(request.as_triple());
  EXPECT_FALSE(request.temperature_text());
  EXPECT_EQ(request.normalized().to_json(), request.to_json());
  EXPECT_FALSE(ChatRequest("hi").is_invoke());
}

TEST(InvokeRequest, OnlyTheModelMayBeSet) {
  auto request = ChatRequest::invoke("", body).model("other");
  ASSERT_EQ(request.error(), nullptr);
  EXPECT_EQ(request.model(), "other");
  const auto refused = [](auto set) {
    auto copy = ChatRequest::invoke("m", body);
    set(copy);
    ASSERT_NE(copy.error(), nullptr);
    EXPECT_THAT(copy.error()->message, HasSubstr("invoke request"));
    EXPECT_EQ(copy.to_json(), ChatRequest::invoke("m", body).to_json());
  };
  refused([](ChatRequest& r) { r.user("x"); });
  refused([](ChatRequest& r) { r.assistant("x"); });
  refused([](ChatRequest& r) { r.user({Content::text("x")}); });
  refused([](ChatRequest& r) { r.assistant(Completion{.text = "x"}); });
  refused([](ChatRequest& r) { r.message({Role::user, {Content::text("x")}}); });
  refused([](ChatRequest& r) { r.message_json("{}"); });
  refused([](ChatRequest& r) { r.system("x"); });
  refused([](ChatRequest& r) { r.system(Content::cache_point()); });
  refused([](ChatRequest& r) { r.system_json("{}"); });
  refused([](ChatRequest& r) { r.temperature(0.5); });
  refused([](ChatRequest& r) { r.temperature(1); });
  refused([](ChatRequest& r) { r.top_p(0.5); });
  refused([](ChatRequest& r) { r.max_tokens(1); });
  refused([](ChatRequest& r) { r.stop_sequences({"x"}); });
  refused([](ChatRequest& r) { r.tool({.name = "t", .input_schema = "{}"}); });
  refused([](ChatRequest& r) { r.tool_json("{}"); });
  refused([](ChatRequest& r) { r.tool_choice("t"); });
  refused([](ChatRequest& r) { r.tool_choice(ToolChoice::any); });
  refused([](ChatRequest& r) { r.guardrail("g", "1"); });
  refused([](ChatRequest& r) { r.extra("prompt", "1"); });
}

TEST(InvokeRequest, UnusableBodies) {
  for (const char* unusable :
       {"", "[]", "\"x\"", "{", "{} {}", R"({"a":1,"a":2})", "{\"a\":\"\xff\"}"}) {
    const auto request = ChatRequest::invoke("m", unusable);
    ASSERT_NE(request.error(), nullptr) << unusable;
    EXPECT_EQ(request.error()->code, ErrorCode::invalid_argument);
    EXPECT_THAT(request.error()->message, HasSubstr("invoke"));
    EXPECT_FALSE(CacheKey::of(request, {"m", ""}));
    EXPECT_FALSE(request.has_member("a"));
  }
  EXPECT_NE(ChatRequest::invoke("\xff", "{}").error(), nullptr);
}

TEST(InvokeKey, IsNeverThatOfAConverseRequest) {
  const CacheIdentity identity{.model = "m", .scope = "s"};
  const std::string converse_body = ChatRequest("hi").temperature(0.7).to_json();
  const auto invoke = CacheKey::of(ChatRequest::invoke("", converse_body), identity).value();
  const auto converse =
      CacheKey::of(ChatRequest("hi").temperature(0.7), identity, {.complete = true}).value();
  EXPECT_FALSE(invoke.is_simple());
  EXPECT_THAT(invoke.namespaces(), ElementsAre("llm_complete"));
  EXPECT_NE(invoke.digest(), converse.digest());
  EXPECT_THAT(invoke.explain(), StartsWith("valkeycache/invoke/v1\n{"));
  EXPECT_THAT(converse.explain(), StartsWith("valkeycache/complete/v1\n{"));
  EXPECT_THAT(diff(invoke, converse), HasSubstr("the first is a request for InvokeModel"));
  EXPECT_THAT(diff(converse, invoke), HasSubstr("the second one for InvokeModel"));
}

TEST(InvokeKey, HoldsModelBodyAndScope) {
  const CacheIdentity identity{.model = "m", .scope = "converse|r", .invoke_scope = "invoke|r"};
  const auto key = CacheKey::of(ChatRequest::invoke("", body), identity).value();
  EXPECT_EQ(key.explain(),
            "valkeycache/invoke/v1\n"
            R"({"model":"m","request":{"max_tokens":10,"prompt":"hi","requestMetadata":1},)"
            R"("scope":"invoke|r"})");
  // The order of members makes no difference; anything else does.
  EXPECT_EQ(key, CacheKey::of(ChatRequest::invoke(
                                  "m", R"({"requestMetadata":1,"max_tokens":10,"prompt":"hi"})"),
                              identity)
                     .value());
  const auto other = CacheKey::of(ChatRequest::invoke("", R"({"prompt":"hi"})"), identity).value();
  EXPECT_NE(key, other);
  EXPECT_THAT(diff(key, other), HasSubstr("request.max_tokens is only in the first"));
  EXPECT_NE(key, CacheKey::of(ChatRequest::invoke("n", body), identity).value());
  EXPECT_THAT(CacheKey::of(ChatRequest::invoke("", body), {"m", "only"}).value().explain(),
              HasSubstr(R"("scope":"only")"));
  EXPECT_FALSE(CacheKey::of(ChatRequest::invoke("", body), {"m", "", "\xff"}));
}

}  // namespace
