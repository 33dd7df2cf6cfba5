#include "key/canonical_json.hpp"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace valkeycache::detail;
using ::testing::ElementsAre;

std::string canonical(std::string_view json, int depth = 128) {
  const auto made = canonical_json(json, depth);
  EXPECT_EQ(made.fault, JsonFault::none) << describe(made.fault) << " at " << made.offset;
  return made.text;
}

void expect_fault(std::string_view json, JsonFault fault, std::size_t offset, int depth = 128) {
  SCOPED_TRACE(json);
  const auto made = canonical_json(json, depth);
  EXPECT_STREQ(describe(made.fault), describe(fault));
  EXPECT_EQ(made.offset, offset);
  EXPECT_EQ(made.text, "");
}

TEST(CanonicalJson, DropsWhiteSpaceAndSortsMembers) {
  EXPECT_EQ(canonical(" { \"b\" : [ 1 , 2 ] ,\n\t\"a\" : { } , \"B\":null }\r\n"),
            R"({"B":null,"a":{},"b":[1,2]})");
  EXPECT_EQ(canonical("[[],[ [ ] ],{},\"\"]"), R"([[],[[]],{},""])");
}

TEST(CanonicalJson, SortsAtEveryDepth) {
  EXPECT_EQ(canonical(R"({"z":{"y":{"b":1,"a":2},"x":[{"d":3,"c":4}]},"a":0})"),
            R"({"a":0,"z":{"x":[{"c":4,"d":3}],"y":{"a":2,"b":1}}})");
}

TEST(CanonicalJson, SortsBytewiseByTheDecodedName) {
  // By decoded bytes: "\"" (22) < "A" < "\\" (5c) < "a" < "é" (c3) < U+FFFF (ef) < U+1F600 (f0).
  EXPECT_EQ(canonical(R"({"a":1,"\ud83d\ude00":2,"\uffff":3,"\u00e9":4,"\\":5,"A":6,"\"":7,"":8})"),
            "{\"\":8,\"\\\"\":7,\"A\":6,\"\\\\\":5,\"a\":1,\"\xC3\xA9\":4,\"\xEF\xBF\xBF\":3,"
            "\"\xF0\x9F\x98\x80\":2}");
  EXPECT_EQ(canonical(R"({"ab":1,"a":2,"a\u0000":3})"), R"({"a":2,"a\u0000":3,"ab":1})");
}

TEST(CanonicalJson, KeepsNumbersVerbatim) {
  for (const char* number :
       {"0", "-0", "1.0", "1.50", "1e5", "1E+05", "-0.0e-0", "18446744073709551617",
        "0.1000000000000000055511151231257827", "123456789012345678901234567890", "1e99999"}) {
    EXPECT_EQ(canonical(number), number);
  }
}

TEST(CanonicalJson, WritesStringsOneWay) {
  EXPECT_EQ(canonical(R"("\u0041\/\b\f\n\r\t\"\\\u001f\u007f\u00e9\u2028\ud83d\ude00")"),
            "\"A/\\b\\f\\n\\r\\t\\\"\\\\\\u001f\x7F\xC3\xA9\xE2\x80\xA8\xF0\x9F\x98\x80\"");
  EXPECT_EQ(canonical(R"("\u0000\u000B\u000b")"), R"("\u0000\u000b\u000b")");
  EXPECT_EQ(canonical(R"("\u0008\u000C\u000a\u000D\u0009\u0022\u005c")"), R"("\b\f\n\r\t\"\\")");
}

TEST(CanonicalJson, IsItsOwnCanonicalForm) {
  const std::string text = canonical(
      R"({"messages":[{"role":"user","content":[{"text":"a\u0001\"\\\n"}]}],"x":[true,false,null]})");
  EXPECT_EQ(canonical(text), text);
}

