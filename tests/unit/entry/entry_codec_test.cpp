#include <valkeycache/entry.hpp>

#include <functional>
#include <set>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace valkeycache;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string secret(32, 's');
const std::string wire_key = "llm_cache:llm_responses/7f6586356a4bc54a";

CacheKey key_of(const char* prompt) {
  return CacheKey::builder().model("m").temperature(0.7).prompt(prompt).build().value();
}
const CacheKey& key() {
  static const auto made = key_of("What is Valkey?");
  return made;
}

Entry full() {
  return {.response = "It is \"fast\".\n\xF0\x9F\x9A\x80",
          .content = R"([{"toolUse":{"input":{"n":18446744073709551617, "x":1.50}}}])",
          .model = "us.anthropic.claude",
          .stop_reason = "end_turn",
          .usage = {.input_tokens = 1,
                    .output_tokens = 2,
                    .total_tokens = 3,
                    .cache_read_tokens = 4,
                    .cache_write_tokens = 5},
          .created_ms = 1735689600000,
          .hard_ttl_ms = 3600000,
          .soft_ttl_ms = 60000,
          .events = R"([["t","It is"],["t"," fast."]])",
          .extra = R"({"trace":{"x": 1.0}})"};
}

void expect_same(const Entry& a, const Entry& b) {
  EXPECT_EQ(a.response, b.response);
  EXPECT_EQ(a.content, b.content);
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.stop_reason, b.stop_reason);
  EXPECT_EQ(a.usage, b.usage);
  EXPECT_EQ(a.created_ms, b.created_ms);
  EXPECT_EQ(a.hard_ttl_ms, b.hard_ttl_ms);
  EXPECT_EQ(a.soft_ttl_ms, b.soft_ttl_ms);
  EXPECT_EQ(a.events, b.events);
  EXPECT_EQ(a.extra, b.extra);
}

std::string encode(const Entry& entry, const EntryCodecOptions& options = {}) {
  return EntryCodec(options).encode(entry, key(), wire_key).value();
}
EntryFault fault_of(std::string_view bytes, const EntryCodecOptions& options = {}) {
  const auto decoded = EntryCodec(options).decode(bytes, key(), wire_key);
  if (decoded.fault != EntryFault::none) {
    EXPECT_EQ(decoded.entry.response, "");
  }
  return decoded.fault;
}
std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

// --- the standard form

TEST(StandardEntry, ReadsWell) {
  EXPECT_EQ(encode({.response = "A cache."}),
            R"({"response":"A cache.","v":1,"digest":")" + key().digest() + R"("})");
  EXPECT_EQ(
      encode(full()),
      "{\"response\":\"It is \\\"fast\\\".\\n\xF0\x9F\x9A\x80\",\"v\":1,\"digest\":\"" +
          key().digest() +
          R"(","model":"us.anthropic.claude","stop_reason":"end_turn",)"
          R"("usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3,"cache_read_tokens":4,"cache_write_tokens":5},)"
          R"("created_ms":1735689600000,"hard_ttl_ms":3600000,"soft_ttl_ms":60000,)"
          R"("content":[{"toolUse":{"input":{"n":18446744073709551617, "x":1.50}}}],)"
          R"("events":[["t","It is"],["t"," fast."]],"extra":{"trace":{"x": 1.0}}})");
}

TEST(StandardEntry, ComesBackWhole) {
  for (const auto& entry :
       {full(), Entry{.response = ""}, Entry{.response = std::string("\0\x1f", 2)}}) {
    const auto decoded = EntryCodec().decode(encode(entry), key(), wire_key);
    ASSERT_EQ(decoded.fault, EntryFault::none);
    expect_same(decoded.entry, entry);
  }
}

TEST(StandardEntry, UsageLeavesOutZeros) {
  EXPECT_THAT(encode({.response = "a", .usage = {.output_tokens = 7}}),
              HasSubstr(R"("usage":{"output_tokens":7})"));
}

TEST(StandardEntry, AnotherRequestsIsNoAnswer) {
  const auto bytes = encode(full());
  EXPECT_EQ(EntryCodec().decode(bytes, key_of("What is Redis?"), wire_key).fault,
            EntryFault::wrong_digest);
  EXPECT_EQ(fault_of(replaced(bytes, key().digest().substr(0, 8), "00000000")),
            EntryFault::wrong_digest);
}

