#include <valkeycache/result.hpp>

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace valkeycache;

Error refused() {
  return {.code = ErrorCode::throttled, .message = "slow down", .retryable = true};
}

// A result of one thing does not pass for a result of another, and nothing becomes a value that
// would not become one by itself.
static_assert(!std::is_convertible_v<Result<int>, Result<bool>>);
static_assert(!std::is_convertible_v<int, Result<std::vector<int>>>);
static_assert(!std::is_convertible_v<std::string_view, Result<std::string>>);
static_assert(std::is_convertible_v<const char*, Result<std::string>>);
static_assert(std::is_convertible_v<Error, Result<int>>);
static_assert(std::is_convertible_v<std::unique_ptr<int>, Result<std::unique_ptr<int>>>);
static_assert(!std::is_copy_constructible_v<Result<std::unique_ptr<int>>>);
static_assert(std::is_nothrow_move_constructible_v<Result<std::string>>);

TEST(Result, HoldsAValue) {
  Result<std::string> result = "text";
  ASSERT_TRUE(result);
  EXPECT_TRUE(result.has_value());
  EXPECT_EQ(*result, "text");
  EXPECT_EQ(result->size(), 4U);
  EXPECT_EQ(result.value(), "text");
  EXPECT_EQ(result.value_or("other"), "text");
  result.value() += '!';
  EXPECT_EQ(std::move(result).value(), "text!");
}

TEST(Result, HoldsAnError) {
  const Result<std::string> result = refused();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::throttled);
  EXPECT_TRUE(result.error().retryable);
  EXPECT_FALSE(result.error().maybe_applied);
  EXPECT_EQ(result.value_or("other"), "other");
}

TEST(Result, ValueThrowsTheError) {
  Result<int> result = refused();
  try {
    result.value();
    FAIL();
  } catch (const BadResult& bad) {
    EXPECT_EQ(bad.error().code, ErrorCode::throttled);
    EXPECT_STREQ(bad.what(), "throttled: slow down");
  }
  EXPECT_THROW(std::move(result).value(), BadResult);
  EXPECT_THROW(Result<void>(refused()).value(), BadResult);
  EXPECT_NO_THROW(Result<void>().value());
}

TEST(Result, CopiesAndMoves) {
  const Result<std::string> bad = refused();
  Result<std::string> copy = bad;
  EXPECT_EQ(copy.error().message, "slow down");
  copy = Result<std::string>("good");
  EXPECT_TRUE(copy);
  copy = bad;
  EXPECT_FALSE(copy);
  auto& self = copy;
  copy = self;
  EXPECT_EQ(copy.error().message, "slow down");

  Result<std::unique_ptr<int>> owner = std::make_unique<int>(7);
  Result<std::unique_ptr<int>> taken = std::move(owner);
  EXPECT_EQ(**taken, 7);
  const auto pointer = *std::move(taken);
  EXPECT_EQ(*pointer, 7);
}

TEST(Result, AMovedFromErrorIsStillOne) {
  Result<int> bad = refused();
  const Error taken = std::move(bad).error();
  EXPECT_EQ(taken.code, ErrorCode::throttled);
  Result<int> other = refused();
  const Result<int> moved = std::move(other);
  EXPECT_FALSE(moved);
  EXPECT_FALSE(other);  // NOLINT(bugprone-use-after-move): defined, and this is the test
  EXPECT_EQ(other.error().code, ErrorCode::consumed);
  EXPECT_THROW(other.value(), BadResult);
}

TEST(Result, OfNothing) {
  const Result<void> good;
  EXPECT_TRUE(good);
  const Result<void> bad = refused();
  EXPECT_FALSE(bad);
  const Result<void> copy = bad;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_EQ(copy.error().code, ErrorCode::throttled);
}

TEST(ErrorCode, EachHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(ErrorCode::cache_miss); ++i) {
    names.insert(to_string(static_cast<ErrorCode>(i)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorCode::cache_miss) + 1);
  EXPECT_EQ(names.count("unknown"), 0U);
  EXPECT_STREQ(to_string(static_cast<ErrorCode>(255)), "unknown");
}

}  // namespace