TEST(CanonicalJson, FaultsWithTheirPlaces) {
  expect_fault("", JsonFault::end, 0);
  expect_fault("  ", JsonFault::end, 2);
  expect_fault("{", JsonFault::end, 1);
  expect_fault("[1", JsonFault::end, 2);
  expect_fault("\"abc", JsonFault::end, 4);
  expect_fault("tru", JsonFault::syntax, 0);
  expect_fault("nul", JsonFault::syntax, 0);
  expect_fault("True", JsonFault::syntax, 0);
  expect_fault("NaN", JsonFault::syntax, 0);
  expect_fault("{a:1}", JsonFault::syntax, 1);
  expect_fault("{'a':1}", JsonFault::syntax, 1);
  expect_fault(R"({"a" 1})", JsonFault::syntax, 5);
  expect_fault(R"({"a":1,})", JsonFault::syntax, 7);
  expect_fault(R"({"a":1 "b":2})", JsonFault::syntax, 7);
  expect_fault("[1,]", JsonFault::syntax, 3);
  expect_fault("[,1]", JsonFault::syntax, 1);
  expect_fault("[1 2]", JsonFault::syntax, 3);
  expect_fault("[1}", JsonFault::syntax, 2);
  expect_fault("{]", JsonFault::syntax, 1);
  expect_fault("]", JsonFault::syntax, 0);
  expect_fault("// x\n1", JsonFault::syntax, 0);
  expect_fault("\xEF\xBB\xBF{}", JsonFault::syntax, 0);
  expect_fault("1 2", JsonFault::trailing, 2);
  expect_fault("{}{}", JsonFault::trailing, 2);
  expect_fault(std::string_view("1\0", 2), JsonFault::trailing, 1);
  expect_fault("01", JsonFault::number, 1);
  expect_fault("-", JsonFault::end, 1);
  expect_fault("-x", JsonFault::number, 1);
  expect_fault("+1", JsonFault::syntax, 0);
  expect_fault(".5", JsonFault::syntax, 0);
  expect_fault("[1.]", JsonFault::number, 3);
  expect_fault("[1e]", JsonFault::number, 3);
  expect_fault("[1e+]", JsonFault::number, 4);
  expect_fault("0x10", JsonFault::trailing, 1);
  expect_fault("\"\\x\"", JsonFault::escape, 2);
  expect_fault("\"\\u12g4\"", JsonFault::escape, 3);
  expect_fault("\"\\u12", JsonFault::end, 5);
  expect_fault("\"a\nb\"", JsonFault::control, 2);
  expect_fault(std::string_view("\"\0\"", 3), JsonFault::control, 1);
  expect_fault(R"("\ud800")", JsonFault::surrogate, 7);
  expect_fault(R"("\ud800\n")", JsonFault::surrogate, 7);
  expect_fault(R"("\ud800\u0041")", JsonFault::surrogate, 13);
  expect_fault(R"("\ud800\ud800")", JsonFault::surrogate, 13);
  expect_fault(R"("\udc00")", JsonFault::surrogate, 7);
  expect_fault("\"\xff\"", JsonFault::utf8, 1);
  expect_fault("\"\xed\xa0\x80\"", JsonFault::utf8, 1);
}

TEST(CanonicalJson, DuplicateMembersAreAFault) {
  expect_fault(R"({"a":1,"a":1})", JsonFault::duplicate, 11);
  expect_fault(R"({"b":1,"a":2,"\u0062":3})", JsonFault::duplicate, 22);
  expect_fault(R"([{"x":{"a":1,"b":2,"a":3}}])", JsonFault::duplicate, 23);
  EXPECT_EQ(canonical(R"([{"a":1},{"a":1}])"), R"([{"a":1},{"a":1}])");
}

TEST(CanonicalJson, DepthIsBounded) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(canonical(nested(128)), nested(128));
  expect_fault(nested(129), JsonFault::depth, 128);
  expect_fault(std::string(1'000'000, '['), JsonFault::depth, 128);
  expect_fault("[]", JsonFault::depth, 0, 0);
  EXPECT_EQ(canonical("1", 0), "1");
  EXPECT_EQ(canonical("[[1],[2],{}]", 2), "[[1],[2],{}]");
  std::string objects;
  for (int i = 0; i < 129; ++i) objects += "{\"a\":";
  expect_fault(objects, JsonFault::depth, 128 * 5);
}

TEST(CanonicalJson, PartsOfIt) {
  const std::string object = canonical(R"({"b":[1,{"x":"]"}],"a\"":"}"})");
  const auto members = canonical_members(object);
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].name, "a\"");
  EXPECT_EQ(members[0].value, R"("}")");
  EXPECT_EQ(canonical_string(members[0].value), "}");
  EXPECT_EQ(members[1].name, "b");
  EXPECT_THAT(canonical_elements(members[1].value), ElementsAre("1", R"({"x":"]"})"));
  EXPECT_TRUE(canonical_members("{}").empty());
  EXPECT_TRUE(canonical_elements("[]").empty());
}

}  // namespace
