#include "valkey/server_error.hpp"

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using detail::server_error;

TEST(ServerError, KnownWordsHaveTheirCode) {
  const auto oom = server_error("SET", "OOM command not allowed when used memory > 'maxmemory'.");
  EXPECT_EQ(oom.code, ErrorCode::server_unavailable);
  EXPECT_EQ(oom.server_code, "OOM");
  EXPECT_TRUE(oom.retryable);
  EXPECT_EQ(server_error("SET", "READONLY You can't write").code, ErrorCode::server_unavailable);
  EXPECT_EQ(server_error("SET", "MISCONF x").code, ErrorCode::server_unavailable);
  EXPECT_EQ(server_error("GET", "LOADING x").code, ErrorCode::server_unavailable);
  EXPECT_EQ(server_error("GET", "NOPERM x").code, ErrorCode::permission);
  EXPECT_EQ(server_error("GET", "NOAUTH x").code, ErrorCode::authentication);
  EXPECT_EQ(server_error("GET", "MOVED 1 127.0.0.1:1").code, ErrorCode::unsupported);
  EXPECT_EQ(server_error("GET", "WRONGTYPE x").server_code, "WRONGTYPE");
}

TEST(ServerError, NothingBehindTheFirstWordIsKept) {
  const auto error =
      server_error("SET", "ERR unknown command 'SET', with args beginning with: 'my prompt'");
  EXPECT_EQ(error.server_code, "ERR");
  EXPECT_EQ(error.message.find("prompt"), std::string::npos);
  EXPECT_NE(error.message.find("SET"), std::string::npos);
  const auto odd = server_error("GET", "secret-answer in the first place");
  EXPECT_EQ(odd.message.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace valkeycache::testing
