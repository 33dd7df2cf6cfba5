#include <valkeycache/detail/unique_function.hpp>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace {

using valkeycache::detail::UniqueFunction;

// Counts how many of it there are.
struct Counted {
  explicit Counted(int& alive) : alive_(&alive) { ++*alive_; }
  Counted(Counted&& other) noexcept : alive_(other.alive_) { ++*alive_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  Counted& operator=(Counted&&) = delete;
  ~Counted() { --*alive_; }
  int* alive_;
};

template <std::size_t Padding>
void expect_one_life() {
  int alive = 0;
  {
    UniqueFunction<int(int)> f([counted = Counted(alive), pad = std::array<char, Padding>{}](
                                   int x) { return x + static_cast<int>(pad.size()); });
    EXPECT_EQ(alive, 1);
    UniqueFunction<int(int)> g(std::move(f));
    EXPECT_EQ(alive, 1);
    EXPECT_FALSE(f);  // NOLINT(bugprone-use-after-move): defined, and this is the test
    EXPECT_EQ(g(1), 1 + static_cast<int>(Padding));
    f = std::move(g);
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(f(2), 2 + static_cast<int>(Padding));
    auto& self = f;
    f = std::move(self);
    EXPECT_EQ(alive, 1);
    f.reset();
    EXPECT_EQ(alive, 0);
    EXPECT_FALSE(f);
    f = UniqueFunction<int(int)>([counted = Counted(alive)](int x) { return x; });
    f = UniqueFunction<int(int)>([](int x) { return -x; });
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(f(3), -3);
  }
  EXPECT_EQ(alive, 0);
}

TEST(UniqueFunction, OwnsASmallCallable) {
  expect_one_life<1>();
}
TEST(UniqueFunction, OwnsABigCallable) {
  expect_one_life<200>();
}

TEST(UniqueFunction, TakesWhatCanOnlyBeMoved) {
  UniqueFunction<int()> f([p = std::make_unique<int>(5)] { return *p; });
  EXPECT_EQ(f(), 5);
}

TEST(UniqueFunction, PassesMoveOnlyArgumentsAndReferences) {
  UniqueFunction<int(std::unique_ptr<int>)> take([](std::unique_ptr<int> p) { return *p; });
  EXPECT_EQ(take(std::make_unique<int>(6)), 6);
  UniqueFunction<void(std::string&)> append([](std::string& text) { text += 'x'; });
  std::string text;
  append(text);
  EXPECT_EQ(text, "x");
}

TEST(UniqueFunction, IsEmptyWithoutACallable) {
  EXPECT_FALSE(UniqueFunction<void()>());
  EXPECT_FALSE(UniqueFunction<void()>(nullptr));
}

TEST(UniqueFunction, LetsExceptionsOut) {
  UniqueFunction<void()> f([] { throw std::runtime_error("x"); });
  EXPECT_THROW(f(), std::runtime_error);
}

TEST(UniqueFunction, OveralignedCallables) {
  struct alignas(64) Aligned {
    int value = 9;
  };
  UniqueFunction<bool()> f(
      [a = Aligned()] { return reinterpret_cast<std::uintptr_t>(&a) % 64 == 0 && a.value == 9; });
  UniqueFunction<bool()> g(std::move(f));
  EXPECT_TRUE(g());
}

}  // namespace
