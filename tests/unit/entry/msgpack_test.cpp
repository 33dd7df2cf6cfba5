#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "entry/msgpack_reader.hpp"
#include "entry/msgpack_writer.hpp"

namespace {

using namespace valkeycache;
using detail::read_msgpack;
using detail::write_msgpack;
using Kind = detail::PythonValue::Kind;
using namespace std::string_literals;

std::string json_of(std::string_view bytes) {
  const auto value = read_msgpack(bytes);
  EXPECT_EQ(value.kind, Kind::json);
  return value.data;
}

TEST(Msgpack, IntegersInTheirShortestForms) {
  const std::pair<const char*, std::string> cases[] = {
      {"0", "\0"s},
      {"127", "\x7F"},
      {"128", "\xCC\x80"},
      {"255", "\xCC\xFF"},
      {"256", "\xCD\x01\0"s},
      {"65535", "\xCD\xFF\xFF"},
      {"65536", "\xCE\0\x01\0\0"s},
      {"4294967295", "\xCE\xFF\xFF\xFF\xFF"},
      {"4294967296", "\xCF\0\0\0\x01\0\0\0\0"s},
      {"18446744073709551615", "\xCF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"},
      {"-1", "\xFF"},
      {"-32", "\xE0"},
      {"-33", "\xD0\xDF"},
      {"-128", "\xD0\x80"},
      {"-129", "\xD1\xFF\x7F"},
      {"-32768", "\xD1\x80\0"s},
      {"-32769", "\xD2\xFF\xFF\x7F\xFF"},
      {"-2147483648", "\xD2\x80\0\0\0"s},
      {"-2147483649", "\xD3\xFF\xFF\xFF\xFF\x7F\xFF\xFF\xFF"},
      {"-9223372036854775808", "\xD3\x80\0\0\0\0\0\0\0"s},
  };
  for (const auto& [json, bytes] : cases) {
    EXPECT_EQ(write_msgpack(json).value(), bytes) << json;
    EXPECT_EQ(json_of(bytes), json);
  }
}

TEST(Msgpack, Floats) {
  EXPECT_EQ(json_of("\xCA\x3F\x80\0\0"s), "1.0");
  EXPECT_EQ(json_of("\xCA\x3D\xCC\xCC\xCD"), "0.10000000149011612");
  EXPECT_EQ(json_of("\xCB\x43\x41\xC3\x79\x37\xE0\x80\0"s), "1e+16");
  EXPECT_EQ(read_msgpack("\xCA\x7F\x80\0\0"s).kind, Kind::python_only);
  EXPECT_EQ(read_msgpack("\xCB\x7F\xF8\0\0\0\0\0\0"s).kind, Kind::python_only);
}

TEST(Msgpack, LengthsOfTextAndContainers) {
  for (const std::size_t size : {0U, 31U, 32U, 255U, 256U, 65535U, 65536U}) {
    const auto json = '"' + std::string(size, 'x') + '"';
    const auto bytes = write_msgpack(json).value();
    EXPECT_EQ(bytes.size(), size + (size < 32 ? 1U : size < 256 ? 2U : size < 65536 ? 3U : 5U));
    EXPECT_EQ(json_of(bytes), json);
  }
  for (const std::size_t size : {0U, 15U, 16U, 65535U, 65536U}) {
    std::string array = "[";
    std::string object = "{";
    for (std::size_t i = 0; i < size; ++i) {
      array += i ? ",1" : "1";
      object += (i ? ",\"" : "\"") + std::to_string(i) + "\":1";
    }
    array += ']';
    object += '}';
    const auto bytes = write_msgpack(array).value();
    EXPECT_EQ(bytes.size(), size + (size < 16 ? 1U : size < 65536 ? 3U : 5U));
    EXPECT_EQ(json_of(bytes), array);
    EXPECT_EQ(json_of(write_msgpack(object).value()), object);
  }
}

TEST(Msgpack, LongerFormsThanNeededAreRead) {
  EXPECT_EQ(json_of("\xDA\0\x01\x61"s), "\"a\"");
  EXPECT_EQ(json_of("\xDB\0\0\0\x01\x61"s), "\"a\"");
  EXPECT_EQ(json_of("\xDC\0\x01\x05"s), "[5]");
  EXPECT_EQ(json_of("\xDD\0\0\0\0"s), "[]");
  EXPECT_EQ(json_of("\x81\xD9\x01\x61\x05"), R"({"a":5})");
  EXPECT_EQ(json_of("\x81\xDA\0\x01\x61\x05"s), R"({"a":5})");
  EXPECT_EQ(json_of("\x81\xDB\0\0\0\x01\x61\x05"s), R"({"a":5})");
  EXPECT_EQ(json_of("\xD3\0\0\0\0\0\0\0\x05"s), "5");
}

TEST(Msgpack, TextIsEscapedAsJson) {
  EXPECT_EQ(json_of("\x81\xA3\"\n\0\xA1\x1F"s), R"({"\"\n\u0000":"\u001f"})");
}

