#include "transfer/key_set.hpp"

#include <string>

#include <gtest/gtest.h>

using valkeycache::detail::KeySet;

namespace {

TEST(KeySet, KnowsWhatWasThere) {
  KeySet keys;
  for (int i = 0; i < 20000; ++i) ASSERT_TRUE(keys.insert("key" + std::to_string(i))) << i;
  EXPECT_EQ(keys.size(), 20000U);
  for (int i = 0; i < 20000; ++i) ASSERT_FALSE(keys.insert("key" + std::to_string(i))) << i;
  EXPECT_TRUE(keys.insert(""));
  EXPECT_FALSE(keys.insert(""));
  EXPECT_EQ(keys.size(), 20001U);
}

}  // namespace
