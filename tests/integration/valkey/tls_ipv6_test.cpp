// A server that is called by an IPv6 address has to prove that one.
#include "tls_fixture.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

TEST_F(Tls, AnIpv6AddressIsProvenByTheCertificate) {
  if (!has_ipv6_loopback()) GTEST_SKIP() << "this machine has no ::1";
  ValkeyServer server({.ipv6 = true, .tls = true, .certificate = {.names = "IP:::1"}});
  const auto options = trusting(server);
  const auto uri = at("[::1]", server.tls_port());
  EXPECT_TRUE(ok(try_out(uri, options)));
  EXPECT_TRUE(ok(try_out(at("[0:0:0:0:0:0:0:1]", server.tls_port()), options)));
  EXPECT_TRUE(not_trusted(at("127.0.0.1", server.tls_port()), options, "server_name"));
  // Neither other addresses nor names prove it.
  for (const std::string names : {"IP:::2,IP:127.0.0.1,DNS:localhost", "DNS:ip6-localhost", ""}) {
    server.show(server.authority().issue({.names = names, .common_name = "::1"}));
    EXPECT_TRUE(not_trusted(uri, options, "server_name")) << names;
  }
  server.show(server.authority().issue({.names = "DNS:localhost,IP:::1"}));
  EXPECT_TRUE(ok(try_out(uri, options)));
}

}  // namespace
