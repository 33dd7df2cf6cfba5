#include "entry/entry_mac.hpp"

#include <string>

#include <gtest/gtest.h>

#include "base/crypto.hpp"

namespace {

using namespace valkeycache::detail;

const std::string secret(16, 's');
const MacContext context{.secret = secret, .wire_key = "p:k", .digest = "d"};

std::string with_mac() {
  std::string json = R"({"response":"a"})";
  append_mac(json, context);
  return json;
}

TEST(EntryMac, CoversLengthPrefixedParts) {
  EXPECT_EQ(
      with_mac(),
      R"({"response":"a","mac":")" +
          hex(hmac_sha256(secret, "valkeycache/entry-mac/v1\n3:p:k,1:d,15:{\"response\":\"a\",")) +
          R"("})");
  EXPECT_TRUE(has_valid_mac(with_mac(), context));
}

TEST(EntryMac, AnyChangedByteIsTold) {
  const auto json = with_mac();
  for (std::size_t i = 0; i < json.size(); ++i) {
    auto changed = json;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(has_valid_mac(changed, context)) << i;
    EXPECT_FALSE(has_valid_mac(json.substr(0, i), context)) << i;
    EXPECT_FALSE(has_valid_mac(json.substr(i + 1), context)) << i;
  }
  EXPECT_FALSE(has_valid_mac(json + " ", context));
}

TEST(EntryMac, AnyOtherContextIsTold) {
  const std::string other(16, 't');
  EXPECT_FALSE(has_valid_mac(with_mac(), {.secret = other, .wire_key = "p:k", .digest = "d"}));
  EXPECT_FALSE(has_valid_mac(with_mac(), {.secret = secret, .wire_key = "p:l", .digest = "d"}));
  EXPECT_FALSE(has_valid_mac(with_mac(), {.secret = secret, .wire_key = "p:k", .digest = "e"}));
  EXPECT_FALSE(has_valid_mac(with_mac(), {.secret = secret, .wire_key = "p:kd", .digest = ""}));
}

}  // namespace
