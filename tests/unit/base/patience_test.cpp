#include "base/patience.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;
using detail::Patience;
using detail::SteadyTime;

// Waits for what does not come, until that is not tried any more. How often it was.
int wear_out(Patience& patience) {
  for (int tries = 0;; ++tries) {
    bool tried = false;
    EXPECT_FALSE(patience.wait([&] {
      tried = true;
      return false;
    }));
    if (!tried) return tries;
  }
}

// Until it is tried again.
void rest_out(Patience& patience) {
  bool tried = false;
  while (!tried) {
    patience.wait([&] { return tried = true; });
    std::this_thread::yield();
  }
}

TEST(Patience, WaitsUntilItIsDone) {
  Patience patience(10s, 10s);
  int asked = 0;
  EXPECT_TRUE(patience.wait([&] { return ++asked == 5; }));
  EXPECT_EQ(asked, 5);
}

TEST(Patience, LetsOthersRun) {
  Patience patience(10s, 10s);
  std::atomic<bool> done{false};
  std::thread other([&] { done = true; });
  EXPECT_TRUE(patience.wait([&] { return done.load(); }));
  other.join();
}

TEST(Patience, IsNeededWhileSomebodyWaits) {
  Patience patience(10s, 10s);
  EXPECT_FALSE(patience.is_needed());
  EXPECT_TRUE(patience.wait([&] { return patience.is_needed(); }));
  EXPECT_FALSE(patience.is_needed());
}

TEST(Patience, Ends) {
  Patience patience(1ms, 2ms);
  const auto begin = SteadyTime::clock::now();
  EXPECT_FALSE(patience.wait([] { return false; }));
  EXPECT_GE(SteadyTime::clock::now() - begin, 2ms);
}

TEST(Patience, IsLostOverWhatIsFarAway) {
  Patience patience(100us, 200us);
  const int tries = wear_out(patience);
  EXPECT_GE(tries, 1);
  EXPECT_LE(tries, 10) << "each loses a tenth at least of what there is at first";
}

TEST(Patience, IsLostOverWhatComesLateToo) {
  Patience patience(100us, 10s);
  int late = 0;
  bool tried = true;
  while (tried) {
    tried = false;
    const auto begin = SteadyTime::clock::now();
    patience.wait([&] {
      tried = true;
      return SteadyTime::clock::now() - begin > 300us;
    });
    late += tried ? 1 : 0;
  }
  EXPECT_LE(late, 5);
}

TEST(Patience, ComesBack) {
  Patience patience(100us, 200us);
  wear_out(patience);
  const auto begin = SteadyTime::clock::now();
  rest_out(patience);
  EXPECT_LT(SteadyTime::clock::now() - begin, 10s) << "the first rest is short";
  EXPECT_TRUE(patience.wait([] { return true; })) << "and it stays";
}

TEST(Patience, RestsLongerEachTime) {
  Patience patience(100us, 200us);
  const auto first = SteadyTime::clock::now();
  wear_out(patience);
  rest_out(patience);
  const auto second = SteadyTime::clock::now();
  EXPECT_GE(second - first, 20ms);
  wear_out(patience);
  rest_out(patience);
  EXPECT_GE(SteadyTime::clock::now() - second, 40ms);
}

TEST(Patience, LastsLongerWhereItHasHelped) {
  Patience worn(1ms, 2ms);
  EXPECT_EQ(wear_out(worn), 1);
  // Each wait in vain may lose much more than a millisecond on a busy machine.
  for (int tries = 1, attempt = 0; tries < 2; ++attempt) {
    ASSERT_LT(attempt, 100);
    Patience helped(1ms, 2ms);
    for (int i = 0; i < 10'000; ++i) helped.wait([] { return true; });
    tries = wear_out(helped);
  }
}

}  // namespace
}  // namespace valkeycache::testing
