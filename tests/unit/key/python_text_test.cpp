#include "key/python_text.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "base/utf8.hpp"

namespace {

using namespace valkeycache::detail;

TEST(PythonRepr, Layout) {
  EXPECT_EQ(python_repr(0.7), "0.7");
  EXPECT_EQ(python_repr(1.0), "1.0");
  EXPECT_EQ(python_repr(0.0), "0.0");
  EXPECT_EQ(python_repr(-0.0), "-0.0");
  EXPECT_EQ(python_repr(100.0), "100.0");
  EXPECT_EQ(python_repr(123.456), "123.456");
  EXPECT_EQ(python_repr(1e15), "1000000000000000.0");
  EXPECT_EQ(python_repr(9999999999999998.0), "9999999999999998.0");
  EXPECT_EQ(python_repr(1e16), "1e+16");
  EXPECT_EQ(python_repr(1.5e16), "1.5e+16");
  EXPECT_EQ(python_repr(0.0001), "0.0001");
  EXPECT_EQ(python_repr(0.00012), "0.00012");
  EXPECT_EQ(python_repr(0.00001), "1e-05");
  EXPECT_EQ(python_repr(1e100), "1e+100");
  EXPECT_EQ(python_repr(-1e-7), "-1e-07");
  EXPECT_EQ(python_repr(5e-324), "5e-324");
  EXPECT_EQ(python_repr(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(python_repr(1.7976931348623157e308), "1.7976931348623157e+308");
}

TEST(PythonRepr, NotFinite) {
  EXPECT_EQ(python_repr(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(python_repr(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(python_repr(std::nan("")), "nan");
  EXPECT_EQ(python_repr(-std::nan("")), "nan");
}

TEST(PythonRepr, ReadsBackAsTheSameDouble) {
  std::mt19937_64 random(20240607);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bits = random();
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value)) continue;
    const auto text = python_repr(value);
    double back = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), back);
    ASSERT_EQ(read.ptr, text.data() + text.size()) << text;
    ASSERT_EQ(back, value) << text;
    ASSERT_EQ(python_number(text), text);
  }
}

TEST(PythonNumber, PrintsWhatPythonReads) {
  EXPECT_EQ(python_number("1"), "1");
  EXPECT_EQ(python_number("0"), "0");
  EXPECT_EQ(python_number("-12"), "-12");
  EXPECT_EQ(python_number("10000000000000000000000"), "10000000000000000000000");
  EXPECT_EQ(python_number("1.0"), "1.0");
  EXPECT_EQ(python_number("0.70"), "0.7");
  EXPECT_EQ(python_number("7e-1"), "0.7");
  EXPECT_EQ(python_number("1E0"), "1.0");
  EXPECT_EQ(python_number("-0.0"), "-0.0");
  EXPECT_EQ(python_number("0e5"), "0.0");
  EXPECT_EQ(python_number("0.70000000000000001"), "0.7");
}

TEST(PythonNumber, RefusesTheOutOfTheOrdinary) {
  for (const char* token : {"", "-", "-0", "1e999", "-1e999", "1e-999", "0.0001e-400", "nan", "inf",
                            "1 ", " 1", "+1", "01", "1.", ".5", "0x1", "1_0", "true", "\"1\""}) {
    EXPECT_EQ(python_number(token), std::nullopt) << token;
  }
}

TEST(PythonStrip, Strips29CodePointsAndNoOther) {
  int stripped = 0;
  for (std::uint32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    const std::string padded = text + "x" + text;
    const auto rest = python_strip(padded);
    if (rest == "x") {
      ++stripped;
      EXPECT_EQ(python_strip(text), "");
    } else {
      ASSERT_EQ(rest, padded) << c;
    }
  }
  EXPECT_EQ(stripped, 29);
}

TEST(PythonStrip, KeepsWhatIsInside) {
  EXPECT_EQ(python_strip(""), "");
  EXPECT_EQ(python_strip(" \xE3\x80\x80 \t\r\n"), "");
  EXPECT_EQ(python_strip("\xC2\xA0 a \xC2\x85 b\xE2\x80\xA8"), "a \xC2\x85 b");
  EXPECT_EQ(python_strip("\xE2\x80\x8Bx"), "\xE2\x80\x8Bx");  // zero width space is none
  EXPECT_EQ(python_strip("\xEF\xBB\xBFx"), "\xEF\xBB\xBFx");  // nor is the byte order mark
  EXPECT_EQ(python_strip(std::string_view("\0 x", 3)), std::string_view("\0 x", 3));
}

}  // namespace
