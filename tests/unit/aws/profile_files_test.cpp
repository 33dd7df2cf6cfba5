#include "aws/profile_files.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "aws/credentials.hpp"
#include "aws/profile_credentials.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/expect.hpp"

namespace valkeycache {
namespace {

using detail::Environment;
using detail::ProfileFiles;
using test::fails_with;
using test::ok;

TEST(ProfileFiles, SectionsAndSettings) {
  const auto files = ProfileFiles::parse(R"(
# a comment
[default]
region = us-east-1   ; after a blank
[profile dev]
region=eu-west-1
Output = json
secret = a#b;c #d
[ profile   "two words" ]
region = one
[lonely]
region = lost
[services s]
bedrock_runtime =
    endpoint_url = http://x
    other = y
next = z
)",
                                         R"(
[default]
aws_access_key_id = AKID
  aws_secret_access_key = indented
[profile dev]
region = lost
[dev]
region = eu-central-1
)");
  EXPECT_EQ(files.setting("default", "region"), "us-east-1");
  EXPECT_EQ(files.setting("default", "aws_access_key_id"), "AKID");
  EXPECT_EQ(files.setting("default", "aws_secret_access_key"), "indented");
  EXPECT_EQ(files.setting("dev", "region"), "eu-central-1") << "the credentials file wins";
  EXPECT_EQ(files.setting("dev", "output"), "json");
  EXPECT_EQ(files.setting("dev", "secret"), "a#b;c");
  EXPECT_EQ(files.setting("two words", "region"), "one");
  EXPECT_EQ(files.profile("lonely"), nullptr) << "config wants [profile lonely]";
  EXPECT_EQ(files.profile("profile dev"), nullptr);
  ASSERT_NE(files.services("s"), nullptr);
  EXPECT_EQ(files.services("s")->at("bedrock_runtime.endpoint_url"), "http://x");
  EXPECT_EQ(files.services("s")->at("bedrock_runtime.other"), "y");
  EXPECT_EQ(files.services("s")->at("next"), "z");
  EXPECT_EQ(files.setting("dev", "absent"), std::nullopt);
  EXPECT_EQ(files.setting("absent", "region"), std::nullopt);
}

TEST(ProfileFiles, ProfileDefaultGoesBeforeDefault) {
  const auto files = ProfileFiles::parse(
      "[profile default]\nregion = named\n[default]\nregion = plain\noutput = json\n", "");
  EXPECT_EQ(files.setting("default", "region"), "named");
  EXPECT_EQ(files.setting("default", "output"), std::nullopt);
}

TEST(ProfileFiles, OddTextHarmsNothing) {
  const auto files = ProfileFiles::parse(
      "\xEF\xBB\xBF[default]\r\nregion = a\r\nno equals sign\r\n= no name\r\n[unclosed\r\n"
      "region = lost\r\n[]\r\nregion = lost\r\n[profile ]\r\nregion = lost\r\n[profile b]\r\n"
      "region = one\r\nregion = two\r\nempty =\r\nkey = value",
      "region = before any section\n");
  EXPECT_EQ(files.setting("default", "region"), "a");
  EXPECT_EQ(files.setting("b", "region"), "two") << "the last one counts";
  EXPECT_EQ(files.setting("b", "empty"), std::nullopt);
  EXPECT_EQ(files.setting("b", "key"), "value");
  EXPECT_EQ(files.profile(""), nullptr);
}

// A folder with profile files, and an environment that points there.
class ProfileFolder : public testing::Test {
 protected:
  ProfileFolder() {
    std::filesystem::create_directory(folder() / ".aws");
    variables_["HOME"] = temporary_.path();
    variables_["AWS_EC2_METADATA_DISABLED"] = "true";
  }

  [[nodiscard]] std::filesystem::path folder() const { return temporary_.path(); }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(folder() / name, std::ios::binary) << text;
  }
  [[nodiscard]] Environment environment() const {
    return [this](std::string_view name) -> std::optional<std::string> {
      const auto found = variables_.find(std::string(name));
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    };
  }

