#include <valkeycache/cache_key.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crypto.hpp"
#include "key/key_data.hpp"

namespace {

using namespace valkeycache;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string secret(32, 's');
const std::string guide_prompt = "What is Amazon ElastiCache for Valkey?";

CacheKeyBuilder guide() {
  return CacheKey::builder().model("claude-sonnet").temperature(0.7).prompt(guide_prompt);
}
ChatRequest guide_request() {
  return ChatRequest(guide_prompt).model("claude-sonnet").temperature(0.7);
}

void expect_invalid(const Result<CacheKey>& key, const std::string& word) {
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(key.error().message, HasSubstr(word));
}

// --- simple

TEST(SimpleKey, IsTheGuidesOwn) {
  const auto key = guide().build().value();
  EXPECT_EQ(key.text(), "7f6586356a4bc54a");
  EXPECT_THAT(key.namespaces(), ElementsAre("llm_responses"));
  EXPECT_EQ(key.path(), "llm_responses/7f6586356a4bc54a");
  EXPECT_EQ(key.explain(), "claude-sonnet|temp=0.7|" + guide_prompt);
  EXPECT_EQ(key.digest().substr(0, 16), key.text());
  EXPECT_EQ(key.digest().size(), 64U);
  EXPECT_TRUE(key.is_simple());
  EXPECT_EQ(CacheKey::of(guide_request()).value(), key);
}

TEST(SimpleKey, DoesNotDependOnTheOrderOfCalls) {
  const auto other =
      CacheKey::builder().prompt(guide_prompt).temperature(0.7).model("claude-sonnet").build();
  EXPECT_EQ(other.value(), guide().build().value());
}

TEST(SimpleKey, PaddingOfThePromptIsNoDifference) {
  const auto padded = guide().prompt(" \t\n" + guide_prompt + "\xE3\x80\x80\x1F").build();
  EXPECT_EQ(padded.value(), guide().build().value());
  EXPECT_EQ(
      CacheKey::of(ChatRequest("\n" + guide_prompt + " ").model("claude-sonnet").temperature(0.7))
          .value(),
      guide().build().value());
}

TEST(SimpleKey, EachPartIsADifference) {
  const auto key = guide().build().value();
  EXPECT_FALSE(guide().model("claude-opus").build().value() == key);
  EXPECT_FALSE(guide().temperature(0.8).build().value() == key);
  EXPECT_FALSE(guide().prompt("What is Valkey?").build().value() == key);
  EXPECT_FALSE(guide().temperature(1).build().value() == guide().temperature(1.0).build().value());
}

TEST(SimpleKey, KeyModelStandsInForTheModel) {
  EXPECT_EQ(guide().model("us.anthropic.claude").key_model("claude-sonnet").build().value(),
            guide().build().value());
  EXPECT_EQ(CacheKey::builder()
                .key_model("claude-sonnet")
                .temperature(0.7)
                .prompt(guide_prompt)
                .build()
                .value(),
            guide().build().value());
  EXPECT_EQ(CacheKey::of(ChatRequest(guide_prompt).temperature(0.7), {"us.anthropic.claude", "x"},
                         {.key_model = "claude-sonnet"})
                .value(),
            guide().build().value());
}

TEST(SimpleKey, TheRequestsModelGoesBeforeTheIdentitys) {
  const auto request = ChatRequest(guide_prompt).temperature(0.7);
  EXPECT_EQ(CacheKey::of(request, {"claude-sonnet", "scope"}).value(), guide().build().value());
  EXPECT_EQ(CacheKey::of(guide_request(), {"another", "scope"}).value(), guide().build().value());
}

TEST(SimpleKey, ABlankPromptHasAKey) {
  EXPECT_EQ(guide().prompt(" \n").build().value().explain(), "claude-sonnet|temp=0.7|");
}

TEST(SimpleKey, Errors) {
  expect_invalid(guide().model("m|temp=0.7|x").build(), "'|'");
  expect_invalid(guide().key_model("a|b").build(), "'|'");
  expect_invalid(CacheKey::of(guide_request().model("a|b")), "'|'");
  expect_invalid(guide().model("\xff").build(), "UTF-8");
  expect_invalid(guide().prompt("\xed\xa0\x80").build(), "UTF-8");
  expect_invalid(CacheKey::builder().model("m").temperature(0.7).build(), "prompt");
  expect_invalid(CacheKey::builder().model("m").prompt("p").build(), "temperature");
  expect_invalid(CacheKey::builder().temperature(0.7).prompt("p").build(), "model");
  for (const char* number : {"", "x", "1,5", "01", "1e999", "-0", "nan", " 1", "1 ", "1e-999"}) {
    SCOPED_TRACE(number);
    expect_invalid(guide().temperature_text(number).build(), "temperature_text");
  }
  expect_invalid(CacheKey::of(ChatRequest("\xff").model("m").temperature(0.7)), "UTF-8");
}

TEST(SimpleKey, ErrorsHoldNothingOfThePrompt) {
  const auto key = guide().prompt("my secret plan \xff").build();
  ASSERT_FALSE(key);
  EXPECT_THAT(key.error().message, Not(HasSubstr("plan")));
}

// --- complete

TEST(CompleteKey, HashesTheWholeRequest) {
  const auto key = CacheKey::of(guide_request().max_tokens(10), {"ignored", "converse;eu-west-1"});
  ASSERT_TRUE(key);
  EXPECT_FALSE(key->is_simple());
  EXPECT_THAT(key->namespaces(), ElementsAre("llm_complete"));
  EXPECT_EQ(key->text(), key->digest());
  EXPECT_EQ(key->path(), "llm_complete/" + key->digest());
  const std::string content =
      "valkeycache/complete/v1\n"
      R"({"model":"claude-sonnet","request":{"inferenceConfig":{"maxTokens":10,"temperature":0.7},)"
      R"("messages":[{"content":[{"text":"What is Amazon ElastiCache for Valkey?"}],"role":"user"}]},)"
      R"("scope":"converse;eu-west-1"})";
  EXPECT_EQ(key->explain(), content);
  EXPECT_EQ(key->digest(), detail::hex(detail::sha256(content)));
}

TEST(CompleteKey, HashesEveryOption) {
  const auto key =
      CacheKey::of(ChatRequest("hi"), {"m", "s"},
                   {.tenant = "acme", .epoch = "v2", .variant = 18446744073709551615U});
  ASSERT_TRUE(key);
  EXPECT_EQ(
      key->explain(),
      "valkeycache/complete/v1\n"
      R"({"epoch":"v2","model":"m","request":{"messages":[{"content":[{"text":"hi"}],"role":"user"}]},)"
      R"("scope":"s","tenant":"acme","variant":18446744073709551615})");
  EXPECT_THAT(key->namespaces(), ElementsAre("llm_complete", "tenant=acme", "epoch=v2"));
  EXPECT_EQ(key->path(), "llm_complete/tenant=acme/epoch=v2/" + key->digest());
}

TEST(CompleteKey, NothingIsTrimmedInIt) {
  const KeyOptions complete{.complete = true};
  EXPECT_FALSE(CacheKey::of(ChatRequest("hi"), {}, complete).value() ==
               CacheKey::of(ChatRequest("hi "), {}, complete).value());
}

TEST(CompleteKey, TheModelIsTheRealOne) {
  const auto plain = CacheKey::of(guide_request(), {}, {.complete = true}).value();
  EXPECT_EQ(CacheKey::of(guide_request(), {}, {.key_model = "alias", .complete = true}).value(),
            plain);
  EXPECT_FALSE(CacheKey::of(guide_request().model("other"), {}, {.complete = true}).value() ==
               plain);
}

TEST(CompleteKey, APipeInTheModelIsHarmless) {
  EXPECT_TRUE(CacheKey::of(guide_request().model("a|b"), {}, {.complete = true}));
}

// Whatever goes beyond the triple is a key of its own: all of these differ from one another.
TEST(CompleteKey, EachPartIsADifference) {
  const std::vector<std::function<void(ChatRequest&)>> changes{
      [](ChatRequest&) {},
      [](ChatRequest& r) { r.system("Be brief."); },
      [](ChatRequest& r) { r.system("Be brief").system("."); },
      [](ChatRequest& r) { r.assistant("Be brief."); },
      [](ChatRequest& r) { r.user("Be brief."); },
      [](ChatRequest& r) { r.user("more").assistant("And?"); },
      [](ChatRequest& r) { r.assistant("And?").user("more"); },
      [](ChatRequest& r) { r.temperature(0.5); },
      [](ChatRequest& r) { r.temperature(1).max_tokens(1); },
      [](ChatRequest& r) { r.temperature(1.0).max_tokens(1); },
      [](ChatRequest& r) { r.top_p(0.5); },
      [](ChatRequest& r) { r.top_p(1.0); },
      [](ChatRequest& r) { r.max_tokens(1); },
      [](ChatRequest& r) { r.max_tokens(2); },
      [](ChatRequest& r) { r.stop_sequences({}); },
      [](ChatRequest& r) {
        r.stop_sequences({"a", "b"});
      },
      [](ChatRequest& r) {
        r.stop_sequences({"b", "a"});
      },
      [](ChatRequest& r) { r.stop_sequences({"a\",\"b"}); },
      [](ChatRequest& r) { r.extra("system", "[]"); },
      [](ChatRequest& r) { r.extra("inferenceConfig", "{}"); },
      [](ChatRequest& r) { r.extra("toolConfig", "{}"); },
      [](ChatRequest& r) { r.extra("guardrailConfig", R"({"guardrailVersion":"1"})"); },
      [](ChatRequest& r) { r.extra("guardrailConfig", R"({"guardrailVersion":"2"})"); },
      [](ChatRequest& r) { r.extra("newThing", "null"); },
      [](ChatRequest& r) { r.extra("newThing", "false"); },
      [](ChatRequest& r) {
        r.extra("additionalModelRequestFields", R"({"seed":9007199254740992})");
      },
      [](ChatRequest& r) {
        r.extra("additionalModelRequestFields", R"({"seed":9007199254740993})");
      },
      [](ChatRequest& r) {
        r.extra("additionalModelRequestFields", R"({"seed":9007199254740993.0})");
      },
      [](ChatRequest& r) {
        r.extra("additionalModelRequestFields", R"({"seed":18446744073709551616})");
      },
      [](ChatRequest& r) {
        r.extra("additionalModelRequestFields", R"({"seed":18446744073709551617})");
      },
      [](ChatRequest& r) {
        r.message_json(R"({"role":"user","content":[{"text":"Be brief."},{"text":""}]})");
      },
      [](ChatRequest& r) { r.model("m2"); },
  };
  std::set<std::string> paths;
  for (const auto& change : changes) {
    ChatRequest request("hi");
    change(request);
    paths.insert(CacheKey::of(request, {"m", "s"}).value().path());
  }
  EXPECT_EQ(paths.size(), changes.size());
}

TEST(CompleteKey, EachOptionIsADifference) {
  const auto path = [](const CacheIdentity& identity, const KeyOptions& options) {
    return CacheKey::of(guide_request(), identity, options).value().path();
  };
  const std::set<std::string> paths{
      path({}, {}),
      path({}, {.complete = true}),
      path({"", "eu"}, {.complete = true}),
      path({}, {.tenant = "x"}),
      path({}, {.tenant = "y"}),
      path({}, {.epoch = "x"}),
      path({}, {.tenant = "epoch=x"}),
      path({}, {.tenant = "x", .epoch = "x"}),
      path({}, {.variant = 0}),
      path({}, {.variant = 1}),
      path({}, {.secret = secret}),
      path({}, {.secret = std::string(33, 's')}),
      path({}, {.tenant = "x", .secret = secret}),
  };
  EXPECT_EQ(paths.size(), 13U);
}

TEST(CompleteKey, WhatCannotChangeTheAnswerIsNotInIt) {
  auto tagged = ChatRequest("hi").max_tokens(5);
  const auto plain = CacheKey::of(tagged, {"m", ""}).value();
  tagged.extra("requestMetadata", R"({"team":"a"})");
  EXPECT_EQ(CacheKey::of(tagged, {"m", ""}).value(), plain);
  // Nor does it make a triple something more.
  EXPECT_EQ(CacheKey::of(guide_request().extra("requestMetadata", R"({"team":"a"})")).value(),
            guide().build().value());
}

TEST(CompleteKey, OneTextForEachValue) {
  const auto a =
      ChatRequest::from_converse_json(R"({"toolConfig":{"b":1,"a":"\u00e9\/"},"messages":[]})")
          .value();
  const auto b =
      ChatRequest::from_converse_json(
          "{ \"messages\" : [ ], \"toolConfig\" : {\"a\":\"\xC3\xA9/\", \"\\u0062\" : 1} }")
          .value();
  EXPECT_EQ(CacheKey::of(a).value(), CacheKey::of(b).value());
}

TEST(CompleteKey, ASecretMakesItAnHmac) {
  const auto open = CacheKey::of(guide_request(), {}, {.complete = true}).value();
  const auto keyed = CacheKey::of(guide_request(), {}, {.secret = secret}).value();
  EXPECT_EQ(keyed.explain(), open.explain());
  EXPECT_NE(keyed.digest(), open.digest());
  EXPECT_EQ(keyed.digest(), detail::hex(detail::hmac_sha256(secret, open.explain())));
  EXPECT_FALSE(keyed.is_simple());
}

TEST(CompleteKey, BuilderAgreesWithTheRequest) {
  const std::vector<KeyOptions> all{{.tenant = "a"},
                                    {.epoch = "b"},
                                    {.variant = 3},
                                    {.secret = secret},
                                    {.tenant = "a", .epoch = "b", .variant = 3, .secret = secret}};
  for (const auto& options : all) {
    auto builder = guide();
    if (options.tenant) builder.tenant(*options.tenant);
    if (options.epoch) builder.epoch(*options.epoch);
    if (options.variant) builder.variant(*options.variant);
    if (options.secret) builder.secret(*options.secret);
    EXPECT_EQ(builder.prompt("  " + guide_prompt).build().value(),
              CacheKey::of(guide_request(), {}, options).value());
  }
}

TEST(CompleteKey, Errors) {
  expect_invalid(guide().tenant("").build(), "tenant");
  expect_invalid(guide().tenant("a/b").build(), "tenant");
  expect_invalid(guide().tenant("\xff").build(), "tenant");
  expect_invalid(guide().epoch("").build(), "epoch");
  expect_invalid(guide().epoch("a/b").build(), "epoch");
  expect_invalid(guide().epoch("\xc0\x80").build(), "epoch");
  expect_invalid(guide().secret("").build(), "secret");
  expect_invalid(guide().secret(std::string(15, 'x')).build(), "secret");
  EXPECT_TRUE(guide().secret(std::string(16, 'x')).build());
  expect_invalid(guide().temperature(std::nan("")).tenant("a").build(), "temperature");
  expect_invalid(guide().temperature(std::numeric_limits<double>::infinity()).tenant("a").build(),
                 "temperature");
  expect_invalid(CacheKey::of(ChatRequest("x"), {"\xff", ""}), "model");
  expect_invalid(CacheKey::of(ChatRequest("x"), {"", "\xff"}), "scope");
  expect_invalid(CacheKey::of(ChatRequest("x").top_p(std::nan(""))), "top_p");
  expect_invalid(CacheKey::builder().key_model("a").temperature(1).prompt("p").epoch("e").build(),
                 "model");
}

// --- raw

TEST(RawKey, NamesAnything) {
  const auto key = CacheKey::raw({"tools", "weather"}, "Paris|metric").value();
  EXPECT_EQ(key.path(), "tools/weather/Paris|metric");
  EXPECT_EQ(key.text(), "Paris|metric");
  EXPECT_THAT(key.namespaces(), ElementsAre("tools", "weather"));
  EXPECT_FALSE(key.is_simple());
  EXPECT_EQ(key.explain(), "valkeycache/raw/v1\n5:tools,7:weather,12:Paris|metric,");
  EXPECT_EQ(key.digest(), detail::hex(detail::sha256(key.explain())));
}

TEST(RawKey, NeedsNoNamespace) {
  const auto key = CacheKey::raw({}, "plain").value();
  EXPECT_EQ(key.path(), "plain");
  EXPECT_THAT(key.namespaces(), IsEmpty());
}

TEST(RawKey, TakesAnyOtherBytes) {
  const std::string odd("a\0\xff*?[]\\:\n", 10);
  EXPECT_EQ(CacheKey::raw({odd}, odd).value().path(), odd + '/' + odd);
}

TEST(RawKey, Errors) {
  expect_invalid(CacheKey::raw({""}, "k"), "namespace");
  expect_invalid(CacheKey::raw({"a", ""}, "k"), "namespace");
  expect_invalid(CacheKey::raw({"a/b"}, "k"), "namespace");
  expect_invalid(CacheKey::raw({}, ""), "text");
  expect_invalid(CacheKey::raw({"a"}, "b/c"), "text");
}

TEST(RawKey, DigestsTellPartsApart) {
  const std::set<std::string> digests{
      CacheKey::raw({"a", "b"}, "c").value().digest(),
      CacheKey::raw({"ab"}, "c").value().digest(),
      CacheKey::raw({"a"}, "bc").value().digest(),
      CacheKey::raw({}, "abc").value().digest(),
      CacheKey::raw({"a", "1:b,"}, "c").value().digest(),
      CacheKey::raw({"a"}, "1:b,1:c").value().digest(),
  };
  EXPECT_EQ(digests.size(), 6U);
}

// --- the value

TEST(CacheKey, CopiesAreEqualAndAMovedFromOneIsEmpty) {
  auto key = guide().build().value();
  const auto copy = key;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_EQ(copy, key);
  const CacheKey moved = std::move(key);
  EXPECT_EQ(copy, moved);
  EXPECT_EQ(key.text(), "");  // NOLINT(bugprone-use-after-move): defined, and this is the test
  EXPECT_EQ(key.path(), "");
  EXPECT_THAT(key.namespaces(), IsEmpty());
}

TEST(CacheKey, RoomsSeeTheRawDigest) {
  const auto key = guide().build().value();
  EXPECT_EQ(detail::hex(detail::KeyAccess::digest_bytes(key)), key.digest());
  EXPECT_FALSE(detail::KeyAccess::data(key).keyed);
  EXPECT_TRUE(detail::KeyAccess::data(guide().secret(secret).build().value()).keyed);
}

}  // namespace
