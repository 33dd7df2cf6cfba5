// Names whose resolution hangs or whose address moves, and time that jumps: with a resolver and a
// clock of the test's own, the connection being driven by hand.
//
// Time is the steady clock everywhere in src/valkey: setting the system's clock has no effect on
// it. What remains are jumps forward, when the process was stopped for a while.
#include <atomic>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault.hpp"
#include "valkey/connection.hpp"
#include "valkey/decode.hpp"
#include "valkey/wire.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;
using detail::SteadyTime;

namespace {

using Get = detail::CommandFuture<Found>;

// A connection and what an I/O thread does for it, done by the test.
class Driven {
 public:
  Driven(ValkeyCacheOptions options, detail::Resolve resolve)
      : options_(std::move(options)),
        connection_(options_, poller_, counters_, nullptr, std::move(resolve)) {}

  Future<Found> get(const std::string& key, std::chrono::milliseconds timeout) {
    auto command = detail::Ref<Get>::adopt(new Get(&detail::decode_value));
    command->request = detail::make_request({"GET", key});
    command->deadline = now() + timeout;
    auto future = detail::Ref<detail::FutureState<Found>>::share(command.get());
    connection_.accept(detail::Ref<detail::Command>::adopt(command.detach()));
    return FutureAccess::make<Found>(std::move(future));
  }
  template <class Condition>
  bool drive_until(Condition condition) {
    const auto give_up = SteadyClock::now() + patience;
    while (!condition()) {
      if (SteadyClock::now() > give_up) return false;
      drive();
    }
    return true;
  }
  void drive() {
    connection_.drive(now(), ready_);
    connection_.publish();
    ready_ = poller_.wait(SteadyClock::now() + 1ms);
  }
  // Waits without doing anything about what comes.
  bool bytes_come() {
    return wait_until([this] {
      ready_ = poller_.wait(SteadyClock::now() + 1ms);
      return ready_.readable;
    });
  }
  // The process is stopped for so long: it does nothing, and then its clock has moved on.
  void jump(std::chrono::milliseconds time) { ahead_ += time; }
  [[nodiscard]] bool connected() const { return connection_.connected(); }
  [[nodiscard]] const detail::Counters& counters() const { return counters_; }

 private:
  [[nodiscard]] SteadyTime now() const { return SteadyClock::now() + ahead_; }

  const ValkeyCacheOptions options_;
  detail::Counters counters_;
  detail::Poller poller_;
  detail::Connection connection_;
  detail::Poller::Ready ready_;
  SteadyClock::duration ahead_{};
};

ValkeyCacheOptions at(const ValkeyServer& server) {
  auto options = patient();
  options.host = "cache.example";
  options.port = server.port();
  return options;
}

TEST(Names, AResolverThatHangsCostsCallsTheirDeadlineOnly) {
  const ValkeyServer server;
  // Outlives the test: the thread that hangs in it is let go at the end and waited for by nobody.
  struct Hanging {
    Gate gate;
    std::atomic<int> asked{0};
    std::atomic<int> answered{0};
  };
  const auto hanging = std::make_shared<Hanging>();
  auto options = at(server);
  options.connect_timeout = 30ms;
  {
    Driven driven(options, [hanging](const std::string&) -> Result<detail::Addresses> {
      ++hanging->asked;
      hanging->gate.wait();
      ++hanging->answered;
      return detail::Addresses{"127.0.0.1"};
    });
    auto get = driven.get("k", 100ms);
    ASSERT_TRUE(driven.drive_until([&] { return get.ready(); }));
    EXPECT_TRUE(fails_with(get.get(), {ErrorCode::timeout, ErrorCode::connect_failed}));
    // Attempt upon attempt times out, and they share the one thread that hangs.
    ASSERT_TRUE(driven.drive_until([&] { return driven.counters().connect_failures.get() >= 4; }));
    EXPECT_EQ(hanging->asked, 1);
    // The address that comes at last is used.
    auto late = driven.get("k", patience);
    hanging->gate.open();
    ASSERT_TRUE(driven.drive_until([&] { return late.ready(); }));
    EXPECT_EQ(late.get().value(), std::nullopt);
  }
  EXPECT_TRUE(wait_until([&] { return hanging->asked == hanging->answered; }));
}

TEST(Names, DestroyedWhileTheResolverHangs) {
  const ValkeyServer server;
  const auto gate = std::make_shared<Gate>();
  const auto done = std::make_shared<std::atomic<bool>>(false);
  {
    Driven driven(at(server), [gate, done](const std::string&) -> Result<detail::Addresses> {
      gate->wait();
      *done = true;
      return detail::Addresses{"127.0.0.1"};
    });
    for (int i = 0; i < 5; ++i) driven.drive();
  }  // does not wait for it
  EXPECT_FALSE(*done);
  gate->open();
  EXPECT_TRUE(wait_until([&] { return done->load(); })) << "and it finds nobody to tell";
}

// Accepts connections on another address of the loopback and says nothing.
class SilentAddress {
 public:
  SilentAddress(const char* address, std::uint16_t port)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    inet_pton(AF_INET, address, &name.sin_addr);
    listening_ = bind(socket_, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 &&
                 listen(socket_, 16) == 0;
  }
  ~SilentAddress() { close(socket_); }
  SilentAddress(const SilentAddress&) = delete;
  SilentAddress& operator=(const SilentAddress&) = delete;
  [[nodiscard]] bool listening() const { return listening_; }

