#include "valkey/settings.hpp"

#include <functional>
#include <limits>

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;

TEST(Settings, ThePrefixGetsItsColon) {
  const auto prefix_of = [](std::string prefix) {
    ValkeyCacheOptions options;
    options.prefix = std::move(prefix);
    return detail::checked(options).value().prefix;
  };
  EXPECT_EQ(prefix_of("llm"), "llm:");
  EXPECT_EQ(prefix_of("llm:"), "llm:");
  EXPECT_EQ(prefix_of("app/"), "app/");
  EXPECT_EQ(prefix_of("a::"), "a::");
  EXPECT_EQ(prefix_of(":"), ":");
}

TEST(Settings, NoLimitIsSoHighThatNothingCanBeAddedToIt) {
  ValkeyCacheOptions options;
  options.max_value_bytes = options.max_reply_bytes = std::numeric_limits<std::size_t>::max();
  const auto made = detail::checked(options).value();
  EXPECT_LT(made.max_value_bytes, std::numeric_limits<std::size_t>::max() / 2);
  EXPECT_GE(made.max_reply_bytes, made.max_value_bytes);
}

TEST(Settings, EachBadFieldIsNamed) {
  const auto refused = [](const std::function<void(ValkeyCacheOptions&)>& change) {
    ValkeyCacheOptions options;
    change(options);
    const auto result = detail::checked(options);
    EXPECT_FALSE(result);
    if (result) return std::string();
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    return result.error().message.substr(0, result.error().message.find(' '));
  };
  EXPECT_EQ(refused([](auto& o) { o.prefix = ""; }), "prefix");
  EXPECT_EQ(refused([](auto& o) { o.ttl = 0s; }), "ttl");
  EXPECT_EQ(refused([](auto& o) { o.ttl = -1s; }), "ttl");
  EXPECT_EQ(refused([](auto& o) { o.ttl = std::chrono::hours::max(); }), "ttl");
  EXPECT_EQ(refused([](auto& o) { o.near_cache.max_age = 0ms; }), "near_cache.max_age");
  EXPECT_EQ(refused([](auto& o) { o.near_cache.heartbeat = -1ms; }), "near_cache.heartbeat");
  EXPECT_EQ(refused([](auto& o) { o.host = ""; }), "host");
  EXPECT_EQ(refused([](auto& o) { o.port = 0; }), "port");
  EXPECT_EQ(refused([](auto& o) { o.unix_socket = std::string(108, 'x'); }), "unix_socket");
  EXPECT_EQ(refused([](auto& o) { o.username = "u"; }), "username");
  EXPECT_EQ(refused([](auto& o) { o.database = -1; }), "database");
  EXPECT_EQ(refused([](auto& o) { o.client_name = "a b"; }), "client_name");
  EXPECT_EQ(refused([](auto& o) { o.connect_timeout = 0ms; }), "connect_timeout");
  EXPECT_EQ(refused([](auto& o) { o.command_timeout = -1ms; }), "command_timeout");
  EXPECT_EQ(refused([](auto& o) { o.reconnect_base = -1ms; }), "reconnect_base");
  EXPECT_EQ(refused([](auto& o) { o.reconnect_cap = 1ms; }), "reconnect_cap");
  EXPECT_EQ(refused([](auto& o) { o.close_timeout = -1ms; }), "close_timeout");
  EXPECT_EQ(refused([](auto& o) { o.stay_awake = -1us; }), "stay_awake");
  EXPECT_EQ(refused([](auto& o) { o.stay_awake = 1001us; }), "stay_awake");
  EXPECT_EQ(refused([](auto& o) { o.max_queued_commands = 0; }), "max_queued_commands");
  EXPECT_EQ(refused([](auto& o) { o.max_queued_bytes = 0; }), "max_queued_bytes");
  EXPECT_EQ(refused([](auto& o) { o.max_value_bytes = 0; }), "max_value_bytes");
  EXPECT_EQ(refused([](auto& o) { o.max_reply_bytes = 1; }), "max_reply_bytes");
}

}  // namespace
}  // namespace valkeycache::testing
