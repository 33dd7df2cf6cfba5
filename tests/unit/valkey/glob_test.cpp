#include "valkey/glob.hpp"

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using detail::glob_escape;
using detail::glob_matches;

TEST(Glob, EscapedTextMatchesItselfAlone) {
  for (const std::string text : {"*", "p?:", "[x]", R"(a\b)", "plain:", "**", "[^a]-"}) {
    EXPECT_TRUE(glob_matches(glob_escape(text), text)) << text;
    EXPECT_FALSE(glob_matches(glob_escape(text), text + "x")) << text;
    EXPECT_TRUE(glob_matches(glob_escape(text) + "*", text + "anything")) << text;
  }
  EXPECT_FALSE(glob_matches(glob_escape("*"), "a"));
  EXPECT_FALSE(glob_matches(glob_escape("p?:"), "p1:"));
  EXPECT_EQ(glob_escape("llm_cache:"), "llm_cache:");
}

TEST(Glob, StarsMatchAnything) {
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("a*b*c", "a--b-b--c"));
  EXPECT_FALSE(glob_matches("a*b*c", "a--c"));
  EXPECT_FALSE(glob_matches("a", ""));
}

}  // namespace
}  // namespace valkeycache::testing
