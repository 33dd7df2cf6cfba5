#include "aws/percent.hpp"

#include <gtest/gtest.h>

namespace valkeycache {
namespace {

TEST(Percent, EncodesAllButUnreserved) {
  using detail::percent_encoded;
  EXPECT_EQ(percent_encoded("azAZ09-._~"), "azAZ09-._~");
  EXPECT_EQ(percent_encoded("a:b/c d%"), "a%3Ab%2Fc%20d%25");
  EXPECT_EQ(percent_encoded("\xc3\xa9"), "%C3%A9");
  EXPECT_EQ(percent_encoded(std::string_view("\0\xff", 2)), "%00%FF");
  std::string out = "x";
  detail::append_percent_encoded(out, "/a b/", "/");
  EXPECT_EQ(out, "x/a%20b/");
}

TEST(Percent, DecodesWhatIsAnEscape) {
  using detail::percent_decoded;
  EXPECT_EQ(percent_decoded("a%3ab%3A"), "a:b:");
  EXPECT_EQ(percent_decoded("%"), "%");
  EXPECT_EQ(percent_decoded("%4"), "%4");
  EXPECT_EQ(percent_decoded("%zz+"), "%zz+");
  EXPECT_EQ(percent_decoded("%41"), "A");
}

}  // namespace
}  // namespace valkeycache
