#include "key/log_id.hpp"

#include <valkeycache/cache_key.hpp>

#include <string>

#include <gtest/gtest.h>

namespace {

using namespace valkeycache;

CacheKey key_of(const char* prompt) {
  return CacheKey::builder().model("m").temperature(0.7).prompt(prompt).build().value();
}

TEST(LogId, TellsKeysApartAndIsStable) {
  EXPECT_EQ(detail::log_id(key_of("a")), detail::log_id(key_of(" a ")));
  EXPECT_NE(detail::log_id(key_of("a")), detail::log_id(key_of("b")));
  EXPECT_EQ(detail::log_id(key_of("a")).size(), 16U);
}

TEST(LogId, IsNothingThatAGuesserCouldCompute) {
  const auto key = key_of("a");
  EXPECT_EQ(key.digest().find(detail::log_id(key)), std::string::npos);
}

TEST(LogId, OfASecretsKeyIsItsDigest) {
  const auto key = CacheKey::builder()
                       .model("m")
                       .temperature(0.7)
                       .prompt("a")
                       .secret(std::string(16, 's'))
                       .build()
                       .value();
  EXPECT_EQ(detail::log_id(key), key.digest().substr(0, 16));
}

}  // namespace
