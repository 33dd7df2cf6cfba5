// A connection that stands for hours, by a clock that the test sets: it logs in again before the
// server would end it, and again before that one is over.
#include <valkeycache/valkey_cache.hpp>

#include <atomic>

#include "contract.hpp"
#include "support/valkey/fake_server.hpp"
#include "valkey/connection.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;
using detail::SteadyTime;

namespace {

class Relogin : public testing::Test {
 protected:
  // Lets it work at this time until the condition holds.
  template <class Condition>
  bool drive_until(Condition condition) {
    return wait_until([&] {
      const auto ready = poller_.wait(SteadyTime::clock::now() + 1ms);
      connection_.drive(now_, ready);
      connection_.publish();
      return condition();
    });
  }
  [[nodiscard]] std::vector<std::string> passwords() const {
    std::vector<std::string> all;
    for (const auto& command : server_.commands()) {
      if (command[0] == "AUTH") all.push_back(command.back());
    }
    return all;
  }

  std::atomic<bool> refuses_{false};
  std::atomic<int> asked_{0};
  const FakeServer server_{[this](FakeConnection& connection) {
    while (const auto command = connection.read_command()) {
      const bool refused = command->at(0) == "AUTH" && refuses_;
      const auto answer =
          refused ? "-WRONGPASS no\r\n" : handshake_reply(*command).value_or("_\r\n");
      if (!connection.write(answer)) return;
    }
  }};
  SteadyTime now_ = SteadyTime::clock::now();
  const ValkeyCacheOptions options_ = [this] {
    auto options = patient_options();
    options.host = "127.0.0.1";
    options.port = server_.port();
    options.username = "app";
    options.password_provider.ask = [this]() -> Result<Password> {
      return Password{"token " + std::to_string(++asked_), 12h};
    };
    return options;
  }();
  detail::Poller poller_;
  detail::Counters counters_;
  detail::Connection connection_{options_, poller_, counters_};
};

TEST_F(Relogin, HappensWithinTwelveHoursAgainAndAgain) {
  ASSERT_TRUE(drive_until([&] { return connection_.connected(); }));
  EXPECT_EQ(passwords(), (std::vector<std::string>{"token 1"}));
  for (int time = 1; time <= 4; ++time) {
    // It waits for nothing but that.
    const auto due = connection_.next_time().value();
    EXPECT_GE(due, now_ + 9h);
    EXPECT_LE(due, now_ + 10h + 12min);
    now_ = due - 1s;
    ASSERT_TRUE(drive_until([] { return true; }));
    EXPECT_EQ(asked_, time);
    now_ = due;
    const auto wanted = static_cast<std::size_t>(time) + 1;
    ASSERT_TRUE(drive_until([&] { return passwords().size() == wanted && connection_.idle(); }));
    EXPECT_EQ(passwords().back(), "token " + std::to_string(wanted));
  }
  EXPECT_EQ(server_.connections(), 1);
  EXPECT_TRUE(connection_.connected());
}

// Some of the twelve hours are left, in which it is tried each minute.
TEST_F(Relogin, IsTriedAgainInTime) {
  ASSERT_TRUE(drive_until([&] { return connection_.connected(); }));
  const auto logged_in = now_;
  refuses_ = true;
  now_ = connection_.next_time().value();
  ASSERT_TRUE(drive_until([&] { return passwords().size() == 2 && connection_.idle(); }));
  EXPECT_TRUE(connection_.connected());
  refuses_ = false;
  now_ += 1min;
  ASSERT_TRUE(drive_until([&] { return passwords().size() == 3 && connection_.idle(); }));
  EXPECT_LT(now_, logged_in + 12h);
  EXPECT_GE(connection_.next_time().value(), now_ + 9h);
  EXPECT_EQ(server_.connections(), 1);
}

}  // namespace
