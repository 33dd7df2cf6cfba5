// Opening: addresses, options, and what is wrong with them.
#include <unistd.h>

#include "contract.hpp"
#include "support/valkey/fake_server.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

using Found = std::optional<std::string>;

// --- addresses that are wrong ------------------------------------------------------------------

struct BadUri {
  const char* uri;
  const char* says;  // a word of the message
};

class BadUris : public testing::TestWithParam<BadUri> {};

TEST_P(BadUris, AreTypedErrorsThatNameTheFault) {
  const auto opened = ValkeyCache::open(GetParam().uri, patient_options());
  ASSERT_TRUE(fails_with(opened, {ErrorCode::invalid_uri, ErrorCode::invalid_argument}))
      << GetParam().uri;
  const auto& error = opened.error();
  EXPECT_NE(error.message.find(GetParam().says), std::string::npos)
      << GetParam().uri << ": " << error.message;
  EXPECT_EQ(error.message.find("hunter2"), std::string::npos) << error.message;
  EXPECT_FALSE(error.retryable);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadUris,
    testing::Values(
        BadUri{"", "scheme"}, BadUri{"localhost", "scheme"}, BadUri{"localhost:6379", "scheme"},
        BadUri{"//localhost", "scheme"}, BadUri{"://localhost", "scheme"},
        BadUri{"valkey:localhost", "scheme"}, BadUri{"valkey:/localhost", "scheme"},
        BadUri{"http://localhost:6379", "scheme"}, BadUri{"file:///etc/passwd", "scheme"},
        BadUri{"valkey ://localhost", ""}, BadUri{"valkey://", "host"},
        BadUri{"valkey:///", "host"}, BadUri{"valkey://:6379", "host"},
        BadUri{"valkey:///3", "host"}, BadUri{"valkey://:hunter2@", "host"},
        BadUri{"valkey://user:hunter2@:6379", "host"}, BadUri{"valkey://localhost:", "port"},
        BadUri{"valkey://localhost:0", "port"}, BadUri{"valkey://localhost:-1", "port"},
        BadUri{"valkey://localhost:+6379", "port"}, BadUri{"valkey://localhost:65536", "port"},
        BadUri{"valkey://localhost:99999999999999999999", "port"},
        BadUri{"valkey://localhost:6379x", "port"}, BadUri{"valkey://localhost:0x10", "port"},
        BadUri{"valkey://localhost:port", "port"}, BadUri{"valkey://localhost:6379:6380", "host"},
        BadUri{"valkey://localhost/db", "database"}, BadUri{"valkey://localhost/-1", "database"},
        BadUri{"valkey://localhost/1/2", "database"}, BadUri{"valkey://localhost/0x1", "database"},
        BadUri{"valkey://localhost/99999999999", "database"}, BadUri{"valkey://localhost/1 ", ""},
        BadUri{"valkey://local host", ""}, BadUri{"valkey://localhost\r\n", ""},
        BadUri{"valkey://localhost?timeout=5", "query"}, BadUri{"valkey://localhost/0#part", "#"},
        BadUri{"valkey://user:hunter2%@localhost", "%"},
        BadUri{"valkey://user:hunter2%4@localhost", "%"},
        BadUri{"valkey://user:hunter2%zz@localhost", "%"}, BadUri{"valkey://us%er:hunter2@h", "%"},
        BadUri{"valkey://hunter2#x:y@localhost", "#"}, BadUri{"valkey://[::1", "]"},
        BadUri{"valkey://[::1]6379", "]"}, BadUri{"valkey://[]:6379", "host"},
        BadUri{"valkey://[::1]:", "port"}, BadUri{"valkey://::1:6379", "bracket"},
        BadUri{"valkey://user:hunter2@host@other:1:2", "host"},
        BadUri{"valkey://user@localhost", "password"},
        BadUri{"valkey://user:@localhost", "password"}, BadUri{"unix://", "path"},
        BadUri{"unix:///", "path"}, BadUri{"unix://relative", "path"},
        BadUri{"unix://host/path", "host"}, BadUri{"unix:///path?db=x", "database"},
        BadUri{"unix:///path?db=-1", "database"}, BadUri{"unix:///path?db=", "database"},
        BadUri{"unix:///path?other=1", "query"}, BadUri{"unix:///pa%th", ""},
        BadUri{"memory://", "name"}, BadUri{"memory://x?y=z", "query"}));

