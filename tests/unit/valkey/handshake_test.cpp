#include "valkey/handshake.hpp"

#include <string>

#include <gtest/gtest.h>

#include "valkey/wire.hpp"

namespace valkeycache::testing {
namespace {

using detail::Handshake;
using detail::make_request;
using Progress = Handshake::Progress;

const std::string hello_reply = "%1\r\n$5\r\nproto\r\n:3\r\n";
const std::string setinfo =
    make_request({"CLIENT", "SETINFO", "LIB-NAME", "valkeycache-cpp"}) +
    make_request({"CLIENT", "SETINFO", "LIB-VER", VALKEYCACHE_VERSION_STRING});

TEST(Handshake, SaysItAllInOneWrite) {
  ValkeyCacheOptions options;
  options.username = "app";
  options.password = "s3cret";
  options.database = 2;
  const Handshake handshake(options);
  EXPECT_EQ(handshake.requests(), make_request({"AUTH", "app", "s3cret"}) +
                                      make_request({"HELLO", "3"}) + make_request({"SELECT", "2"}) +
                                      make_request({"CLIENT", "SETNAME", "valkeycache"}) + setinfo);
}

TEST(Handshake, SaysNoMoreThanItMust) {
  ValkeyCacheOptions options;
  options.client_name.clear();
  EXPECT_EQ(Handshake(options).requests(), make_request({"HELLO", "3"}) + setinfo);
}

TEST(Handshake, EndsWithResp3) {
  Handshake handshake({});
  EXPECT_EQ(handshake.feed(hello_reply), Progress::more);
  EXPECT_EQ(handshake.feed("+OK\r\n+OK\r\n"), Progress::more);
  EXPECT_EQ(handshake.feed("+OK\r\n"), Progress::done);
  EXPECT_EQ(handshake.protocol(), 3);
}

TEST(Handshake, FallsBackToResp2AndDoesWithoutCourtesies) {
  Handshake handshake({});
  EXPECT_EQ(handshake.feed("-ERR unknown command 'HELLO'\r\n-ERR unknown subcommand\r\n"),
            Progress::more);
  EXPECT_EQ(handshake.feed("-NOPERM no\r\n-NOPERM no\r\n"), Progress::done);
  EXPECT_EQ(handshake.protocol(), 2);
}

Error failure(const ValkeyCacheOptions& options, const std::string& replies) {
  Handshake handshake(options);
  EXPECT_EQ(handshake.feed(replies), Progress::failed) << replies;
  return handshake.error();
}

TEST(Handshake, AWrongPasswordIsTypedAndNeverQuoted) {
  ValkeyCacheOptions options;
  options.password = "hunter2";
  for (const std::string reply :
       {"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
        "-ERR Client sent AUTH, but no password is set\r\n", "-ERR invalid password\r\n"}) {
    const auto error = failure(options, reply);
    EXPECT_EQ(error.code, ErrorCode::authentication) << reply;
    EXPECT_FALSE(error.retryable);
    EXPECT_EQ(error.message.find("hunter2"), std::string::npos);
  }
  EXPECT_EQ(
      failure({}, "-NOAUTH HELLO must be called with the client already authenticated\r\n").code,
      ErrorCode::authentication);
}

TEST(Handshake, AFullServerIsNotAWrongPassword) {
  ValkeyCacheOptions options;
  options.password = "x";
  const auto error = failure(options, "-ERR max number of clients reached\r\n");
  EXPECT_EQ(error.code, ErrorCode::server_unavailable);
  EXPECT_TRUE(error.retryable);
}

TEST(Handshake, ADatabaseThatIsNotThereIsNamed) {
  ValkeyCacheOptions options;
  options.database = 99;
  const auto error = failure(options, hello_reply + "-ERR DB index is out of range\r\n");
  EXPECT_EQ(error.code, ErrorCode::server_error);
  EXPECT_NE(error.message.find("99"), std::string::npos);
}

TEST(Handshake, WhatIsNoValkeyIsAProtocolError) {
  EXPECT_EQ(failure({}, "HTTP/1.1 400 Bad Request\r\n").code, ErrorCode::protocol_error);
  EXPECT_EQ(failure({}, "+OK\r\n").code, ErrorCode::protocol_error) << "no map for HELLO";
  EXPECT_EQ(failure({}, hello_reply + ":1\r\n").code, ErrorCode::protocol_error);
  EXPECT_EQ(failure({}, "$536870912\r\n").code, ErrorCode::protocol_error);
}

ValkeyCacheOptions with_near_cache() {
  ValkeyCacheOptions options;
  options.client_name.clear();
  options.near_cache.max_bytes = 1 << 20;
  return options;
}

TEST(Handshake, AsksForTrackingWhereThereIsANearCache) {
  Handshake handshake(with_near_cache());
  EXPECT_EQ(handshake.requests(),
            make_request({"HELLO", "3"}) + make_request({"CLIENT", "TRACKING", "ON"}) + setinfo);
  EXPECT_EQ(handshake.feed(hello_reply + "+OK\r\n+OK\r\n+OK\r\n"), Progress::done);
  EXPECT_TRUE(handshake.tracking());
}

TEST(Handshake, TrackingMayBeRefused) {
  Handshake handshake(with_near_cache());
  EXPECT_EQ(handshake.feed(hello_reply + "-NOPERM no\r\n+OK\r\n+OK\r\n"), Progress::done);
  EXPECT_FALSE(handshake.tracking());
}

TEST(Handshake, TrackingIsWorthNothingInResp2) {
  Handshake handshake(with_near_cache());
  EXPECT_EQ(handshake.feed("-ERR unknown command\r\n+OK\r\n+OK\r\n+OK\r\n"), Progress::done);
  EXPECT_FALSE(handshake.tracking());
}

}  // namespace
}  // namespace valkeycache::testing
