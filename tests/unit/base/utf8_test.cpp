#include "base/utf8.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace {

using namespace valkeycache::detail;

TEST(Utf8, EveryScalarValueIsValidAndNothingElseOfThreeBytes) {
  std::uint32_t valid = 0;
  for (std::uint32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    ASSERT_TRUE(is_valid_utf8(text)) << c;
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(valid_utf8_prefix(std::string_view(text).substr(0, cut)), 0U) << c;
    }
    if (text.size() == 3) ++valid;
  }
  EXPECT_EQ(valid, 0x10000U - 0x800U - 0x800U);
  // Of all sequences that begin with a three-byte lead exactly those are valid.
  std::uint32_t found = 0;
  for (std::uint32_t bits = 0; bits < 0x100000; ++bits) {
    const char text[] = {static_cast<char>(0xE0 | (bits >> 16)), static_cast<char>(bits >> 8),
                         static_cast<char>(bits)};
    if (is_valid_utf8({text, 3})) ++found;
  }
  EXPECT_EQ(found, valid);
}

TEST(Utf8, WhatIsNotWellFormed) {
  for (const char* text : {"\x80",
                           "\xBF",
                           "\xC0\x80",
                           "\xC1\xBF",
                           "\xC2",
                           "\xC2\x41",
                           "\xC2\xC2",
                           "\xE0\x80\x80",
                           "\xE0\x9F\xBF",
                           "\xED\xA0\x80",
                           "\xED\xBF\xBF",
                           "\xE2\x82",
                           "\xF0\x80\x80\x80",
                           "\xF0\x8F\xBF\xBF",
                           "\xF4\x90\x80\x80",
                           "\xF5\x80\x80\x80",
                           "\xF8\x88\x80\x80\x80",
                           "\xFE",
                           "\xFF",
                           "\xF0\x9F\x98",
                           "\xF0\x9F\x41\x80"}) {
    EXPECT_FALSE(is_valid_utf8(text));
    EXPECT_EQ(valid_utf8_prefix(text), 0U);
  }
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8(std::string_view("\0", 1)));
  EXPECT_TRUE(is_valid_utf8("\xEF\xBF\xBE"));  // a noncharacter is a scalar value all the same
}

TEST(Utf8, TheFaultIsFoundWhereverItStands) {
  for (std::size_t size = 1; size < 80; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text[at] = '\xFF';
      ASSERT_EQ(valid_utf8_prefix(text), at);
      text.replace(at, 1, "\xF0\x9F\x98\x80");
      ASSERT_TRUE(is_valid_utf8(text));
      text.resize(at + 3);
      ASSERT_EQ(valid_utf8_prefix(text), at);
    }
  }
}

}  // namespace
