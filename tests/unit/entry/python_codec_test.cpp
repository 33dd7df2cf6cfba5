#include "entry/python_codec.hpp"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace valkeycache;
using detail::python_decode;
using detail::python_encode;
using detail::python_encode_json;
using ::testing::HasSubstr;
using Kind = detail::PythonValue::Kind;
using namespace std::string_literals;

std::string json_of(std::string_view bytes) {
  const auto value = python_decode(bytes);
  EXPECT_EQ(value.kind, Kind::json) << bytes;
  return value.data;
}
Kind kind_of(std::string_view bytes) {
  return python_decode(bytes).kind;
}

TEST(PythonTag, IsWhatStandsBeforeTheFirstColon) {
  for (const char* bytes : {"msgpack:", "json:1", "null:", "bytes:a:b", "bytearray:", "pickle:x"}) {
    EXPECT_TRUE(detail::has_python_tag(bytes)) << bytes;
  }
  for (const char* bytes : {"", ":", "msgpack", "json", "JSON:1", " json:1", "json :1", "foo:1",
                            "{\"response\":1}", "jsonjsonjsonjsonjson:1"}) {
    EXPECT_FALSE(detail::has_python_tag(bytes)) << bytes;
    EXPECT_EQ(kind_of(bytes), Kind::malformed) << bytes;
  }
}

TEST(PythonTag, OtherBodies) {
  EXPECT_EQ(json_of("null:"), "null");
  EXPECT_EQ(json_of("null:anything"), "null");
  EXPECT_EQ(python_decode("bytes:a:b\xff").data, "a:b\xff");
  EXPECT_EQ(python_decode("bytearray:").kind, Kind::bytes);
  EXPECT_EQ(kind_of("pickle:\x80\x04N."), Kind::python_only);
}

TEST(PythonJson, KeepsOrderAndNumbers) {
  EXPECT_EQ(json_of(R"(json: { "b" : [ 1.50 , -7 , 1E5 ] , "a" : "\u00e9\/" , "" : {} } )"),
            "{\"b\":[1.50,-7,1E5],\"a\":\"\xC3\xA9/\",\"\":{}}");
  EXPECT_EQ(json_of("json:18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(json_of("json:-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(json_of("json:-0"), "0");
  EXPECT_EQ(json_of("json:-0.0"), "-0.0");
  EXPECT_EQ(json_of("json:\xEF\xBB\xBF[]"), "[]");
}

TEST(PythonJson, TheLastOfEqualMembersWinsInTheFirstPlace) {
  EXPECT_EQ(json_of(R"(json:{"a":1,"b":2,"\u0061":3})"), R"({"a":3,"b":2})");
  EXPECT_EQ(json_of(R"(json:[{"x":{"a":1,"a":[2]},"y":0,"x":{"b":1,"c":2,"b":3,"b":4}}])"),
            R"([{"x":{"b":4,"c":2},"y":0}])");
}

TEST(PythonJson, WhatOnlyPythonHolds) {
  for (const char* json :
       {"NaN", "[Infinity]", "18446744073709551616", "-9223372036854775809", "1e400", R"("\ud800")",
        R"({"\udc00":1})", R"({"lc":1,"type":"constructor","id":["a"],"kwargs":{}})",
        R"({"x":[{"id":["a"],"lc":2.0,"type":"secret"}]})",
        R"({"lc":true,"type":"not_implemented","id":0})"}) {
    EXPECT_EQ(kind_of("json:"s + json), Kind::python_only) << json;
  }
}

TEST(PythonJson, OrdinaryObjectsMayHaveAnLc) {
  for (const char* json :
       {R"({"lc":1})", R"({"lc":3,"type":"constructor","id":[]})",
        R"({"lc":1,"type":"constructor","id":null})", R"({"lc":1,"type":"other","id":[]})",
        R"({"lc":"1","type":"constructor","id":[]})"}) {
    EXPECT_EQ(json_of("json:"s + json), json);
  }
}

TEST(PythonJson, Malformed) {
  for (const char* json : {"", " ", "{", "[1,]", "01", "'a'", "\"\n\"", "\"\xff\"", "1 2", "nul"}) {
    EXPECT_EQ(kind_of("json:"s + json), Kind::malformed) << json;
  }
}

TEST(PythonJson, DeepOnesAreMissesWithoutDanger) {
  const auto nested = [](std::size_t depth) {
    return "json:" + std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(kind_of(nested(1022)), Kind::json);
  EXPECT_EQ(kind_of(nested(1023)), Kind::malformed);
  EXPECT_EQ(kind_of(nested(1'000'000)), Kind::malformed);
}

TEST(PythonEncode, Forms) {
  EXPECT_EQ(python_encode("null").value(), "null:");
  EXPECT_EQ(python_encode(" [ null ] ").value(), "msgpack:\x91\xC0");
  EXPECT_EQ(python_encode("-0").value(), "msgpack:\0"s);
  EXPECT_EQ(python_encode(R"({"a":1,"b":2,"a":3})").value(),
            "msgpack:\x82\xA1\x61\x03\xA1\x62\x02");
  EXPECT_EQ(python_encode("1e2").value(), "msgpack:\xCB\x40\x59\0\0\0\0\0\0"s);
}

TEST(PythonEncode, Errors) {
  const std::string deep = std::string(255, '[') + std::string(255, ']');
  EXPECT_TRUE(python_encode(deep));
  for (const std::string& json :
       {""s, "{"s, "NaN"s, "18446744073709551616"s, "-9223372036854775809"s, "1e999"s,
        "\"\\ud800\""s, "\"\xff\""s, "[" + deep + "]"}) {
    const auto bytes = python_encode(json);
    ASSERT_FALSE(bytes) << json.substr(0, 20);
    EXPECT_EQ(bytes.error().code, ErrorCode::invalid_argument);
  }
}

TEST(PythonEncodeJson, KeepsTheText) {
  EXPECT_EQ(python_encode_json(R"({ "b":1.50, "a":"lc" })").value(),
            R"(json:{ "b":1.50, "a":"lc" })");
}

TEST(PythonEncodeJson, RefusesAnLcAtAnyDepth) {
  for (const char* json :
       {R"({"lc":0})", R"([[{"a":{"lc":"x"}}]])", R"({"a":1,"\u006cc":2})", R"({"lc":1,"lc":2})"}) {
    const auto bytes = python_encode_json(json);
    ASSERT_FALSE(bytes) << json;
    EXPECT_EQ(bytes.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(bytes.error().message, HasSubstr("\"lc\""));
  }
  EXPECT_TRUE(python_encode_json(R"(["lc",{"LC":1,"a":"\"lc\":"}])"));
}

TEST(PythonEncodeJson, RefusesWhatItWouldNotReadBack) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(python_encode_json(nested(128)));
  for (const std::string& json : {""s, "{}x"s, "18446744073709551616"s, nested(129)}) {
    const auto bytes = python_encode_json(json);
    ASSERT_FALSE(bytes);
    EXPECT_EQ(bytes.error().code, ErrorCode::invalid_argument);
  }
}

}  // namespace