TEST(Open, AUriMayNotHoldANul) {
  using namespace std::string_view_literals;
  for (const auto uri : {"valkey://local\0host"sv, "valkey://localhost\0"sv, "unix:///a\0b"sv,
                         "unix:///a%00b"sv, "valkey://a%00b"sv}) {
    EXPECT_TRUE(fails_with(ValkeyCache::open(uri, patient_options()),
                           {ErrorCode::invalid_uri, ErrorCode::invalid_argument}))
        << uri;
  }
}

// --- options that are wrong --------------------------------------------------------------------

TEST(Open, BadOptionsNameTheField) {
  const auto message_of = [](auto change, const char* uri = nullptr) {
    auto options = patient_options();
    change(options);
    const auto opened = uri ? ValkeyCache::open(uri, options) : ValkeyCache::open(options);
    EXPECT_TRUE(fails_with(opened, ErrorCode::invalid_argument));
    return opened ? std::string() : opened.error().message;
  };
  using Options = ValkeyCacheOptions;
  const auto says = [](const std::string& message, const char* field) {
    EXPECT_NE(message.find(field), std::string::npos) << message;
  };
  says(message_of([](Options& o) { o.prefix = ""; }), "prefix");
  says(message_of([](Options& o) { o.prefix = ""; }, "memory://x"), "prefix");
  says(message_of([](Options& o) { o.ttl = 0s; }), "ttl");
  says(message_of([](Options& o) { o.host = ""; }), "host");
  says(message_of([](Options& o) { o.host = std::string("a\0b", 3); }), "host");
  says(message_of([](Options& o) { o.port = 0; }), "port");
  says(message_of([](Options& o) { o.database = -1; }), "database");
  says(message_of([](Options& o) { o.client_name = "two words"; }), "client_name");
  says(message_of([](Options& o) { o.client_name = "line\n"; }), "client_name");
  says(message_of([](Options& o) { o.username = "user"; }), "password");
  says(message_of([](Options& o) { o.unix_socket = std::string(108, 'x'); }), "unix_socket");
  says(message_of([](Options& o) { o.connect_timeout = 0ms; }), "connect_timeout");
  says(message_of([](Options& o) { o.command_timeout = -1ms; }), "command_timeout");
  says(message_of([](Options& o) { o.reconnect_base = -1ms; }), "reconnect_base");
  says(message_of([](Options& o) { o.close_timeout = -1ms; }), "close_timeout");
  says(message_of([](Options& o) { o.max_queued_commands = 0; }), "max_queued_commands");
  says(message_of([](Options& o) { o.max_value_bytes = 0; }), "max_value_bytes");
}

TEST(Open, TimesThatAreFarTooLongDoNotOverflow) {
  auto options = patient_options();
  options.connect_timeout = std::chrono::milliseconds::max();
  options.command_timeout = std::chrono::milliseconds::max();
  options.reconnect_base = std::chrono::milliseconds::max();
  options.reconnect_cap = std::chrono::milliseconds::max();
  options.close_timeout = std::chrono::milliseconds::max();
  {
    const auto cache = ValkeyCache::open(shared_server().uri(), options).value();
    ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
    EXPECT_EQ(cache.clear().get().value(), 1U);
  }
  const auto nowhere = ValkeyCache::open("valkey://127.0.0.1:1", options).value();
  EXPECT_TRUE(wait_until([&] { return nowhere.stats().connect_failures > 0; }));
}

// --- addresses that are right ------------------------------------------------------------------

