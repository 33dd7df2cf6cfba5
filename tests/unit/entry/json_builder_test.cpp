#include "entry/json_builder.hpp"

#include <string>

#include <gtest/gtest.h>

namespace {

using valkeycache::detail::JsonBuilder;

TEST(JsonBuilder, NestsAndSeparates) {
  JsonBuilder builder;
  builder.begin_array();
  builder.scalar("1");
  builder.begin_object();
  EXPECT_TRUE(builder.in_object());
  EXPECT_EQ(builder.depth(), 2U);
  builder.member("a\"");
  builder.begin_array();
  builder.end();
  builder.member("b");
  builder.string("x\n");
  EXPECT_EQ(builder.find("a\""), "[]");
  EXPECT_EQ(builder.find("b"), R"("x\n")");
  EXPECT_TRUE(builder.find("c").empty());
  builder.end();
  builder.begin_object();
  builder.end();
  builder.end();
  EXPECT_EQ(builder.take(), R"([1,{"a\"":[],"b":"x\n"},{}])");
}

TEST(JsonBuilder, KeepsTheFirstPlaceAndTheLastValue) {
  JsonBuilder builder;
  builder.begin_object();
  for (const char* name : {"a", "b", "a", "c", "b", "a"}) {
    builder.member(name);
    builder.begin_object();
    builder.member(name);
    builder.scalar(std::to_string(builder.depth()));
    builder.member(name);
    builder.scalar(name[0] == 'a' ? "true" : "false");
    builder.end();
  }
  EXPECT_EQ(builder.find("a"), R"({"a":true})");
  builder.end();
  EXPECT_EQ(builder.take(), R"({"a":{"a":true},"b":{"b":false},"c":{"c":false}})");
}

}  // namespace