TEST(Msgpack, TheLastOfEqualMembersWins) {
  EXPECT_EQ(json_of("\x83\xA1\x61\x01\xA1\x62\x02\xA1\x61\x90"), R"({"a":[],"b":2})");
}

TEST(Msgpack, WhatFollowsIsIgnored) {
  EXPECT_EQ(json_of("\x91\x01\xC1\xFF"), "[1]");
}

TEST(Msgpack, WhatOnlyPythonHolds) {
  for (const std::string& bytes :
       {"\xC4\0"s, "\xC5\0\x01x"s, "\xC6\0\0\0\x01x"s, "\xD4\x63x"s, "\xD5\x63xx"s, "\xD6\x63xxxx"s,
        "\xD7\x63xxxxxxxx"s, "\xD8\x63xxxxxxxxxxxxxxxx"s, "\xC7\0\x63"s, "\xC8\0\x01\x63x"s,
        "\xC9\0\0\0\x01\x63x"s, "\x91\xC4\0"s, "\x81\x01\x02"s, "\x81\xC0\x02"s,
        "\x82\xA1\x61\x01\xC4\x01\x62\x02"s}) {
    EXPECT_EQ(read_msgpack(bytes).kind, Kind::python_only) << bytes.size();
  }
}

TEST(Msgpack, TruncatedAnywhereIsMalformed) {
  const auto whole = write_msgpack(
      R"({"a":[1,-1,300,-300,70000,-70000,5000000000,-5000000000,1.5,true,null],"b":{"c":"text"}})");
  ASSERT_TRUE(whole);
  for (std::size_t size = 0; size < whole->size(); ++size) {
    EXPECT_EQ(read_msgpack(whole->substr(0, size)).kind, Kind::malformed) << size;
  }
  for (const std::string& bytes :
       {"\xC4\x01"s, "\xC7\x01\x63"s, "\xD8\x63x"s, "\xC6\xFF\xFF\xFF\xFFx"s,
        "\xDB\xFF\xFF\xFF\xFFx"s, "\xDD\xFF\xFF\xFF\xFF\x01"s, "\xDF\xFF\xFF\xFF\xFF"s,
        "\xC9\xFF\xFF\xFF\xFF"s}) {
    EXPECT_EQ(read_msgpack(bytes).kind, Kind::malformed);
  }
}

TEST(Msgpack, Malformed) {
  EXPECT_EQ(read_msgpack("\xC1").kind, Kind::malformed);
  EXPECT_EQ(read_msgpack("\x91\xC1").kind, Kind::malformed);
  EXPECT_EQ(read_msgpack("\xA1\xFF").kind, Kind::malformed);
  EXPECT_EQ(read_msgpack("\x81\xA1\xFF\x01").kind, Kind::malformed);
  EXPECT_EQ(read_msgpack("\x92\xC4\0\xC1"s).kind, Kind::malformed);  // whatever came before
}

TEST(Msgpack, DeepOnesAreMissesWithoutDanger) {
  EXPECT_EQ(read_msgpack(std::string(1022, '\x91') + '\x01').kind, Kind::json);
  EXPECT_EQ(read_msgpack(std::string(1023, '\x91') + '\x01').kind, Kind::malformed);
  EXPECT_EQ(read_msgpack(std::string(1'000'000, '\x91')).kind, Kind::malformed);
}

}  // namespace