TEST(StandardEntry, WhatIsNoEntryIsCorrupt) {
  const auto digest = R"("digest":")" + key().digest() + '"';
  for (const std::string& bytes :
       {std::string(),
        std::string("garbage"),
        std::string("{}"),
        std::string("[]"),
        std::string("null"),
        std::string("\"text\""),
        std::string(R"({"response":"hi"})"),
        R"({"response":"hi",)" + digest + "}",                         // no version
        std::string(R"({"response":"hi","v":1})"),                     // no digest
        R"({"v":1,)" + digest + "}",                                   // no response
        R"({"response":null,"v":1,)" + digest + "}",                   //
        R"({"response":["hi"],"v":1,)" + digest + "}",                 //
        R"({"response":"hi","v":"1",)" + digest + "}",                 //
        R"({"response":"hi","v":0,)" + digest + "}",                   //
        R"({"response":"hi","v":1.0,)" + digest + "}",                 //
        std::string(R"({"response":"hi","v":1,"digest":7})"),          //
        R"({"response":"hi","v":1,"model":7,)" + digest + "}",         //
        R"({"response":"hi","v":1,"stop_reason":[],)" + digest + "}",  //
        R"({"response":"hi","v":1,"usage":7,)" + digest + "}",         //
        R"({"response":"hi","v":1,"usage":{"input_tokens":"1"},)" + digest + "}",
        R"({"response":"hi","v":1,"created_ms":1.5,)" + digest + "}",  //
        R"({"response":"hi","v":1,"hard_ttl_ms":-1,)" + digest + "}",  //
        R"({"response":"hi","v":1,"soft_ttl_ms":99999999999999999999,)" + digest + "}",
        R"({"response":"hi","v":1,"content":{},)" + digest + "}",     //
        R"({"response":"hi","v":1,"events":"[]",)" + digest + "}",    //
        R"({"response":"hi","v":1,"extra":[],)" + digest + "}",       //
        R"({"response":"hi","response":"ho","v":1,)" + digest + "}",  // which?
        R"({"response":"hi","v":1,)" + digest + "} x",                //
        R"({"response":"hi","v":1,)" + digest,                        //
        "{\"response\":\"\xff\",\"v\":1," + digest + "}",             //
        R"({"response":"\ud800","v":1,)" + digest + "}",              //
        R"({"response":"hi","v":1,"x":)" + std::string(128, '[') + std::string(128, ']') + "," +
            digest + "}",
        std::string(1'000'000, '['),
        std::string(1'000'000, '{')}) {
    EXPECT_EQ(fault_of(bytes), EntryFault::corrupt) << bytes.substr(0, 80);
  }
}

TEST(StandardEntry, UnknownMembersAndSpaceDoNotMatter) {
  const auto bytes = R"( {"new":{"x":[1]}, "response" : "hi", "v":1, "digest":")" + key().digest() +
                     "\", \"usage\":{\"new\":[]} }\n";
  const auto decoded = EntryCodec().decode(bytes, key(), wire_key);
  ASSERT_EQ(decoded.fault, EntryFault::none);
  EXPECT_EQ(decoded.entry.response, "hi");
}

TEST(StandardEntry, ALaterVersionIsUnsupported) {
  EXPECT_EQ(fault_of(replaced(encode(full()), "\"v\":1", "\"v\":2")), EntryFault::unsupported);
  EXPECT_EQ(fault_of(R"({"v":2})"), EntryFault::unsupported);
}

TEST(StandardEntry, ThePythonOriginalsAreForeign) {
  for (const char* bytes :
       {"msgpack:\x81", "json:{}", "null:", "bytes:x", "bytearray:x", "pickle:x"}) {
    EXPECT_EQ(fault_of(bytes), EntryFault::foreign_format);
  }
}

TEST(StandardEntry, SizeIsBounded) {
  const Entry entry{.response = "hello"};
  const auto size = encode(entry).size();
  EXPECT_TRUE(EntryCodec({.max_bytes = size}).encode(entry, key(), wire_key));
  const auto refused = EntryCodec({.max_bytes = size - 1}).encode(entry, key(), wire_key);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::too_large);
  EXPECT_EQ(fault_of(encode(entry), {.max_bytes = size}), EntryFault::none);
  EXPECT_EQ(fault_of(encode(entry), {.max_bytes = size - 1}), EntryFault::corrupt);
}

