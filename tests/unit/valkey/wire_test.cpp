#include "valkey/wire.hpp"

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

TEST(Wire, RequestsAreArraysOfBulkStrings) {
  EXPECT_EQ(detail::make_request({"SET", "k", std::string_view("a\r\n\0b", 5)}),
            std::string("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\n\0b\r\n", 31));
  std::string out = "before";
  detail::append_argument(out, std::int64_t{-12});
  EXPECT_EQ(out, "before$3\r\n-12\r\n");
}

}  // namespace
}  // namespace valkeycache::testing
