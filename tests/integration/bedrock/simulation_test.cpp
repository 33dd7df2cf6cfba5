// The simulated Bedrock itself: that it can tell a right signature from a wrong one, and that the
// program made of it does what scripts rely on.
#include <csignal>
#include <fstream>
#include <string>

#include <sys/wait.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "support/valkey/child_process.hpp"

namespace valkeycache::test {
namespace {

using nlohmann::json;

// Seconds since 1970 of "20261122T230536Z".
long seconds_of(const std::string& amz_date) {
  using namespace std::chrono;
  const auto number = [&amz_date](std::size_t at, std::size_t size) {
    return std::stoi(amz_date.substr(at, size));
  };
  const auto day_of_year = sys_days(year(number(0, 4)) / number(4, 2) / number(6, 2));
  return duration_cast<seconds>(day_of_year.time_since_epoch()).count() + number(9, 2) * 3600 +
         number(11, 2) * 60 + number(13, 2);
}

struct SignedCase {
  std::string name;
  ReceivedRequest request;
  CallerRegistry callers;
  long time = 0;
};

std::vector<SignedCase> requests_of_the_official_sdk() {
  std::ifstream file(VALKEYCACHE_TEST_DATA "/sdk_requests.json");
  const auto vectors = json::parse(file);
  std::vector<SignedCase> cases;
  for (const auto& one : vectors.at("cases")) {
    if (!one.contains("signature")) continue;
    SignedCase made;
    made.name = one.at("name");
    made.request = {"POST", one.at("target"), one.at("headers").get<HeaderPairs>(), one.at("body")};
    const auto& credentials = one.at("credentials");
    made.callers.by_access_key[credentials.at("access_key_id").get<std::string>()] = {
        credentials.at("secret_access_key"), credentials.value("session_token", "")};
    made.time = seconds_of(one.at("amz_date"));
    cases.push_back(std::move(made));
  }
  return cases;
}

std::string refusal_of(const SignedCase& one) {
  return check_signature(one.request, one.callers, one.time, "us-west-2").type;
}

TEST(SimulatedBedrockSignatures, ThoseOfTheOfficialSdkAreRight) {
  const auto cases = requests_of_the_official_sdk();
  EXPECT_EQ(cases.size(), 30u);
  for (const auto& one : cases) EXPECT_EQ(refusal_of(one), "") << one.name;
}

TEST(SimulatedBedrockSignatures, AnyChangeMakesThemWrong) {
  const auto cases = requests_of_the_official_sdk();
  ASSERT_FALSE(cases.empty());
  for (const auto& good : cases) {
    SCOPED_TRACE(good.name);
    auto bad = good;
    bad.request.body += " ";
    EXPECT_EQ(refusal_of(bad), "InvalidSignatureException");
    bad = good;
    bad.request.target += "x";
    EXPECT_EQ(refusal_of(bad), "InvalidSignatureException");
    bad = good;
    bad.request.method = "PUT";
    EXPECT_EQ(refusal_of(bad), "InvalidSignatureException");
    bad = good;
    bad.request.headers.emplace_back("x-amz-late", "unsigned");
    EXPECT_EQ(refusal_of(bad), "InvalidSignatureException");
    bad = good;
    for (auto& [name, value] : bad.request.headers) {
      if (name == "content-type") value = "text/plain";
    }
    EXPECT_EQ(refusal_of(bad), "InvalidSignatureException");
    bad = good;
    bad.callers.by_access_key.begin()->second.secret_access_key += "x";
    EXPECT_EQ(refusal_of(bad), "InvalidSignatureException");
    bad = good;
    bad.callers.by_access_key.begin()->second.session_token += "x";
    EXPECT_EQ(refusal_of(bad), "UnrecognizedClientException");
    bad = good;
    bad.time += 301;
    EXPECT_EQ(refusal_of(bad), "InvalidSignatureException");
    bad = good;
    bad.time -= 301;
    EXPECT_EQ(refusal_of(bad), "InvalidSignatureException");
    EXPECT_EQ(check_signature(good.request, good.callers, good.time, "eu-west-1").type,
              "InvalidSignatureException");
  }
}

class SimulatedBedrockProgram : public BedrockTest {
 protected:
  // Starts it; waits for its port file.
  void start(std::vector<std::string> arguments = {}) {
    const auto port_file = folder_.path() + "/port";
    arguments.insert(arguments.begin(), {VALKEYCACHE_SIMULATED_BEDROCK, "--port-file", port_file});
    program_.emplace(std::move(arguments), folder_.path() + "/output");
    ASSERT_TRUE(wait_until([&] { return !read_text(port_file).empty() || !program_->running(); }));
    ASSERT_TRUE(program_->running()) << read_text(folder_.path() + "/output");
    url_ = "http://127.0.0.1:" + std::to_string(std::stoi(read_text(port_file)));
  }

  TemporaryFolder folder_;
  std::optional<ChildProcess> program_;
  std::string url_;
};

TEST_F(SimulatedBedrockProgram, AnswersAndEnds) {
  start({"--delay-ms", "5", "--access-key", "AKIDOTHER", "--secret", "other"});
  EXPECT_NE(read_text(folder_.path() + "/output").find(url_), std::string::npos);
  auto to_program = options();
  to_program.endpoint = url_;
  auto stranger = client(to_program);
  EXPECT_TRUE(fails_with(ask(stranger), ErrorCode::credentials));
  to_program.credentials =
      AwsCredentials{.access_key_id = "AKIDOTHER", .secret_access_key = "other"};
  auto bedrock = client(to_program);
  const auto answer = ask(bedrock);
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->model_latency, 5ms);
  program_->signal(SIGTERM);
  const auto status = program_->wait(patience);
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 0);
}

TEST_F(SimulatedBedrockProgram, RefusesUnknownArguments) {
  ChildProcess wrong({VALKEYCACHE_SIMULATED_BEDROCK, "--nonsense"}, folder_.path() + "/output");
  const auto status = wrong.wait(patience);
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 2);
}

}  // namespace
}  // namespace valkeycache::test
