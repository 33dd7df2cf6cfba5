// https: who is trusted. For how old its TLS may be, see old_tls_test.cpp.
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "integration/bedrock/certificate_files.hpp"
#include "support/valkey/child_process.hpp"

namespace valkeycache::test {
namespace {

struct HasCertificate {
  CertificateFiles files{"DNS:localhost,IP:127.0.0.1"};
};

class BedrockTls : private HasCertificate, public BedrockTest {
 protected:
  explicit BedrockTls(SimulatedBedrockOptions server = {.bearer_token = "bedrock-api-key-EXAMPLE"})
      : BedrockTest(with(files, std::move(server))) {}
  [[nodiscard]] std::string certificate() const { return files.certificate(); }
  [[nodiscard]] BedrockOptions trusting() {
    auto options = this->options();
    options.ca_file = certificate();
    return options;
  }

 private:
  static SimulatedBedrockOptions with(const CertificateFiles& files,
                                      SimulatedBedrockOptions server) {
    server.certificate_file = files.certificate();
    server.key_file = files.key();
    return server;
  }
};

TEST_F(BedrockTls, ATrustedCertificate) {
  auto options = trusting();
  auto bedrock = client(options);
  EXPECT_TRUE(ok(ask(bedrock)));
  options.bearer_token = "bedrock-api-key-EXAMPLE";
  auto with_token = client(options);
  EXPECT_TRUE(ok(ask(with_token)));
}

TEST_F(BedrockTls, TrustFromTheEnvironment) {
  variables_["AWS_CA_BUNDLE"] = certificate();
  auto bedrock = client();
  EXPECT_TRUE(ok(ask(bedrock)));
}

TEST_F(BedrockTls, TrustFromTheProfile) {
  const CertificateFiles other;
  const TemporaryFolder folder;
  variables_["AWS_CONFIG_FILE"] = folder.path() + "/config";
  const auto profiles = [&](const std::string& settings, const std::string& of_others) {
    std::ofstream(folder.path() + "/config")
        << "[default]\n" + settings + "\n[profile other]\n" + of_others + "\n";
  };
  const auto outcome = [this](BedrockOptions with) {
    auto bedrock = client(std::move(with));
    return ask(bedrock);
  };
  const auto ours = "ca_bundle = " + certificate();
  const auto foreign = "ca_bundle = " + other.certificate();

  profiles("", ours);
  EXPECT_TRUE(fails_with(outcome(options()), ErrorCode::transport)) << "another profile's";
  EXPECT_EQ(server_.calls(), 0u);
  profiles(ours, foreign);
  EXPECT_TRUE(ok(outcome(options())));
  auto by_other = options();
  by_other.profile = "other";
  EXPECT_TRUE(fails_with(outcome(by_other), ErrorCode::transport));

  profiles(foreign, "");
  EXPECT_TRUE(ok(outcome(trusting()))) << "the option goes first";
  EXPECT_TRUE(fails_with(outcome(options()), ErrorCode::transport));
  variables_["AWS_CA_BUNDLE"] = certificate();
  EXPECT_TRUE(ok(outcome(options()))) << "and then the environment";
  variables_.erase("AWS_CA_BUNDLE");

  profiles("ca_bundle = " + folder.path() + "/gone", "");
  const auto refused = try_client(options());
  ASSERT_TRUE(fails_with(refused, ErrorCode::invalid_argument));
  EXPECT_NE(refused.error().message.find("the profile's ca_bundle"), std::string::npos);
}

TEST_F(BedrockTls, AnUnknownCertificateIsRefused) {
  auto bedrock = client();
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::transport));
  EXPECT_FALSE(answer.error().retryable);
  EXPECT_FALSE(answer.error().maybe_applied);
  EXPECT_EQ(server_.calls(), 0u);
}

TEST_F(BedrockTls, PlainHttpToATlsPortFails) {
  auto plain = options();
  plain.endpoint.replace(0, 5, "http");
  auto bedrock = client(plain);
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::transport));
  EXPECT_EQ(server_.calls(), 0u);
}

TEST_F(BedrockTls, ManyCalls) {
  auto bedrock = client(trusting());
  std::vector<Future<Completion>> futures;
  for (int i = 0; i < 40; ++i) futures.push_back(bedrock.complete(ChatRequest("x")));
  for (auto& future : futures) EXPECT_TRUE(ok(future.get()));
}

class BedrockTlsHttp1 : public BedrockTls {
 protected:
  BedrockTlsHttp1() : BedrockTls({.http2 = false}) {}
};

TEST_F(BedrockTlsHttp1, AServerWithoutHttp2HasAConnectionForEachCall) {
  auto bedrock = client(trusting());
  EXPECT_TRUE(ok(ask(bedrock)));
  server_.hold();
  auto first = bedrock.complete(ChatRequest("a"));
  auto second = bedrock.complete(ChatRequest("b"));
  EXPECT_TRUE(wait_until([this] { return server_.stats().in_flight == 2; }));
  EXPECT_EQ(server_.stats().connections, 2u);
  server_.release();
  EXPECT_TRUE(ok(first.get()));
  EXPECT_TRUE(ok(second.get()));
  EXPECT_TRUE(ok(bedrock.stream(ChatRequest("c"), [](const StreamEvent&) {}).get()));
}

struct HasForeignCertificate {
  CertificateFiles files{"DNS:elsewhere.example"};
};

class BedrockForeignTls : private HasForeignCertificate, public BedrockTest {
 protected:
  BedrockForeignTls()
      : BedrockTest({.certificate_file = files.certificate(), .key_file = files.key()}) {}
  [[nodiscard]] std::string certificate() const { return files.certificate(); }
};

TEST_F(BedrockForeignTls, ACertificateForAnotherHostIsRefused) {
  auto trusting = options();
  trusting.ca_file = certificate();
  auto bedrock = client(trusting);
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::transport));
  EXPECT_EQ(server_.calls(), 0u);
}

}  // namespace
}  // namespace valkeycache::test