  test::TemporaryFolder temporary_;
  std::map<std::string, std::string> variables_;
};

TEST_F(ProfileFolder, FilesAreFound) {
  write(".aws/config", "[profile a]\nregion = home\n");
  write("elsewhere", "[profile a]\nregion = elsewhere\n");
  EXPECT_EQ(ProfileFiles::load(environment())->setting("a", "region"), "home");
  variables_["AWS_CONFIG_FILE"] = (folder() / "elsewhere").string();
  EXPECT_EQ(ProfileFiles::load(environment())->setting("a", "region"), "elsewhere");
  variables_["AWS_CONFIG_FILE"] = "~/elsewhere";
  EXPECT_EQ(ProfileFiles::load(environment())->setting("a", "region"), "elsewhere");
  variables_["AWS_CONFIG_FILE"] = (folder() / "absent").string();
  EXPECT_TRUE(ok(ProfileFiles::load(environment())));
  variables_.clear();
  EXPECT_TRUE(ok(ProfileFiles::load(environment()))) << "no home, no files";
}

TEST_F(ProfileFolder, UnreadableAndHugeFilesAreErrors) {
  variables_["AWS_CONFIG_FILE"] = folder().string();
  const auto unreadable = ProfileFiles::load(environment());
  EXPECT_TRUE(fails_with(unreadable, ErrorCode::credentials));
  EXPECT_NE(unreadable.error().message.find(folder().string()), std::string::npos);
  write("huge", std::string((1 << 20) + 1, '#'));
  variables_["AWS_CONFIG_FILE"] = (folder() / "huge").string();
  EXPECT_TRUE(fails_with(ProfileFiles::load(environment()), ErrorCode::credentials));
}

TEST_F(ProfileFolder, CredentialsFromTheEnvironment) {
  const auto source = detail::environment_source(environment());
  EXPECT_FALSE(source.look().credentials);
  variables_["AWS_ACCESS_KEY_ID"] = "AKID";
  EXPECT_FALSE(source.look().credentials) << "an id without a secret counts as absent";
  EXPECT_NE(source.look().why.find("AWS_SECRET_ACCESS_KEY"), std::string::npos);
  variables_["AWS_SECRET_ACCESS_KEY"] = "";
  EXPECT_FALSE(source.look().credentials) << "empty counts as unset";
  variables_["AWS_SECRET_ACCESS_KEY"] = "hunter2";
  auto answer = source.look();
  ASSERT_TRUE(answer.credentials);
  EXPECT_EQ(answer.credentials->access_key_id, "AKID");
  EXPECT_EQ(answer.credentials->secret_access_key, "hunter2");
  EXPECT_EQ(answer.credentials->session_token, "");
  variables_["AWS_SESSION_TOKEN"] = "token";
  EXPECT_EQ(source.look().credentials->session_token, "token");
}

TEST_F(ProfileFolder, CredentialsFromProfiles) {
  write(".aws/config", "[profile a]\naws_access_key_id = A\naws_secret_access_key = hunter2\n");
  write(".aws/credentials",
        "[default]\naws_access_key_id = D\naws_secret_access_key = hunter2\n"
        "aws_session_token = T\n");
  auto by_default = detail::profile_source({.environment = environment()}).look();
  ASSERT_TRUE(by_default.credentials);
  EXPECT_EQ(by_default.credentials->access_key_id, "D");
  EXPECT_EQ(by_default.credentials->session_token, "T");
  variables_["AWS_PROFILE"] = "a";
  const auto id = [this](const std::string& profile) {
    const auto source = detail::profile_source({.environment = environment(), .profile = profile});
    return source.look().credentials->access_key_id;
  };
  EXPECT_EQ(id(""), "A");
  EXPECT_EQ(id("default"), "D");
}