TEST(StandardEntry, EncodingErrors) {
  const std::string deep = std::string(128, '[') + std::string(128, ']');
  const std::pair<Entry, const char*> cases[] = {
      {{.response = "\xff secret"}, "response"},
      {{.response = "a", .model = "\xff"}, "model"},
      {{.response = "a", .stop_reason = "\xff"}, "stop reason"},
      {{.response = "a", .content = "{}"}, "content"},
      {{.response = "a", .content = "[1"}, "content"},
      {{.response = "a", .content = R"([],"digest":"x")"}, "content"},
      {{.response = "a", .content = "[\"\xff\"]"}, "content"},
      {{.response = "a", .content = deep}, "content"},
      {{.response = "a", .events = "1"}, "events"},
      {{.response = "a", .extra = "[]"}, "extra"},
      {{.response = "a", .extra = "{"}, "extra"},
      {{.response = "a", .usage = {.total_tokens = -1}}, "negative"},
      {{.response = "a", .created_ms = -1}, "negative"},
      {{.response = "a", .hard_ttl_ms = -1}, "negative"},
      {{.response = "a", .soft_ttl_ms = -1}, "negative"},
  };
  for (const auto& [entry, word] : cases) {
    const auto bytes = EntryCodec().encode(entry, key(), wire_key);
    ASSERT_FALSE(bytes) << word;
    EXPECT_EQ(bytes.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(bytes.error().message, HasSubstr(word));
    EXPECT_THAT(bytes.error().message, Not(HasSubstr("secret")));
  }
  const Entry nearly{.response = "a", .content = deep.substr(1, 254)};
  EXPECT_EQ(fault_of(encode(nearly)), EntryFault::none);
}

// --- with a secret

TEST(KeyedEntry, CarriesAMac) {
  const auto bytes = encode(full(), {.secret = secret});
  EXPECT_THAT(bytes, StartsWith("{\"response\":"));
  EXPECT_THAT(bytes, HasSubstr(R"(,"mac":")"));
  EXPECT_THAT(bytes, Not(HasSubstr(secret)));
  const auto decoded = EntryCodec({.secret = secret}).decode(bytes, key(), wire_key);
  ASSERT_EQ(decoded.fault, EntryFault::none);
  expect_same(decoded.entry, full());
}

TEST(KeyedEntry, AForgedOrMovedOneIsAMiss) {
  const EntryCodecOptions keyed{.secret = secret};
  const auto bytes = encode(full(), keyed);
  EXPECT_EQ(fault_of(encode(full()), keyed), EntryFault::bad_mac);  // none at all
  EXPECT_EQ(fault_of(encode(full(), {.secret = std::string(32, 't')}), keyed), EntryFault::bad_mac);
  EXPECT_EQ(fault_of(replaced(bytes, "It is", "It iz"), keyed), EntryFault::bad_mac);
  EXPECT_EQ(fault_of(replaced(bytes, "3600000", "9600000"), keyed), EntryFault::bad_mac);
  EXPECT_EQ(fault_of(replaced(bytes, ",\"v\":1", ",\"x\":0,\"v\":1"), keyed), EntryFault::bad_mac);
  EXPECT_EQ(fault_of(bytes + "\n", keyed), EntryFault::bad_mac);
  EXPECT_EQ(EntryCodec(keyed).decode(bytes, key(), "another:key").fault, EntryFault::bad_mac);
  EXPECT_EQ(EntryCodec(keyed).decode(bytes, key_of("other"), wire_key).fault, EntryFault::bad_mac);
  EXPECT_EQ(fault_of("{\"response\":", keyed), EntryFault::corrupt);
}

TEST(KeyedEntry, AShortSecretRefusesEverything) {
  const EntryCodecOptions weak{.secret = std::string(15, 'x')};
  const auto refused = EntryCodec(weak).encode(full(), key(), wire_key);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(fault_of(encode(full()), weak), EntryFault::bad_mac);
  EXPECT_FALSE(EntryCodec({.secret = ""}).encode(full(), key(), wire_key));
}

// --- the Python original's

const EntryCodecOptions python{.format = EntryFormat::langgraph};

TEST(LanggraphEntry, IsTaggedJson) {
  const Entry entry{.response = "hi", .stop_reason = "end_turn", .events = "[1]"};
  const auto bytes = encode(entry, python);
  EXPECT_EQ(bytes, "json:" + encode(entry));
  const auto decoded = EntryCodec(python).decode(bytes, key(), wire_key);
  ASSERT_EQ(decoded.fault, EntryFault::none);
  expect_same(decoded.entry, entry);
}

TEST(LanggraphEntry, AnotherRequestsIsNoAnswer) {
  const auto bytes = encode({.response = "hi"}, python);
  EXPECT_EQ(EntryCodec(python).decode(bytes, key_of("other"), wire_key).fault,
            EntryFault::wrong_digest);
  EXPECT_EQ(fault_of(R"(json:{"response":"hi","digest":7})", python), EntryFault::wrong_digest);
  EXPECT_EQ(fault_of("json:" + replaced(encode({.response = "hi"}), "\"v\":1", "\"v\":2"), python),
            EntryFault::unsupported);
}

TEST(LanggraphEntry, APythonOneIsTrusted) {
  const auto decoded = EntryCodec(python).decode(
      R"(json:{"usage":{"input_tokens":12,"x":1},"model":7,"created_ms":"x","stop_reason":"e","response":"hi"})",
      key(), wire_key);
  ASSERT_EQ(decoded.fault, EntryFault::none);
  EXPECT_EQ(decoded.entry.response, "hi");
  EXPECT_EQ(decoded.entry.usage.input_tokens, 12);
  EXPECT_EQ(decoded.entry.stop_reason, "e");
  EXPECT_EQ(decoded.entry.model, "");
  EXPECT_EQ(decoded.entry.created_ms, 0);
}

TEST(LanggraphEntry, Faults) {
  for (const char* bytes : {"", "x", "foo:1", "json:{", "msgpack:\xC1", R"({"response":"hi"})"}) {
    EXPECT_EQ(fault_of(bytes, python), EntryFault::corrupt) << bytes;
  }
  for (const char* bytes :
       {"null:", "bytes:x", "bytearray:x", "pickle:x", "json:1", "json:{}",
        R"(json:{"response":["hi"]})", R"(json:{"response":"hi","x":NaN})", "msgpack:\xD4\x05x"}) {
    EXPECT_EQ(fault_of(bytes, python), EntryFault::unsupported) << bytes;
  }
  EXPECT_EQ(fault_of(encode({.response = "hi"}), python), EntryFault::corrupt);  // untagged
}

TEST(LanggraphEntry, AnLcMemberIsRefused) {
  const Entry entry{.response = "hi", .content = R"([{"toolUse":{"input":{"lc":1}}}])"};
  const auto refused = EntryCodec(python).encode(entry, key(), wire_key);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(EntryCodec().encode(entry, key(), wire_key));
}

TEST(LanggraphEntry, ASecretTrustsNobodyElse) {
  const EntryCodecOptions keyed{.format = EntryFormat::langgraph, .secret = secret};
  const auto bytes = encode({.response = "hi"}, keyed);
  EXPECT_EQ(fault_of(bytes, keyed), EntryFault::none);
  EXPECT_EQ(fault_of(bytes, python), EntryFault::none);
  EXPECT_EQ(fault_of(R"(json:{"response":"hi"})", keyed), EntryFault::bad_mac);
  EXPECT_EQ(fault_of("msgpack:\x81\xA8response\xA2hi", keyed), EntryFault::bad_mac);
  EXPECT_EQ(fault_of(replaced(bytes, "hi", "ho"), keyed), EntryFault::bad_mac);
}

TEST(LanggraphEntry, SizeCountsTheTag) {
  const auto size = encode({.response = "hi"}, python).size();
  const auto with = [&](std::size_t max) {
    return EntryCodec({.format = EntryFormat::langgraph, .max_bytes = max})
        .encode({.response = "hi"}, key(), wire_key);
  };
  EXPECT_TRUE(with(size));
  ASSERT_FALSE(with(size - 1));
  EXPECT_EQ(with(size - 1).error().code, ErrorCode::too_large);
}

TEST(EntryFault, EachHasAName) {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(EntryFault::unsupported); ++i) {
    names.insert(to_string(static_cast<EntryFault>(i)));
  }
  EXPECT_EQ(names.size(), 6U);
  EXPECT_STREQ(to_string(EntryFault::bad_mac), "bad_mac");
}

}  // namespace
