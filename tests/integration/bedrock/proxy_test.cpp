// Proxies, as the environment names them.
#include <cstdlib>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "integration/bedrock/certificate_files.hpp"
#include "support/bedrock/connect_proxy.hpp"

namespace valkeycache::test {
namespace {

// Set for as long as it lives. libcurl reads the process's own environment.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  ~ScopedVariable() { unsetenv(name_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
};

struct HasFiles {
  CertificateFiles files{"IP:0.0.0.0,IP:127.0.0.1"};
};

class BedrockProxy : private HasFiles, public BedrockTest {
 protected:
  BedrockProxy()
      : BedrockTest({.certificate_file = files.certificate(), .key_file = files.key()}) {}

  // This machine under an address that does not look like it.
  [[nodiscard]] BedrockOptions afar() {
    auto made = options();
    made.endpoint = "https://0.0.0.0:" + std::to_string(server_.port());
    made.ca_file = files.certificate();
    return made;
  }
};

TEST_F(BedrockProxy, IsAskedToConnect) {
  const ConnectProxy proxy(server_.port());
  const ScopedVariable variable("HTTPS_PROXY", proxy.url());
  auto bedrock = client(afar());
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_TRUE(ok(ask(bedrock)));
  const auto requests = proxy.requests();
  ASSERT_EQ(requests.size(), 1u) << "the connection is kept";
  EXPECT_EQ(requests[0].rfind("CONNECT 0.0.0.0:" + std::to_string(server_.port()), 0), 0u);
  for (const auto* secret : {"AWS4-HMAC", "X-Amz", "Authorization"}) {
    EXPECT_EQ(requests[0].find(secret), std::string::npos) << secret;
  }
}

TEST_F(BedrockProxy, UserAndPasswordAreForTheProxyAlone) {
  const ConnectProxy proxy(server_.port());
  auto url = proxy.url();
  url.insert(7, "user:hunter2@");
  const ScopedVariable variable("https_proxy", url);
  auto bedrock = client(afar());
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_NE(proxy.requests().at(0).find("Proxy-Authorization: Basic "), std::string::npos);
  EXPECT_EQ(header_value(server_.requests().at(0).headers, "proxy-authorization"), "");
}

TEST_F(BedrockProxy, NotForHostsInNoProxy) {
  const ConnectProxy proxy(server_.port());
  const ScopedVariable variable("HTTPS_PROXY", proxy.url());
  const ScopedVariable except("NO_PROXY", "example.com,0.0.0.0");
  auto bedrock = client(afar());
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_TRUE(proxy.requests().empty());
}

TEST_F(BedrockProxy, NotForThisMachine) {
  const ConnectProxy proxy(server_.port());
  const ScopedVariable variable("HTTPS_PROXY", proxy.url());
  auto near = afar();
  near.endpoint = server_.url();
  auto bedrock = client(near);
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_TRUE(proxy.requests().empty());
}

// What is not encrypted on its way to this machine would be read by the proxy.
TEST_F(BedrockProxy, NotForATokenToThisMachineOverPlainHttp) {
  const SimulatedBedrock plain({.bearer_token = "bedrock-api-key-EXAMPLE"});
  const ConnectProxy proxy(plain.port());
  const ScopedVariable variable("http_proxy", proxy.url());
  const ScopedVariable for_all("all_proxy", proxy.url());
  for (const auto& host : {"127.0.0.1", "localhost"}) {
    auto near = options();
    near.endpoint = std::string("http://") + host + ":" + std::to_string(plain.port());
    near.bearer_token = "bedrock-api-key-EXAMPLE";
    auto bedrock = client(near);
    EXPECT_TRUE(ok(ask(bedrock, {.timeout = 20s}))) << host;
  }
  EXPECT_TRUE(proxy.requests().empty());
  EXPECT_EQ(plain.stats().answers, 2u);
}

TEST_F(BedrockProxy, ARefusalIsNoAnswerOfBedrocks) {
  {
    const ConnectProxy proxy(server_.port(), 407);
    const ScopedVariable variable("HTTPS_PROXY", proxy.url());
    auto bedrock = client(afar());
    const auto answer = ask(bedrock);
    EXPECT_TRUE(fails_with(answer, ErrorCode::transport));
    EXPECT_EQ(answer.error().http_status, 407);
    EXPECT_FALSE(answer.error().retryable);
    EXPECT_FALSE(answer.error().maybe_applied);
    EXPECT_EQ(proxy.requests().size(), 1u);
  }
  const ConnectProxy proxy(server_.port(), 503);
  const ScopedVariable variable("HTTPS_PROXY", proxy.url());
  auto bedrock = client(afar());
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::transport));
  EXPECT_TRUE(answer.error().retryable);
  EXPECT_FALSE(answer.error().maybe_applied);
  EXPECT_EQ(proxy.requests().size(), 3u);
}

}  // namespace
}  // namespace valkeycache::test