TEST_F(ProfileFolder, TheChainSaysWhatWasTried) {
  write(".aws/config", "[profile sso]\nsso_session = x\n[profile half]\naws_access_key_id = A\n");
  const auto tried = [this](std::string_view profile) {
    const auto answer =
        detail::default_credentials_chain(profile, {.environment = environment()})->credentials();
    EXPECT_TRUE(fails_with(answer, ErrorCode::credentials));
    return answer.error().message;
  };
  EXPECT_EQ(tried(""),
            "no AWS credentials were found (environment: AWS_ACCESS_KEY_ID is not set; "
            "profile: there is no profile 'default'; "
            "web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set; "
            "container: neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor "
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is set; "
            "instance metadata: AWS_EC2_METADATA_DISABLED is true)");
  EXPECT_EQ(tried("gone"),
            "no AWS credentials were found (profile: there is no AWS profile 'gone' in the config "
            "and credentials files)");
  EXPECT_EQ(tried("half"),
            "no AWS credentials were found (profile: profile 'half' has an aws_access_key_id "
            "without an aws_secret_access_key)");
  EXPECT_EQ(
      tried("sso"),
      "no AWS credentials were found (profile: profile 'sso' needs a person to sign in "
      "(sso_session); let AWS's command line tool do it: in a profile of its own, "
      "credential_process = aws configure export-credentials --profile sso --format process)");
  variables_["AWS_PROFILE"] = "gone";
  EXPECT_NE(tried("").find("'gone'"), std::string::npos);
}

TEST_F(ProfileFolder, OrderOfTheChain) {
  write(".aws/credentials", "[default]\naws_access_key_id = FILE\naws_secret_access_key = s\n");
  variables_["AWS_ACCESS_KEY_ID"] = "ENV";
  const auto id = [this](std::string_view profile) {
    return detail::default_credentials_chain(profile, {.environment = environment()})
        ->credentials()
        .value()
        .access_key_id;
  };
  EXPECT_EQ(id(""), "FILE") << "half a pair in the environment is no credentials";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(id(""), "ENV");
  EXPECT_EQ(id("default"), "FILE") << "a profile in the options goes before the environment";
}

TEST_F(ProfileFolder, AProfileOfTheEnvironmentHasToBeThere) {
  variables_["AWS_ACCESS_KEY_ID"] = "ENV";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  variables_["AWS_PROFILE"] = "gone";
  const auto answer =
      detail::default_credentials_chain("", {.environment = environment()})->credentials();
  EXPECT_TRUE(fails_with(answer, ErrorCode::credentials));
  EXPECT_NE(answer.error().message.find("'gone'"), std::string::npos);
  write(".aws/config", "[profile gone]\nregion = here\n");
  const auto found =
      detail::default_credentials_chain("", {.environment = environment()})->credentials();
  ASSERT_TRUE(ok(found));
  EXPECT_EQ(found->access_key_id, "ENV");
}

TEST(Credentials, UnusableOnesAreNamedAndNotShown) {
  const AwsCredentials good{.access_key_id = "AKID", .secret_access_key = "hunter2"};
  EXPECT_FALSE(detail::check_credentials(good));
  const auto message = [&good](auto change) {
    auto changed = good;
    change(changed);
    const auto error = detail::check_credentials(changed);
    EXPECT_TRUE(error && error->code == ErrorCode::credentials);
    EXPECT_EQ(error->message.find("hunter2"), std::string::npos);
    return error->message;
  };
  EXPECT_NE(message([](auto& c) { c.access_key_id = ""; }).find("access_key_id"),
            std::string::npos);
  EXPECT_NE(message([](auto& c) { c.secret_access_key = ""; }).find("secret_access_key"),
            std::string::npos);
  EXPECT_NE(message([](auto& c) { c.access_key_id = "A/hunter2"; }).find("access_key_id"),
            std::string::npos);
  EXPECT_NE(message([](auto& c) { c.session_token = "hunter2\r\nX: y"; }).find("session_token"),
            std::string::npos);
}

}  // namespace
}  // namespace valkeycache
