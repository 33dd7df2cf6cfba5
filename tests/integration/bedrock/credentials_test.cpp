// A client that finds its credentials by itself.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "support/bedrock/credential_services.hpp"
#include "support/valkey/child_process.hpp"

namespace valkeycache::test {
namespace {

class BedrockCredentials : public BedrockTest {
 protected:
  BedrockCredentials() {
    services_.on_issue([this](const std::string& id, const KnownCaller& caller) {
      server_.add_caller(id, caller);
    });
    services_.add_caller(simulated_access_key, {simulated_secret_key, ""});
    variables_ = {{"HOME", folder_.path()},
                  {"AWS_REGION", "eu-west-1"},
                  {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server_.url()},
                  {"AWS_ENDPOINT_URL_STS", services_.url()},
                  {"AWS_EC2_METADATA_SERVICE_ENDPOINT", services_.url()}};
  }
  ~BedrockCredentials() override { services_.on_issue({}); }

  [[nodiscard]] std::string file(const std::string& name, const std::string& text) const {
    const auto path = folder_.path() + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  [[nodiscard]] BedrockClient searching_client() {
    return client({.model = sonnet, .log = log_.hook()});
  }
  // The key id that signed the last request.
  [[nodiscard]] std::string signer() const {
    const auto requests = server_.requests();
    return requests.empty() ? "nobody" : signer_of(requests.back());
  }
  [[nodiscard]] static std::string signer_of(const ReceivedRequest& request) {
    const auto authorization = header_value(request.headers, "authorization");
    const auto from = authorization.find("Credential=") + 11;
    return authorization.substr(from, authorization.find('/') - from);
  }

  TemporaryFolder folder_;
  CredentialServices services_;
};

TEST_F(BedrockCredentials, EachSourceServesCalls) {
  const std::string role = std::string("[default]\nrole_arn = ") + simulated_role + "\n";
  const std::vector<std::pair<std::string, std::function<void()>>> sources{
      {"instance metadata",
       [] {
       }},
      {"container",
       [this] {
         variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = services_.container_url();
       }},
      {"web identity",
       [this] {
         variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = file("token", web_identity_token);
         variables_["AWS_ROLE_ARN"] = simulated_role;
       }},
      {"role",
       [&] {
         static_cast<void>(file(".aws/config", role + "source_profile = base\n"));
         static_cast<void>(file(".aws/credentials",
                                std::string("[base]\naws_access_key_id = ") + simulated_access_key +
                                    "\naws_secret_access_key = " + simulated_secret_key + "\n"));
       }},
      {"web identity of a profile", [&] {
         static_cast<void>(file(".aws/config",
                                role + "web_identity_token_file = " + folder_.path() + "/token\n"));
       }}};
  int number = 0;
  for (const auto& [name, prepare] : sources) {
    SCOPED_TRACE(name);
    prepare();
    auto bedrock = searching_client();
    EXPECT_TRUE(ok(ask(bedrock)));
    EXPECT_TRUE(ok(ask(bedrock)));
    EXPECT_EQ(services_.issued(), ++number) << "asked for once";
    EXPECT_EQ(signer(), "ASIA" + std::to_string(number));
  }
  static_cast<void>(file(
      ".aws/config", "[default]\ncredential_process = sh " +
                         file("command", std::string("echo '{\"Version\":1,\"AccessKeyId\":\"") +
                                             simulated_access_key + "\",\"SecretAccessKey\":\"" +
                                             simulated_secret_key + "\"}'") +
                         "\n"));
  auto bedrock = searching_client();
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(signer(), simulated_access_key);
}

TEST_F(BedrockCredentials, AHundredCallsSearchOnce) {
  auto bedrock = searching_client();
  std::vector<Future<Completion>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(bedrock.complete(ChatRequest("x")));
  for (auto& future : futures) EXPECT_TRUE(ok(future.get()));
  EXPECT_EQ(services_.issued(), 1);
  EXPECT_EQ(services_.requests().size(), 3u) << "session, role, credentials";
}

TEST_F(BedrockCredentials, RenewedWhileTheOldOnesServe) {
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = services_.container_url();
  services_.set_lifetime(200s);  // so short that they are to be renewed from the first use on
  Gate gate;
  services_.on_issue([&](const std::string& id, const KnownCaller& caller) {
    server_.add_caller(id, caller);
    if (id != "ASIA1") gate.wait();
  });
  auto bedrock = searching_client();
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_TRUE(wait_until([this] { return services_.requests().size() >= 2; }));
  std::vector<Future<Completion>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(bedrock.complete(ChatRequest("x")));
  for (auto& future : futures) EXPECT_TRUE(ok(future.get()));
  for (const auto& request : server_.requests()) EXPECT_EQ(signer_of(request), "ASIA1");
  gate.open();
  EXPECT_TRUE(wait_until([&] { return ok(ask(bedrock)) && signer() != "ASIA1"; }));
  // Were the gate opened late, the renewal's attempts would time out; but no call begins its own.
  EXPECT_LT(services_.requests().size(), 20u);
}

TEST_F(BedrockCredentials, ExpiredOnesAreRenewedOnce) {
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = file("token", web_identity_token);
  variables_["AWS_ROLE_ARN"] = simulated_role;
  auto bedrock = searching_client();
  EXPECT_TRUE(ok(ask(bedrock)));
  server_.expire_token("token-1");
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(signer(), "ASIA2");
  EXPECT_EQ(services_.issued(), 2);
  server_.expire_token("token-2");
  server_.expire_token("token-3");
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::credentials));
  EXPECT_EQ(answer.error().server_code, "ExpiredTokenException");
  EXPECT_EQ(services_.issued(), 3);
}

TEST_F(BedrockCredentials, MetadataThatFailDoNotStopAProgram) {
  services_.set_lifetime(-60s);  // the service hands out what has ended
  auto bedrock = searching_client();
  EXPECT_TRUE(ok(ask(bedrock)));
  services_.set_rule(HttpAnswer{.status = 400});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(signer(), "ASIA1");
}

TEST_F(BedrockCredentials, TheRegionIsTheInstancesWhereNobodyNamesOne) {
  variables_.erase("AWS_REGION");
  auto bedrock = searching_client();
  EXPECT_EQ(bedrock.cache_identity().scope.rfind("converse|eu-central-1", 0), 0u)
      << bedrock.cache_identity().scope;
  EXPECT_TRUE(ok(ask(bedrock)));
  variables_["AWS_EC2_METADATA_DISABLED"] = "true";
  EXPECT_TRUE(fails_with(try_client({.model = sonnet}), ErrorCode::invalid_argument));
}

TEST_F(BedrockCredentials, ClosingEndsTheSearch) {
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = file("token", web_identity_token);
  variables_["AWS_ROLE_ARN"] = simulated_role;
  services_.set_rule(HttpAnswer{.hang = true});
  Future<Completion> future;
  {
    auto bedrock = searching_client();
    future = bedrock.complete(ChatRequest("x"));
    EXPECT_TRUE(wait_until([this] { return services_.requests().size() == 1; }));
  }
  EXPECT_TRUE(fails_with(future.get(), ErrorCode::closed));
  EXPECT_EQ(services_.requests().size(), 1u);
}

TEST_F(BedrockCredentials, ClosingEndsACommand) {
  const auto told = folder_.path() + "/pid";
  static_cast<void>(file(".aws/config", "[default]\ncredential_process = echo $$ > " + told +
                                            ".new; mv " + told + ".new " + told +
                                            "; exec sleep 60\n"));
  Future<Completion> future;
  pid_t command = 0;
  {
    auto bedrock = searching_client();
    future = bedrock.complete(ChatRequest("x"));
    ASSERT_TRUE(wait_until([&] { return bool(std::ifstream(told) >> command); }));
    EXPECT_EQ(kill(command, 0), 0);
  }
  EXPECT_TRUE(fails_with(future.get(), ErrorCode::closed));
  EXPECT_TRUE(wait_until([&] { return kill(command, 0) != 0; }));
}

}  // namespace
}  // namespace valkeycache::test
