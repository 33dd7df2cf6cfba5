// Where credentials are asked for: the addresses that machines on AWS have and tests cannot listen
// at.
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "aws/container_credentials.hpp"
#include "aws/instance_metadata.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/expect.hpp"

namespace valkeycache {
namespace {

using detail::SourceContext;
using test::fails_with;
using test::ok;

SourceContext knowing(const std::map<std::string, std::string>& variables) {
  return {.environment = [variables](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    if (found == variables.end()) return std::nullopt;
    return found->second;
  }};
}

Result<detail::ContainerPlace> by_full_uri(const std::string& url) {
  return detail::container_place(knowing({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", url}}));
}

TEST(ContainerPlace, OfARelativeUriIsThatOfEcs) {
  const auto place = detail::container_place(
      knowing({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/id?a=b"},
               {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://elsewhere.example/"}}));
  ASSERT_TRUE(ok(place));
  EXPECT_EQ(place->url, "http://169.254.170.2/v2/credentials/id?a=b");
  EXPECT_TRUE(place->bypass_proxy);
}

TEST(ContainerPlace, PlainHttpToTheAddressesOfEcsAndEksAndToThisMachine) {
  for (const auto* url :
       {"http://169.254.170.2/v2/credentials", "http://169.254.170.23/v1/credentials",
        "http://169.254.170.23:80/v1/credentials", "http://[fd00:ec2::23]/v1/credentials",
        "http://[FD00:EC2::23]/v1/credentials", "http://localhost:8080/role",
        "http://127.0.0.1:8080/role", "http://127.8.9.10/role?a=b", "http://[::1]:8080/role"}) {
    SCOPED_TRACE(url);
    const auto place = by_full_uri(url);
    ASSERT_TRUE(ok(place));
    EXPECT_EQ(place->url, url);
    EXPECT_TRUE(place->bypass_proxy);
  }
}

TEST(ContainerPlace, HttpsToAnybody) {
  const auto place = by_full_uri("https://credentials.example/role");
  ASSERT_TRUE(ok(place));
  EXPECT_EQ(place->url, "https://credentials.example/role");
  EXPECT_FALSE(place->bypass_proxy);
}

TEST(ContainerPlace, NoPlainHttpToAnybodyElse) {
  for (const auto* url :
       {"http://169.254.170.3/", "http://169.254.170.22/", "http://169.254.170.230/",
        "http://169.254.169.254/", "http://169.254.170.2.example/", "http://[fd00:ec2::24]/",
        "http://[fd00:ec2::254]/", "http://[::ffff:169.254.170.2]/", "http://localhost.example/",
        "http://128.0.0.1/", "http://10.0.0.1/", "http://[::2]/", "http://credentials.example/"}) {
    SCOPED_TRACE(url);
    const auto place = by_full_uri(url);
    ASSERT_TRUE(fails_with(place, ErrorCode::credentials));
    EXPECT_NE(place.error().message.find("is plain http to a host"), std::string::npos);
  }
}

TEST(InstanceMetadataAddress, IsFixedUnlessToldOtherwise) {
  const auto address = [](const std::map<std::string, std::string>& variables) {
    return detail::instance_metadata_address(knowing(variables)).value();
  };
  const std::string mode = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
  EXPECT_EQ(address({}), "http://169.254.169.254");
  EXPECT_EQ(address({{mode, ""}}), "http://169.254.169.254");
  EXPECT_EQ(address({{mode, "IPv4"}}), "http://169.254.169.254");
  EXPECT_EQ(address({{mode, "IPv6"}}), "http://[fd00:ec2::254]");
  EXPECT_EQ(address({{mode, "ipv6"}}), "http://[fd00:ec2::254]");
  EXPECT_EQ(
      address({{mode, "IPv6"}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://10.0.0.1:81/m/"}}),
      "http://10.0.0.1:81/m")
      << "an address goes before the mode";
  EXPECT_TRUE(fails_with(detail::instance_metadata_address(knowing({{mode, "IPv5"}})),
                         ErrorCode::credentials));
}

TEST(InstanceMetadataAddress, MayBeTheProfiles) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() + "/config";
  std::ofstream(file) << "[default]\nec2_metadata_service_endpoint_mode = IPv6\n"
                         "[profile a]\nec2_metadata_service_endpoint = http://10.0.0.1/\n";
  std::map<std::string, std::string> variables{{"AWS_CONFIG_FILE", file}};
  EXPECT_EQ(detail::instance_metadata_address(knowing(variables)).value(),
            "http://[fd00:ec2::254]");
  variables["AWS_PROFILE"] = "a";
  EXPECT_EQ(detail::instance_metadata_address(knowing(variables)).value(), "http://10.0.0.1");
  variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://10.0.0.2";
  EXPECT_EQ(detail::instance_metadata_address(knowing(variables)).value(), "http://10.0.0.2")
      << "the environment goes first";
}

}  // namespace
}  // namespace valkeycache
