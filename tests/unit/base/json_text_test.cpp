// JSON text: its depth, its strings, and the cursor over it.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/json_cursor.hpp"
#include "base/json_depth.hpp"
#include "base/json_string.hpp"

namespace {

using namespace valkeycache::detail;

TEST(JsonDepth, CountsWhatIsOpenAtOnce) {
  EXPECT_TRUE(json_depth_within("1", 0));
  EXPECT_FALSE(json_depth_within("[]", 0));
  EXPECT_TRUE(json_depth_within("[]", 1));
  EXPECT_TRUE(json_depth_within("[[],[],{}]", 2));
  EXPECT_FALSE(json_depth_within(R"({"a":[{}]})", 2));
  EXPECT_TRUE(json_depth_within(std::string(128, '[') + std::string(128, ']'), 128));
  EXPECT_FALSE(json_depth_within(std::string(129, '['), 128));
  EXPECT_FALSE(json_depth_within(std::string(10'000'000, '['), 128));
}

TEST(JsonDepth, BracketsInStringsDoNotCount) {
  EXPECT_TRUE(json_depth_within(R"(["[[[[", "\"[[[", "\\"])", 1));
  EXPECT_FALSE(json_depth_within(R"(["\\",[[]]])", 2));
  EXPECT_TRUE(json_depth_within("\"\\", 0));  // ends in an escape
  EXPECT_TRUE(json_depth_within("]]]][", 1));
}

TEST(JsonString, EscapesInOneWay) {
  EXPECT_EQ(json_string(""), "\"\"");
  EXPECT_EQ(json_string("plain \xC3\xA9 /\x7F"), "\"plain \xC3\xA9 /\x7F\"");
  EXPECT_EQ(json_string(std::string_view("\0\x01\b\t\n\v\f\r\x1f\"\\", 11)),
            R"("\u0000\u0001\b\t\n\u000b\f\r\u001f\"\\")");
}

// Wherever a special character stands, for the search looks at eight bytes at once.
TEST(JsonString, FindsSpecialsAtAnyPlace) {
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string plain(size, '\x80');
    EXPECT_EQ(find_json_special(plain, 0), size);
    for (std::size_t at = 0; at < size; ++at) {
      for (const char special : {'"', '\\', '\0', '\x1f', '\n'}) {
        auto text = plain;
        text[at] = special;
        for (std::size_t from = 0; from <= size; ++from) {
          ASSERT_EQ(find_json_special(text, from), from <= at ? at : size);
        }
      }
      for (int c = 0x20; c < 0x100; ++c) {
        if (c == '"' || c == '\\') continue;
        auto text = plain;
        text[at] = static_cast<char>(c);
        ASSERT_EQ(find_json_special(text, 0), size) << c;
      }
    }
  }
}

TEST(JsonCursor, WalksAnObject) {
  JsonCursor cursor(R"( { "a" : [1, {"x":"]"} ] , "\u0062" : -1.5e3 , "c":null } )");
  std::vector<std::pair<std::string, std::string>> members;
  ASSERT_TRUE(cursor.expect('{'));
  JsonStringToken name;
  std::string_view value;
  for (bool first = true; cursor.next_member(first, name) && cursor.value(value, 10);) {
    members.emplace_back(name.decode(), value);
  }
  EXPECT_TRUE(cursor.finish());
  EXPECT_EQ(members, (std::vector<std::pair<std::string, std::string>>{
                         {"a", R"([1, {"x":"]"} ])"}, {"b", "-1.5e3"}, {"c", "null"}}));
}

TEST(JsonCursor, ValueIsTheTextAsItStands) {
  for (const char* json : {"1", "-0.0E+7", "\"a\\u0041\"", "[ ]", "{ }", "[[],{},[{}]]",
                           R"({"a":{"b":[1,2,{"c":[]}]},"d":"}"})", "true", "false", "null"}) {
    JsonCursor cursor(json);
    std::string_view value;
    EXPECT_TRUE(cursor.value(value, 10)) << json;
    EXPECT_EQ(value, json);
    EXPECT_TRUE(cursor.finish());
  }
}

TEST(JsonCursor, ValueRefusesWhatIsMalformed) {
  for (const char* json : {"",         "[",          "{",     "[1",
                           "[1,",      "[1,]",       "[,]",   "{\"a\"}",
                           "{\"a\":}", "{\"a\":1,}", "{,}",   "{1:2}",
                           "[1}",      "{\"a\":1]",  "[1 2]", "{\"a\":1 \"b\":2}",
                           "01",       "1.",         "\"",    "\"\\",
                           "\"\\u00",  "tru",        "[nul]", "]",
                           "}",        ",",          ":"}) {
    JsonCursor cursor(json);
    std::string_view value;
    EXPECT_FALSE(cursor.value(value, 10) && cursor.finish()) << json;
    EXPECT_FALSE(cursor.ok());
    EXPECT_NE(cursor.fault(), JsonFault::none);
    // The first fault sticks.
    const auto fault = cursor.fault();
    EXPECT_FALSE(cursor.expect('x'));
    EXPECT_EQ(cursor.peek(), '\0');
    EXPECT_EQ(cursor.fault(), fault);
  }
}

TEST(JsonCursor, ValueIsBoundInDepthAndNeedsNoStack) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  const auto fits = [&](std::size_t depth, int max) {
    const auto json = nested(depth);
    JsonCursor cursor(json);
    std::string_view value;
    return cursor.value(value, max);
  };
  EXPECT_TRUE(fits(5, 5));
  EXPECT_FALSE(fits(6, 5));
  EXPECT_TRUE(fits(1'000'000, 1'000'000));
}

TEST(JsonCursor, InvalidUtf8IsToldFirst) {
  JsonCursor cursor("[\"\xFF\"]");
  EXPECT_EQ(cursor.fault(), JsonFault::utf8);
  EXPECT_EQ(cursor.offset(), 2U);
  EXPECT_FALSE(cursor.take('['));
}

TEST(JsonCursor, DecodesStrings) {
  const auto decode = [](std::string_view json) {
    JsonCursor cursor(json);
    JsonStringToken token;
    EXPECT_TRUE(cursor.string(token)) << json;
    return token.decode();
  };
  EXPECT_EQ(decode(R"("")"), "");
  EXPECT_EQ(decode(R"("a\"\\\/\b\f\n\r\tz")"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(decode(R"("\u0041\u00e9\u20AC\uD83D\uDE00")"), "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(decode(R"("\u0000x")"), std::string("\0x", 2));
  EXPECT_EQ(decode(R"("\ud800\udc00\udbff\udfff")"), "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
  EXPECT_EQ(decode(json_string("round \x01\"\\\n trip")), "round \x01\"\\\n trip");
}

TEST(JsonFault, EachHasWords) {
  for (int i = 0; i <= static_cast<int>(JsonFault::duplicate); ++i) {
    EXPECT_GT(std::string(describe(static_cast<JsonFault>(i))).size(), 5U);
  }
}

}  // namespace
