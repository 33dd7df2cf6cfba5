// An export's lines: written to be read by people, read as they were written and not otherwise.
#include "transfer/line.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "entry/entry_mac.hpp"
#include "fuzz/transfer_properties.hpp"
#include "support/mutator.hpp"

using namespace valkeycache::detail;

namespace {

const std::string sample_head =
    R"({"valkeycache_export":1,"id":"00ff","prefix":"llm_cache:","created_ms":17})";
const std::string sample_entry =
    R"({"key":"llm_responses/7f65","ttl_ms":3599000,"json":{"response":"A cache.","v":1}})";

TEST(ExportLine, Head) {
  EXPECT_EQ(write_line(ExportHead{.id = "00ff", .prefix = "llm_cache:", .created_ms = 17}),
            sample_head);
  const auto line = read_line(sample_head);
  const auto& head = std::get<ExportHead>(line);
  EXPECT_EQ(head.id, "00ff");
  EXPECT_EQ(head.prefix, "llm_cache:");
  EXPECT_EQ(head.created_ms, 17);
}

TEST(ExportLine, End) {
  EXPECT_EQ(write_line(ExportEnd{3}), R"({"entries":3})");
  EXPECT_EQ(std::get<ExportEnd>(read_line(R"({"entries":3})")).entries, 3U);
}

TEST(ExportLine, AnAnswerStandsThereAsItIs) {
  EXPECT_EQ(write_line(ExportedEntry{.path = "llm_responses/7f65",
                                     .value = R"({"response":"A cache.","v":1})",
                                     .ttl_ms = 3599000}),
            sample_entry);
}

TEST(ExportLine, ValuesKeepEveryByte) {
  const struct {
    std::string value;
    const char* as;
  } cases[] = {
      {R"({"a":1.0,"a":2,"b":"\u00e9"})", R"("json":{"a":1.0,"a":2,"b":"\u00e9"})"},
      {"{ \"a\" : 1 }", R"("json":{ "a" : 1 })"},
      {"{\"a\":1} ", R"("text":"{\"a\":1} ")"},
      {"{\n\"a\":1}", R"("text":"{\n\"a\":1}")"},
      {"{\"a\":NaN}", R"("text":"{\"a\":NaN}")"},
      {R"("a string")", R"("text":"\"a string\"")"},
      {"[1]", R"("text":"[1]")"},
      {"", R"("text":"")"},
      {"caf\xC3\xA9\t\x01", "\"text\":\"caf\xC3\xA9\\t\\u0001\""},
      {std::string("\0\xFF\xFE", 3), R"("base64":"AP/+")"},
      {"msgpack:\x82\xA8", R"("base64":"bXNncGFjazqCqA==")"},
  };
  for (const auto& at : cases) {
    const auto text = write_line(ExportedEntry{.path = "k", .value = at.value});
    EXPECT_EQ(text, std::string(R"({"key":"k",)") + at.as + "}");
    const auto line = read_line(text);
    ASSERT_TRUE(std::holds_alternative<ExportedEntry>(line)) << text;
    EXPECT_EQ(std::get<ExportedEntry>(line).value, at.value);
  }
}

TEST(ExportLine, JsonThatIsTooDeepIsText) {
  std::string deep = R"({"a":)" + std::string(200, '[') + std::string(200, ']') + "}";
  const auto line = read_line(write_line(ExportedEntry{.path = "k", .value = deep}));
  EXPECT_EQ(std::get<ExportedEntry>(line).value, deep);
}

TEST(ExportLine, KeysMayBeAnyBytes) {
  const auto text = write_line(ExportedEntry{.path = "tool/\xFF", .value = "v"});
  EXPECT_EQ(text, R"({"key_base64":"dG9vbC//","text":"v"})");
  EXPECT_EQ(std::get<ExportedEntry>(read_line(text)).path, "tool/\xFF");
}

TEST(ExportLine, WhatIsNoneOfThem) {
  for (const char* text : {
           "",
           "{}",
           "[]",
           "nonsense",
           R"({"key":"k"})",
           R"({"text":"v"})",
           R"({"key":"k","text":"v","json":{}})",
           R"({"key":"k","text":"v","text":"w"})",
           R"({"key":"k","key_base64":"aw==","text":"v"})",
           R"({"key":"k","text":"v","more":1})",
           R"({"key":"k","text":"v","ttl_ms":0})",
           R"({"key":"k","text":"v","ttl_ms":-1})",
           R"({"key":"k","text":"v","ttl_ms":1.5})",
           R"({"key":"k","text":"v","ttl_ms":1e3})",
           R"({"key":"k","text":"v","ttl_ms":1000000000000000000})",
           R"({"key":"k","text":"v","ttl_ms":"1"})",
           R"({"key":"k","json":[1]})",
           R"({"key":"k","base64":"A"})",
           R"({"key":"k","base64":"AP/+\n"})",
           R"({"key":"k","text":"v"} {"key":"l","text":"v"})",
           R"({"key":"k","text":"v")",
           R"({"key":"k","text":"v","mac":1})",
           R"({"k\u0065y":"k","text":"v"})",
           R"({"entries":1,"key":"k","text":"v"})",
           R"({"entries":-1})",
           R"({"valkeycache_export":2,"id":"0","prefix":"p:","created_ms":0})",
           R"({"valkeycache_export":1,"prefix":"p:","created_ms":0})",
           R"({"valkeycache_export":1,"id":"0","created_ms":0})",
           "{\"key\":\"k\",\"text\":\"\xFF\"}",
       }) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(read_line(text))) << text;
  }
}

TEST(ExportLine, ASealBindsTheLineToFileAndPrefix) {
  const std::string secret(32, 's');
  const LineSeal seal(secret, "p:", "file");
  auto line = sample_entry;
  seal.seal(line);
  ASSERT_TRUE(seal.holds(line));
  EXPECT_EQ(std::get<ExportedEntry>(read_line(line)).path, "llm_responses/7f65");
  EXPECT_FALSE(seal.holds(sample_entry));
  EXPECT_FALSE(LineSeal(secret, "q:", "file").holds(line));
  EXPECT_FALSE(LineSeal(secret, "p:", "other").holds(line));
  EXPECT_FALSE(LineSeal(std::string(32, 't'), "p:", "file").holds(line));
  for (std::size_t i = 0; i < line.size(); ++i) {
    auto changed = line;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(seal.holds(changed)) << i;
  }
  auto plain = sample_entry;
  LineSeal({}, "p:", "file").seal(plain);
  EXPECT_EQ(plain, sample_entry);
  EXPECT_TRUE(LineSeal({}, "p:", "file").holds(line));
}

TEST(ExportLine, NoEntrysMacIsALines) {
  // The same secret serves both; what it signs differs.
  const std::string secret(32, 's');
  auto entry = sample_entry;
  append_mac(entry, {.secret = secret, .wire_key = "p:", .digest = "file"});
  EXPECT_FALSE(LineSeal(secret, "p:", "file").holds(entry));
}

TEST(ExportLine, Mutations) {
  valkeycache::test::expect_holds(valkeycache_fuzz::check_export_line,
                                  {sample_head, sample_entry, R"({"entries":3})",
                                   R"({"key_base64":"dG9vbC//","ttl_ms":1,"base64":"AP/+"})",
                                   R"({"key":"llm_complete/tenant=a/00","text":"caf\u00e9 \"\n"})"},
                                  8000);
}

}  // namespace
