// When a connection logs in again.
#include "valkey/login.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using detail::Login;
using detail::SteadyTime;

class LoginTimes : public testing::Test {
 protected:
  Login login_;
  const SteadyTime now_{1000h};
};

// As ElastiCache has it: after twelve hours it ends a connection.
TEST_F(LoginTimes, AfterThreeQuartersOfALifeAndUpToATenthLater) {
  auto earliest = SteadyTime::max();
  auto latest = SteadyTime::min();
  for (int i = 0; i < 1000; ++i) {
    login_.logged_in(12h, now_);
    earliest = std::min(earliest, login_.due());
    latest = std::max(latest, login_.due());
  }
  EXPECT_GE(earliest, now_ + 9h);
  EXPECT_LE(latest, now_ + 10h + 12min);
  EXPECT_GT(latest - earliest, 1h) << "not all connections at one time";
}

TEST_F(LoginTimes, NeverWhereAPasswordIsForEver) {
  login_.logged_in(12h, now_);
  login_.logged_in(0h, now_);
  EXPECT_EQ(login_.due(), SteadyTime::max());
}

TEST_F(LoginTimes, ALifeOfAgesDoesNotOverflow) {
  login_.logged_in(std::chrono::milliseconds::max(), now_);
  EXPECT_GT(login_.due(), now_ + 24h * 200);
  EXPECT_LT(login_.due(), now_ + 24h * 366);
}

// Of twelve hours three are left then.
TEST_F(LoginTimes, SoonAgainWhereItFailed) {
  login_.logged_in(12h, now_);
  login_.failed(now_ + 10h);
  EXPECT_EQ(login_.due(), now_ + 10h + 1min);
  login_.logged_in(1s, now_);
  login_.failed(now_);
  EXPECT_EQ(login_.due(), now_ + 20ms);
  login_.logged_out();
  EXPECT_EQ(login_.due(), SteadyTime::max());
}

}  // namespace
}  // namespace valkeycache
