// Each source of credentials against simulations on loopback.

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "aws/container_credentials.hpp"
#include "aws/credentials.hpp"
#include "aws/http_fetch.hpp"
#include "aws/instance_metadata.hpp"
#include "aws/profile_credentials.hpp"
#include "aws/web_identity.hpp"
#include "support/bedrock/credential_services.hpp"
#include "support/bedrock/simulated_bedrock.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/expect.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::test {
namespace {

using namespace std::chrono_literals;
using detail::SourceAnswer;
using detail::SourceContext;

const HttpAnswer broken{.status = 500, .body = "hunter2"};
const HttpAnswer hanging{.hang = true};

class CredentialSources : public testing::Test {
 protected:
  CredentialSources() {
    variables_["HOME"] = folder_.path();
    variables_["AWS_ENDPOINT_URL_STS"] = services_.url();
    services_.add_caller(simulated_access_key, {simulated_secret_key, ""});
  }

  [[nodiscard]] std::string file(const std::string& name, const std::string& text) const {
    const auto path = folder_.path() + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  void config(const std::string& text) const { static_cast<void>(file(".aws/config", text)); }

  [[nodiscard]] SourceContext context() const {
    return {.environment = [this](std::string_view name) -> std::optional<std::string> {
              const auto found = variables_.find(std::string(name));
              if (found == variables_.end()) return std::nullopt;
              return found->second;
            },
            .profile = profile_,
            .region = "eu-west-1",
            .stop = stop_.get_token(),
            .container_host = services_.url() + "/container",
            .instance_memory = memory_};
  }
  // The id that a source gives, or why there is none. No secret shows in the latter.
  [[nodiscard]] static std::string outcome(const SourceAnswer& answer) {
    if (answer.credentials) {
      EXPECT_FALSE(detail::check_credentials(*answer.credentials));
      return answer.credentials->access_key_id;
    }
    EXPECT_EQ(answer.why.find("hunter2"), std::string::npos) << answer.why;
    EXPECT_EQ(answer.why.find(simulated_secret_key), std::string::npos) << answer.why;
    return (answer.ends_search ? "end: " : "go on: ") + answer.why;
  }
  [[nodiscard]] std::string by_profile() const {
    return outcome(detail::profile_source(context()).look());
  }
  [[nodiscard]] std::string by_web_identity() const {
    return outcome(detail::web_identity_source(context()).look());
  }
  [[nodiscard]] std::string by_container() const {
    return outcome(detail::container_source(context()).look());
  }
  [[nodiscard]] std::string by_instance() const {
    return outcome(detail::instance_source(context()).look());
  }
  static void expect_begins(const std::string& text, const std::string& beginning) {
    EXPECT_EQ(text.substr(0, beginning.size()), beginning) << text;
  }
  static void expect_holds(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }

  TemporaryFolder folder_;
  CredentialServices services_;
  std::map<std::string, std::string> variables_;
  std::string profile_;
  std::stop_source stop_;
  std::shared_ptr<detail::InstanceMemory> memory_ = std::make_shared<detail::InstanceMemory>();
};

// --- profiles -----------------------------------------------------------------------------------

const std::string keys_of_a_caller = std::string("aws_access_key_id = ") + simulated_access_key +
                                     "\naws_secret_access_key = " + simulated_secret_key + "\n";
const std::string role_line = std::string("role_arn = ") + simulated_role + "\n";

TEST_F(CredentialSources, RoleByAnotherProfile) {
  config("[default]\n" + role_line +
         "source_profile = base\nrole_session_name = me@here\nexternal_id = a b&c=d\n"
         "duration_seconds = 900\n[profile base]\n" +
         keys_of_a_caller);
  EXPECT_EQ(by_profile(), "ASIA1");
  const auto request = services_.requests().at(0);
  const auto form = form_parameters(request.body);
  EXPECT_EQ(form.at("Action"), "AssumeRole");
  EXPECT_EQ(form.at("RoleArn"), simulated_role);
  EXPECT_EQ(form.at("RoleSessionName"), "me@here");
  EXPECT_EQ(form.at("ExternalId"), "a b&c=d");
  EXPECT_EQ(form.at("DurationSeconds"), "900");
  EXPECT_NE(header_value(request.headers, "authorization").find("/eu-west-1/sts/aws4_request"),
            std::string::npos);
  const auto answer = detail::profile_source(context()).look();
  ASSERT_TRUE(answer.credentials);
  EXPECT_EQ(answer.credentials->session_token, "token-2");
  EXPECT_TRUE(answer.credentials->expires);
}

TEST_F(CredentialSources, RolesInAChain) {
  config("[default]\n" + role_line + "source_profile = middle\n[profile middle]\n" + role_line +
         "source_profile = base\n[profile base]\n" + keys_of_a_caller);
  EXPECT_EQ(by_profile(), "ASIA2");
  const auto second = services_.requests().at(1);
  EXPECT_EQ(header_value(second.headers, "x-amz-security-token"), "token-1");
  expect_begins(form_parameters(second.body).at("RoleSessionName"), "valkeycache-");
}

TEST_F(CredentialSources, RoleByItsOwnKeys) {
  config("[default]\n" + role_line + "source_profile = default\n" + keys_of_a_caller);
  EXPECT_EQ(by_profile(), "ASIA1");
}

TEST_F(CredentialSources, RolesInACircle) {
  config("[default]\n" + role_line + "source_profile = a\n[profile a]\n" + role_line +
         "source_profile = default\n");
  expect_holds(by_profile(), "'default' is reached again");
  config("[default]\n" + role_line + "source_profile = default\n");
  expect_holds(by_profile(), "'default' is reached again");
  std::string chain = "[default]\n" + role_line + "source_profile = p0\n";
  for (int i = 0; i < 2000; ++i) {
    chain += "[profile p" + std::to_string(i) + "]\n" + role_line + "source_profile = p" +
             std::to_string(i + 1) + "\n";
  }
  config(chain);
  expect_holds(by_profile(), "longer than 8");
  EXPECT_EQ(services_.requests().size(), 0u);
}

TEST_F(CredentialSources, RoleByCredentialSource) {
  config("[default]\n" + role_line + "credential_source = Environment\n");
  expect_holds(by_profile(), "AWS_ACCESS_KEY_ID is not set");
  variables_["AWS_ACCESS_KEY_ID"] = simulated_access_key;
  variables_["AWS_SECRET_ACCESS_KEY"] = simulated_secret_key;
  EXPECT_EQ(by_profile(), "ASIA1");

  config("[default]\n" + role_line + "credential_source = EcsContainer\n");
  expect_holds(by_profile(), "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = services_.container_url();
  EXPECT_EQ(by_profile(), "ASIA3") << "2 is the container's";

  config("[default]\n" + role_line + "credential_source = Ec2InstanceMetadata\n");
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = services_.url();
  EXPECT_EQ(by_profile(), "ASIA5");

  config("[default]\n" + role_line + "credential_source = Somewhere\n");
  expect_holds(by_profile(), "Ec2InstanceMetadata");
}

TEST_F(CredentialSources, WhatAProfileMayNotSay) {
  const auto refused = [this](const std::string& text, const std::string& part) {
    config("[default]\n" + text);
    const auto why = by_profile();
    expect_begins(why, "end: profile 'default' ");
    expect_holds(why, part);
  };
  refused(role_line, "without a source_profile");
  refused(role_line + "source_profile = a\ncredential_source = Environment\n", "both");
  refused(role_line + "source_profile = gone\n", "there is no profile 'gone'");
  refused(
      role_line + "source_profile = default\nmfa_serial = m\n",
      "credential_process = aws configure export-credentials --profile default --format process");
  refused("sso_session = s\n", "(sso_session)");
  refused("sso_start_url = s\n", "export-credentials");
  refused("login_session = s\n", "(login_session)");
  refused("web_identity_token_file = /gone\n", "without a role_arn");
  refused(role_line + "web_identity_token_file = /gone\n", "/gone is not there");
  refused("role_arn = hunter2\nsource_profile = default\n" + keys_of_a_caller, "not an ARN");
  refused(role_line + "duration_seconds = 10\nsource_profile = default\n" + keys_of_a_caller,
          "duration_seconds");
  refused(role_line + "role_session_name = a b\nsource_profile = default\n" + keys_of_a_caller,
          "session name");
  refused("credential_process = echo hunter2; exit 1\n", "credential_process ended with status 1");
  EXPECT_EQ(services_.requests().size(), 0u);
  config("[default]\nregion = x\n");
  expect_begins(by_profile(), "go on: profile 'default' has no aws_access_key_id");
}

TEST_F(CredentialSources, ProfileWithWebIdentity) {
  config("[profile pod]\n" + role_line +
         "web_identity_token_file = " + file("token", web_identity_token) + "\n");
  profile_ = "pod";
  EXPECT_EQ(by_profile(), "ASIA1");
}

TEST_F(CredentialSources, ProfileWithCommand) {
  const auto script = file("command", R"(echo '{"Version":1,"AccessKeyId":"'$1'","SecretAccessKey":
      "hunter2","SessionToken":"t","Expiration":"2099-01-01T00:00:00Z"}')");
  config("[default]\ncredential_process = sh \"" + script + "\" PROCESS\n");
  EXPECT_EQ(by_profile(), "PROCESS");
  config("[default]\n" + role_line +
         "source_profile = base\n[profile base]\ncredential_process = sh " +
         file("caller", std::string("echo '{\"Version\":1,\"AccessKeyId\":\"") +
                            simulated_access_key + "\",\"SecretAccessKey\":\"" +
                            simulated_secret_key + "\"}'") +
         "\n");
  EXPECT_EQ(by_profile(), "ASIA1") << "as the source of a role";
}

// --- STS ----------------------------------------------------------------------------------------

class StsSources : public CredentialSources {
 protected:
  StsSources() {
    variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] =
        file("token", std::string(web_identity_token) + "\n");
    variables_["AWS_ROLE_ARN"] = simulated_role;
  }
};

TEST_F(StsSources, WebIdentityByEnvironment) {
  variables_["AWS_ROLE_SESSION_NAME"] = "pod-1";
  EXPECT_EQ(by_web_identity(), "ASIA1");
  const auto request = services_.requests().at(0);
  EXPECT_EQ(form_parameters(request.body).at("RoleSessionName"), "pod-1");
  EXPECT_EQ(header_value(request.headers, "authorization"), "") << "unsigned";

  static_cast<void>(file("token", "another"));
  expect_holds(by_web_identity(), "status 400 InvalidIdentityToken");
  static_cast<void>(file("token", "\n"));
  expect_holds(by_web_identity(), "is empty");
  static_cast<void>(file("token", std::string(70000, 'x')));
  expect_holds(by_web_identity(), "cannot be read");
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/gone";
  EXPECT_EQ(by_web_identity(), "end: the web identity token file /gone is not there");
  variables_.erase("AWS_ROLE_ARN");
  EXPECT_EQ(by_web_identity(), "end: AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
  variables_.erase("AWS_WEB_IDENTITY_TOKEN_FILE");
  EXPECT_EQ(by_web_identity(), "go on: AWS_WEB_IDENTITY_TOKEN_FILE is not set");
}

TEST_F(StsSources, PassingFaultsPass) {
  services_.add_fault("/", broken);
  services_.add_fault("/", {.raw = ""});
  EXPECT_EQ(by_web_identity(), "ASIA1");
  EXPECT_EQ(services_.requests().size(), 3u);
  services_.add_fault("/", broken, 3);
  expect_holds(by_web_identity(), "status 500");
}

TEST_F(StsSources, ThrottlingPassesThoughItsStatusSaysOtherwise) {
  const auto failing = [](const std::string& code) {
    return HttpAnswer{.status = 400,
                      .body = "<ErrorResponse><Error><Code>" + code +
                              "</Code><Message>hunter2</Message></Error></ErrorResponse>"};
  };
  services_.add_fault("/", failing("Throttling"));
  services_.add_fault("/", failing("IDPCommunicationError"));
  EXPECT_EQ(by_web_identity(), "ASIA1");
  EXPECT_EQ(services_.requests().size(), 3u);
  services_.add_fault("/", failing("Throttling"), 3);
  expect_holds(by_web_identity(), "status 400 Throttling");
  services_.add_fault("/", failing("MalformedPolicyDocument"));
  expect_holds(by_web_identity(), "status 400 MalformedPolicyDocument");
  EXPECT_EQ(services_.requests().size(), 7u) << "a lasting one is not asked for again";
}

TEST_F(StsSources, RefusalsAreTold) {
  variables_["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/other";
  const auto why = by_web_identity();
  expect_holds(why, "AssumeRoleWithWebIdentity for arn:aws:iam::123456789012:role/other");
  expect_holds(why, "status 403 AccessDenied");
  EXPECT_EQ(services_.requests().size(), 1u) << "a refusal is not asked for twice";
  config("[default]\n" + std::string("role_arn = ") + simulated_role +
         "\nsource_profile = default\naws_access_key_id = " + simulated_access_key +
         "\naws_secret_access_key = hunter2\n");
  expect_holds(by_profile(), "status 403 SignatureDoesNotMatch");
}

TEST_F(StsSources, StrangeAnswers) {
  const auto expect_strange = [this](HttpAnswer answer, const std::string& part) {
    services_.set_rule(std::move(answer));
    expect_holds(by_web_identity(), part);
  };
  expect_strange({.body = "hunter2"}, "not well-formed XML");
  expect_strange({.body = "<a/>"}, "has no 'AccessKeyId'");
  expect_strange({.body = std::string(70000, 'x')}, "too large");
  expect_strange({.raw = "hunter2 is no HTTP\r\n\r\n"}, "end: ");
  expect_strange({.status = 302, .headers = {{"Location", services_.url() + "/x"}}}, "status 302");
  EXPECT_EQ(services_.count("/x"), 0u) << "no redirects";
}

TEST_F(StsSources, Endpoints) {
  variables_["AWS_ENDPOINT_URL_STS"] = "http://sts.example";
  expect_holds(by_web_identity(), "plain http");
  variables_["AWS_ENDPOINT_URL_STS"] = "http://user:hunter2@localhost";
  expect_holds(by_web_identity(), "user name or password");
  variables_.erase("AWS_ENDPOINT_URL_STS");
  config("[default]\nservices = s\n[services s]\nsts =\n  endpoint_url = " + services_.url() +
         "\n");
  EXPECT_EQ(by_web_identity(), "ASIA1");
  auto without_region = context();
  without_region.region.clear();
  variables_["HOME"] = "/gone";
  expect_holds(outcome(detail::web_identity_source(without_region).look()), "region");
}

TEST_F(StsSources, CanBeStopped) {
  services_.set_rule(hanging);
  std::string result;
  std::thread asking([&] { result = by_web_identity(); });
  EXPECT_TRUE(wait_until([this] { return services_.requests().size() == 1; }));
  stop_.request_stop();
  asking.join();
  expect_holds(result, "closed meanwhile");
  EXPECT_EQ(services_.requests().size(), 1u);
}

// --- containers ---------------------------------------------------------------------------------

class ContainerSource : public CredentialSources {
 protected:
  ContainerSource() {
    variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = services_.container_url();
  }
};

TEST_F(ContainerSource, FullAndRelative) {
  EXPECT_EQ(by_container(), "ASIA1");
  EXPECT_EQ(services_.requests().at(0).target, "/container/role?x=1");
  variables_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials/id?a=b";
  EXPECT_EQ(by_container(), "ASIA2");
  EXPECT_EQ(services_.requests().at(1).target, "/container/v2/credentials/id?a=b")
      << "the relative one goes first";
  variables_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "hunter2.example/";
  expect_begins(by_container(), "end: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path");
  variables_.erase("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  variables_.erase("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  expect_begins(by_container(), "go on: neither ");
}

TEST_F(ContainerSource, Hosts) {
  for (const auto* url : {"http://169.254.170.3/", "http://example.com/", "http://169.254.169.254/",
                          "http://169.254.170.2.example/", "http://[fd00:ec2::24]/",
                          "http://127.1/", "http://0177.0.0.1/"}) {
    variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url;
    expect_begins(by_container(), "end: AWS_CONTAINER_CREDENTIALS_FULL_URI is plain http");
  }
  for (const auto* url :
       {"ftp://localhost/", "hunter2", "http://hunter2@localhost/", "http://localhost/#hunter2",
        "http://localhost/?a b", "http://localhost/?\x01"}) {
    variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url;
    expect_begins(by_container(), "end: AWS_CONTAINER_CREDENTIALS_FULL_URI ");
  }
}

TEST_F(ContainerSource, Tokens) {
  services_.set_container_token("Basic abc");
  expect_holds(by_container(), "status 401");
  EXPECT_EQ(services_.requests().size(), 1u);
  variables_["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "Basic abc";
  EXPECT_EQ(by_container(), "ASIA1");
  services_.set_container_token("first");
  variables_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = file("token", "first\n");
  EXPECT_EQ(by_container(), "ASIA2") << "the file goes first";
  services_.set_container_token("second");
  static_cast<void>(file("token", "second"));
  EXPECT_EQ(by_container(), "ASIA3") << "it is read anew";
  static_cast<void>(file("token", "hunter2\r\nX: y"));
  expect_holds(by_container(), "holds a character that no token has");
  variables_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/gone";
  expect_holds(by_container(), "/gone, is not there");
}

TEST_F(ContainerSource, Faults) {
  services_.add_fault("/container", broken, 3);
  EXPECT_EQ(by_container(), "ASIA1") << "the fourth attempt";
  services_.add_fault("/container", hanging);
  EXPECT_EQ(by_container(), "ASIA2") << "after a time-out";
  services_.add_fault("/container", broken, 4);
  EXPECT_EQ(by_container(), "end: the container's endpoint answered: status 500");
  services_.add_fault("/container", {.body = "hunter2"});
  expect_begins(by_container(), "end: the container's endpoint: the answer is no JSON object");
  services_.set_rule(HttpAnswer{.body = std::string(70000, ' ')});
  expect_holds(by_container(), "too large");
  services_.set_rule(HttpAnswer{.status = 307, .headers = {{"Location", "http://hunter2/"}}});
  expect_holds(by_container(), "status 307");
}

TEST_F(ContainerSource, NobodyThere) {
  std::string gone;
  {
    const CredentialServices other;
    gone = other.container_url();
  }
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = gone;
  expect_begins(by_container(), "end: the container's endpoint answered: ");
}

// --- instance metadata --------------------------------------------------------------------------

class InstanceSource : public CredentialSources {
 protected:
  InstanceSource() { variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = services_.url() + "/"; }

  [[nodiscard]] std::optional<AwsCredentials> credentials() const {
    return detail::instance_source(context()).look().credentials;
  }
};

TEST_F(InstanceSource, TokenRoleCredentials) {
  EXPECT_EQ(by_instance(), "ASIA1");
  EXPECT_EQ(services_.count("/latest/api/token"), 1u);
  EXPECT_EQ(services_.requests().size(), 3u);
  EXPECT_EQ(detail::instance_region(context()), "eu-central-1");
}

TEST_F(InstanceSource, Disabled) {
  variables_["AWS_EC2_METADATA_DISABLED"] = "True";
  EXPECT_EQ(by_instance(), "go on: AWS_EC2_METADATA_DISABLED is true");
  EXPECT_EQ(detail::instance_region(context()), "");
  EXPECT_EQ(services_.requests().size(), 0u);
}

TEST_F(InstanceSource, Places) {
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://hunter2@localhost";
  expect_begins(by_instance(), "end: AWS_EC2_METADATA_SERVICE_ENDPOINT, or");
  variables_.erase("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  config("[default]\nec2_metadata_service_endpoint = " + services_.url() + "\n");
  EXPECT_EQ(by_instance(), "ASIA1");
  config("");
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"] = "IPv5";
  expect_begins(by_instance(), "end: AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
}

TEST_F(InstanceSource, AnEndedTokenIsReplacedOnce) {
  // The first token ends before it is used.
  services_.add_fault("/latest/meta-data", {.status = 401});
  EXPECT_EQ(by_instance(), "ASIA1");
  EXPECT_EQ(services_.count("/latest/api/token"), 2u);
  services_.add_fault("/latest/meta-data", {.status = 401}, 2);
  EXPECT_EQ(by_instance(), "ASIA1") << "the last ones serve on";
  memory_->last.reset();
  services_.add_fault("/latest/meta-data", {.status = 401}, 2);
  expect_holds(by_instance(), "status 401");
}

TEST_F(InstanceSource, Faults) {
  services_.add_fault("/latest/api/token", broken, 3);
  services_.add_fault("/latest/meta-data", broken, 3);
  EXPECT_EQ(by_instance(), "ASIA1");
  memory_->last.reset();
  const auto outcome_of = [this](const std::string& target, HttpAnswer answer, int times = 1) {
    memory_->last.reset();
    services_.add_fault(target, std::move(answer), times);
    return by_instance();
  };
  const std::string role = "/latest/meta-data/iam/security-credentials/";
  expect_holds(outcome_of("/latest/api/token", {.status = 403}), "session token");
  expect_holds(outcome_of("/latest/api/token", {.body = "hunter2\nx"}), "cannot be one");
  expect_holds(outcome_of("/latest/api/token", {.body = ""}), "cannot be one");
  EXPECT_EQ(outcome_of(role, {.status = 404}), "go on: the instance has no role");
  expect_holds(outcome_of(role, {.body = "../hunter2"}), "name no role");
  expect_holds(outcome_of(role, {.body = ""}), "name no role");
  expect_holds(outcome_of(role + "my-role", {.status = 404}), "status 404");
  expect_holds(outcome_of(role + "my-role", {.body = R"({"Code":"Failed"})"}), "'Code'");
  variables_["AWS_METADATA_SERVICE_NUM_ATTEMPTS"] = "1";
  expect_holds(outcome_of("/latest/api/token", broken), "status 500");
  expect_holds(outcome_of("/latest/api/token", hanging), "no answer within 1000 ms");
  EXPECT_EQ(by_instance().rfind("ASIA", 0), 0u) << "all faults were met";
}

TEST_F(InstanceSource, TheLastOnesServeOnWhenTheServiceFails) {
  services_.set_lifetime(600s);
  const auto first = credentials();
  ASSERT_TRUE(first);
  services_.set_rule(HttpAnswer{.status = 400});
  const auto before = std::chrono::system_clock::now();
  const auto again = credentials();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->access_key_id, "ASIA1");
  EXPECT_GE(*again->expires, before + 5min);
  EXPECT_LE(*again->expires, std::chrono::system_clock::now() + 10min + 1s);

  services_.set_rule(std::nullopt);
  services_.set_lifetime(-600s);  // it hands out what has ended
  const auto ended = credentials();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->access_key_id, "ASIA2");
  EXPECT_GE(*ended->expires, before + 5min);

  services_.add_fault("/latest/meta-data", {.status = 404});
  EXPECT_EQ(by_instance(), "go on: the instance has no role") << "that is an answer, no failure";
}

// --- the chain ----------------------------------------------------------------------------------

class Chain : public CredentialSources {
 protected:
  [[nodiscard]] std::string by_chain() const {
    const auto answer = detail::default_credentials_chain(profile_, context())->credentials();
    return answer ? answer->access_key_id : answer.error().message;
  }
};

TEST_F(Chain, Order) {
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = services_.url();
  EXPECT_EQ(by_chain(), "ASIA1");
  EXPECT_EQ(services_.count("/latest"), 3u);
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = services_.container_url();
  EXPECT_EQ(by_chain(), "ASIA2");
  EXPECT_EQ(services_.count("/container"), 1u);
  variables_["AWS_ROLE_ARN"] = simulated_role;
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = file("token", web_identity_token);
  EXPECT_EQ(by_chain(), "ASIA3");
  EXPECT_EQ(services_.requests().size(), 5u);
  config("[default]\naws_access_key_id = FILE\naws_secret_access_key = s\n");
  EXPECT_EQ(by_chain(), "FILE");
  variables_["AWS_ACCESS_KEY_ID"] = "ENV";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(by_chain(), "ENV");
  profile_ = "default";
  EXPECT_EQ(by_chain(), "FILE");
  EXPECT_EQ(services_.requests().size(), 5u);
}

TEST_F(Chain, WhatWasAskedForIsNotReplaced) {
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = services_.url();
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://example.com/";
  expect_begins(by_chain(), "no AWS credentials were found (environment: ");
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/gone";
  expect_begins(by_chain(), "no AWS credentials were found (environment: ");
  config("[default]\ncredential_process = exit 1\n");
  expect_holds(by_chain(), "status 1)");
  EXPECT_EQ(services_.requests().size(), 0u);
}

TEST_F(Chain, UnpluggedItListsWhatWasTried) {
  std::string gone;
  {
    const CredentialServices other;
    gone = other.url();
  }
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = gone;
  const auto message = by_chain();
  std::size_t at = 0;
  for (const auto* name : {"environment: AWS_ACCESS_KEY_ID", "profile: there is no profile",
                           "web identity: AWS_WEB_IDENTITY_TOKEN_FILE", "container: neither ",
                           "instance metadata: a session token from "}) {
    const auto found = message.find(name, at);
    ASSERT_NE(found, std::string::npos) << name << " in " << message;
    at = found;
  }
}

// --- fetching -----------------------------------------------------------------------------------

TEST(Fetch, GoesPastProxiesWhereToldTo) {
  const HttpServer proxy([](const ReceivedRequest&) { return HttpAnswer{.body = "proxy"}; });
  const HttpServer server([](const ReceivedRequest&) { return HttpAnswer{.body = "server"}; });
  setenv("http_proxy", proxy.url().c_str(), 1);
  const auto body = [&](bool bypass) {
    return detail::fetch({.url = server.url() + "/", .bypass_proxy = bypass}, {}).body;
  };
  EXPECT_EQ(body(true), "server");
  EXPECT_EQ(body(false), "proxy");
  unsetenv("http_proxy");
}

}  // namespace
}  // namespace valkeycache::test