 private:
  int socket_;
  bool listening_ = false;
};

TEST(Names, AnAddressThatMovesIsFollowed) {
  const ValkeyServer server;
  const SilentAddress silent("127.0.0.2", server.port());
  ASSERT_TRUE(silent.listening());
  const auto moved = std::make_shared<std::atomic<bool>>(false);
  const auto asked = std::make_shared<std::atomic<int>>(0);
  auto options = at(server);
  options.connect_timeout = 50ms;
  Driven driven(options, [moved, asked](const std::string& host) -> Result<detail::Addresses> {
    EXPECT_EQ(host, "cache.example");
    ++*asked;
    return detail::Addresses{*moved ? "127.0.0.1" : "127.0.0.2"};
  });
  auto get = driven.get("k", patience);
  ASSERT_TRUE(driven.drive_until([&] { return driven.counters().connect_failures.get() >= 2; }));
  EXPECT_FALSE(get.ready());
  *moved = true;
  ASSERT_TRUE(driven.drive_until([&] { return get.ready(); }));
  EXPECT_EQ(get.get().value(), std::nullopt);
  // After a loss it is asked for again: it may have moved once more.
  const int before = *asked;
  server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  ASSERT_TRUE(driven.drive_until([&] { return driven.counters().connects.get() == 2; }));
  EXPECT_GT(*asked, before);
}

TEST(Names, OneAddressOfManyIsEnough) {
  const ValkeyServer server;
  const SilentAddress silent("127.0.0.2", server.port());
  ASSERT_TRUE(silent.listening());
  auto options = at(server);
  // Nothing listens on the first one.
  Driven driven(options, [](const std::string&) -> Result<detail::Addresses> {
    return detail::Addresses{"127.0.0.3", "127.0.0.1", "127.0.0.2"};
  });
  auto get = driven.get("k", patience);
  ASSERT_TRUE(driven.drive_until([&] { return get.ready(); }));
  EXPECT_EQ(get.get().value(), std::nullopt);
  EXPECT_EQ(driven.counters().connect_failures.get(), 0U) << "it is all one attempt";
}

Result<detail::Addresses> loopback(const std::string&) {
  return detail::Addresses{"127.0.0.1"};
}

TEST(Times, AReplyThatCameWhileTheProcessWasStoppedCounts) {
  const ValkeyServer server;
  server.command({"SET", "k", "v"});
  Driven driven(at(server), loopback);
  ASSERT_TRUE(driven.drive_until([&] { return driven.connected(); }));
  for (const auto jump : {1h, 24h * 365}) {
    auto get = driven.get("k", 1s);
    driven.drive();  // sends it
    ASSERT_FALSE(get.ready());
    ASSERT_TRUE(driven.bytes_come());
    driven.jump(jump);
    driven.drive();
    ASSERT_TRUE(get.ready());
    EXPECT_EQ(get.get().value(), Found("v")) << "it is there, so it is not too late";
  }
  EXPECT_TRUE(driven.connected()) << "nor was the server silent";
}

TEST(Times, DeadlinesThatPassedMeanwhileEndTheirCalls) {
  ValkeyServer server;
  Driven driven(at(server), loopback);
  ASSERT_TRUE(driven.drive_until([&] { return driven.connected(); }));
  server.pause();
  auto brief = driven.get("k", 1s);
  driven.drive();
  driven.jump(60s);  // less than is taken for silence
  driven.drive();
  ASSERT_TRUE(brief.ready());
  EXPECT_TRUE(fails_with(brief.get(), ErrorCode::timeout));
  EXPECT_TRUE(driven.connected());
  server.resume();
  auto next = driven.get("k", patience);
  ASSERT_TRUE(driven.drive_until([&] { return next.ready(); }));
  EXPECT_EQ(next.get().value(), std::nullopt);
  EXPECT_EQ(driven.counters().connects.get(), 1U);
}

TEST(Times, AJumpWhileConnectingCostsOneAttempt) {
  const ValkeyServer server;
  Driven driven(at(server), loopback);
  driven.drive();
  driven.jump(24h);
  auto get = driven.get("k", patience);
  ASSERT_TRUE(driven.drive_until([&] { return get.ready(); }));
  EXPECT_EQ(get.get().value(), std::nullopt);
  EXPECT_LE(driven.counters().connect_failures.get(), 1U);
}

}  // namespace
