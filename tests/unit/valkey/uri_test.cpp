#include <string>

#include <gtest/gtest.h>

#include "valkey/settings.hpp"

namespace valkeycache::testing {
namespace {

ValkeyCacheOptions parsed(std::string_view uri) {
  auto location = detail::parse_uri(uri, {});
  EXPECT_TRUE(location) << uri << ": " << location.error().message;
  return location ? location->options : ValkeyCacheOptions{};
}

TEST(Uri, NamesHostPortAndDatabase) {
  EXPECT_EQ(parsed("valkey://cache.example").host, "cache.example");
  EXPECT_EQ(parsed("valkey://cache.example").port, 6379);
  EXPECT_EQ(parsed("valkey://cache.example/").database, 0);
  EXPECT_EQ(parsed("redis://h:7000/3").port, 7000);
  EXPECT_EQ(parsed("redis://h:7000/3").database, 3);
  EXPECT_EQ(parsed("valkey://[::1]:7000").host, "::1");
  EXPECT_EQ(parsed("valkey://[::1]:7000").port, 7000);
  EXPECT_EQ(parsed("valkey://[fe80::1]").port, 6379);
}

TEST(Uri, UserAndPasswordArePercentDecoded) {
  const auto both = parsed("valkey://app:p%40ss%3Aw%2Frd@h");
  EXPECT_EQ(both.username, "app");
  EXPECT_EQ(both.password, "p@ss:w/rd");
  const auto alone = parsed("valkey://:secret@h");
  EXPECT_EQ(alone.username, "");
  EXPECT_EQ(alone.password, "secret");
  EXPECT_EQ(parsed("valkey://u:a@b@h").password, "a@b") << "the last @ ends it";
}

TEST(Uri, UnixSockets) {
  EXPECT_EQ(parsed("unix:///run/valkey.sock").unix_socket, "/run/valkey.sock");
  EXPECT_EQ(parsed("unix:///run/a%20b.sock?db=4").unix_socket, "/run/a b.sock");
  EXPECT_EQ(parsed("unix:///run/a.sock?db=4").database, 4);
  EXPECT_EQ(parsed("unix://u:p@/run/a.sock").password, "p");
}

TEST(Uri, MemoryStoresHaveNames) {
  const auto location = detail::parse_uri("memory://tests", {}).value();
  EXPECT_TRUE(location.in_memory);
  EXPECT_EQ(location.memory_name, "tests");
}

TEST(Uri, OptionsThatItDoesNotNameStay) {
  ValkeyCacheOptions options;
  options.password = "kept";
  options.database = 5;
  const auto location = detail::parse_uri("valkey://h", options).value();
  EXPECT_EQ(location.options.password, "kept");
  EXPECT_EQ(location.options.database, 5);
}

TEST(Uri, TlsIsAskedForByTheSchemeAndNeverGivenUp) {
  for (const auto* uri : {"valkeys://h", "rediss://h:6380"}) {
    EXPECT_TRUE(detail::parse_uri(uri, {}).value().options.tls.enabled) << uri;
  }
  EXPECT_FALSE(detail::parse_uri("valkey://h", {}).value().options.tls.enabled);
  ValkeyCacheOptions options;
  options.tls.enabled = true;
  EXPECT_TRUE(detail::parse_uri("valkey://h", options).value().options.tls.enabled);
}

TEST(Uri, MalformedOnesAreTypedAndNeverQuoteSecrets) {
  for (const std::string uri : {
           "",
           "localhost:6379",
           "http://hunter2@h",
           "valkey://",
           "valkey://:hunter2@",
           "valkey://hunter2@h",
           "valkey://u:hunter2@h:0",
           "valkey://u:hunter2@h:65536",
           "valkey://u:hunter2@h:12x",
           "valkey://u:hunter2@h:",
           "valkey://u:hunter2@a:1:2",
           "valkey://u:hunter2@h/x",
           "valkey://u:hunter2@h/-1",
           "valkey://u:hunter2@h/1/2",
           "valkey://u:hunter2@h/99999999999",
           "valkey://u:hunter2%4@h",
           "valkey://u:hunter2%zz@h",
           "valkey://u:hunter2@[::1",
           "valkey://u:hunter2@[::1]x",
           "valkey://u:hunter2@h?db=1",
           "valkey://u:hunter2@h#f",
           "valkey://u:hunter2@ho st",
           "valkey://u:hunter2@h\n",
           "unix://h/run/a.sock",
           "unix://",
           "unix:///",
           "unix:///run/a.sock?x=1",
           "unix:///run/a.sock?db=x",
           "memory://",
       }) {
    const auto result = detail::parse_uri(uri, {});
    ASSERT_FALSE(result) << uri;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_uri) << uri;
    EXPECT_FALSE(result.error().message.empty());
    EXPECT_EQ(result.error().message.find("hunter2"), std::string::npos) << uri;
  }
}

}  // namespace
}  // namespace valkeycache::testing

namespace valkeycache::testing {
namespace {

TEST(UriOfAFleet, SchemesSayWhatIsThere) {
  const auto cluster = detail::parse_uri("valkeys+cluster://u:p@a:1,b,[::1]:3", {}).value().options;
  EXPECT_EQ(cluster.deployment, Deployment::cluster);
  EXPECT_TRUE(cluster.tls.enabled);
  EXPECT_EQ(cluster.username, "u");
  EXPECT_EQ(cluster.host, "a");
  EXPECT_EQ(cluster.port, 1);
  EXPECT_EQ(cluster.seeds, (std::vector<std::string>{"b", "[::1]:3"}));
  const auto replicated = detail::parse_uri("redis+replicated://a,b/2", {}).value().options;
  EXPECT_EQ(replicated.deployment, Deployment::replicated);
  EXPECT_EQ(replicated.database, 2);
  const auto sentinel = detail::parse_uri("valkey+sentinel://a,b:5/main", {}).value().options;
  EXPECT_EQ(sentinel.deployment, Deployment::sentinel);
  EXPECT_EQ(sentinel.port, 26379);
  EXPECT_EQ(sentinel.sentinel_name, "main");
}

TEST(UriOfAFleet, WhatIsWrongIsRefused) {
  for (const auto* uri : {"valkey+swarm://a", "+cluster://a", "valkey+://a", "unix+cluster:///a",
                          "valkey+cluster://", "valkey+cluster://a,", "valkey+cluster://a,b:x",
                          "valkey+cluster://,a", "valkey+cluster://a,,b"}) {
    EXPECT_FALSE(detail::parse_uri(uri, {})) << uri;
  }
  EXPECT_FALSE(ValkeyCache::open("valkey+cluster://a/1")) << "a cluster has database 0 only";
  EXPECT_FALSE(ValkeyCache::open("valkey://a", {.connections = 0}));
  EXPECT_FALSE(ValkeyCache::open("valkey://a", {.seeds = {"b"}}));
}

}  // namespace
}  // namespace valkeycache::testing