class GoodUris : public testing::Test {
 protected:
  static void works(const std::string& uri, ValkeyCacheOptions options = patient_options()) {
    const auto cache = ValkeyCache::open(uri, std::move(options));
    ASSERT_TRUE(ok(cache)) << uri;
    ASSERT_TRUE(ok(cache->set(key_of("k"), uri).get())) << uri;
    EXPECT_EQ(cache->get(key_of("k")).get().value(), Found(uri));
    EXPECT_EQ(cache->clear().get().value(), 1U);
  }
  std::string port = std::to_string(shared_server().port());
};

TEST_F(GoodUris, ByNameAndNumber) {
  works("valkey://127.0.0.1:" + port);
  works("redis://127.0.0.1:" + port);
  works("valkey://localhost:" + port);
  works("valkey://127.0.0.1:" + port + "/");
  works("valkey://127.0.0.1:" + port + "/0");
  works("valkey://127.0.0.1:" + port + "/15");
  works("valkey://localhost:" + port + "/7");
}

TEST_F(GoodUris, TheUriGoesBeforeTheOptions) {
  auto options = patient_options();
  options.host = "no-such-host.invalid";
  options.port = 1;
  options.unix_socket = "/no/such/socket";
  works("valkey://127.0.0.1:" + port, options);
  works(shared_server().unix_uri(), options);
}

TEST_F(GoodUris, OptionsAlone) {
  auto options = patient_options();
  options.host = "127.0.0.1";
  options.port = shared_server().port();
  const auto by_tcp = ValkeyCache::open(options).value();
  ASSERT_TRUE(ok(by_tcp.set(key_of("k"), "v").get()));
  options.host = "no-such-host.invalid";
  options.unix_socket = shared_server().unix_path();
  const auto by_socket = ValkeyCache::open(options).value();
  EXPECT_EQ(by_socket.get(key_of("k")).get().value(), Found("v"));
}

TEST_F(GoodUris, UnixPathsArePercentDecoded) {
  const std::string link = shared_server().folder() + "/a b?c";
  ASSERT_EQ(symlink(shared_server().unix_path().c_str(), link.c_str()), 0);
  works("unix://" + shared_server().folder() + "/a%20b%3fc");
  works("unix://" + shared_server().folder() + "/a%20b%3Fc?db=3");
}

TEST_F(GoodUris, Ipv6) {
  if (!has_ipv6_loopback()) GTEST_SKIP() << "this machine has no ::1";
  const ValkeyServer server({.ipv6 = true});
  works("valkey://[::1]:" + std::to_string(server.port()));
  works("valkey://[::1]:" + std::to_string(server.port()) + "/2");
}

TEST_F(GoodUris, Passwords) {
  const std::string awkward = "p@ss:w/o?r#d%&=\xc3\xa4";
  const ValkeyServer server(
      {.config = {"user alice on >alice-pass ~* +@all", "user al@ice on >x:y ~* +@all"},
       .password = awkward});
  const std::string at = "@127.0.0.1:" + std::to_string(server.port());
  works("valkey://:p%40ss%3Aw%2Fo%3Fr%23d%25%26%3D%c3%a4" + at);
  works("valkey://default:p%40ss%3aw%2fo%3fr%23d%25%26%3d%C3%A4" + at + "/4");
  works("redis://alice:alice-pass" + at);
  works("valkey://al%40ice:x%3Ay" + at);
  // A ':' behind the first one belongs to the password.
  works("valkey://al%40ice:x:y" + at);
  auto options = patient_options();
  options.username = "alice";
  options.password = "alice-pass";
  works("valkey://127.0.0.1:" + std::to_string(server.port()), options);
}

TEST_F(GoodUris, OpeningDoesNotWaitForTheServer) {
  // Addresses where nothing listens, that do not exist, or whose server is silent.
  FakeServer silent([](FakeConnection& connection) { connection.swallow(); });
  for (const std::string& uri :
       {std::string("valkey://127.0.0.1:1"), std::string("valkey://no-such-host.invalid"),
        std::string("unix:///no/such/socket"), silent.uri()}) {
    const auto cache = ValkeyCache::open(uri, patient_options());
    ASSERT_TRUE(ok(cache)) << uri;
    EXPECT_FALSE(cache->connected());
    EXPECT_EQ(cache->stats().protocol, 0);
  }
}

}  // namespace
