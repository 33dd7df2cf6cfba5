#include "llm/call_timer.hpp"

#include <valkeycache/future.hpp>

#include <chrono>
#include <memory>
#include <stop_token>

#include <gtest/gtest.h>

#include "llm/process_instance.hpp"

namespace {

using namespace valkeycache;
using namespace std::chrono_literals;
using detail::CallTimer;

class Waiting final : public detail::TimedCall {
 public:
  void end(Error error) noexcept override { promise_.set(std::move(error)); }
  Future<int> future() { return promise_.future(); }

 private:
  Promise<int> promise_;
};

CallTimer& timer() {
  return detail::process_instance<CallTimer>();
}
auto in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

TEST(CallTimer, IsOneForTheProcess) {
  EXPECT_EQ(&timer(), &timer());
}

TEST(CallTimer, EndsInTheOrderOfDeadlines) {
  const auto late = std::make_shared<Waiting>();
  const auto soon = std::make_shared<Waiting>();
  auto late_future = late->future();
  auto soon_future = soon->future();
  timer().arm(late, in(1h), {});
  timer().arm(soon, in(5ms), {});
  EXPECT_EQ(soon_future.get().error().code, ErrorCode::timeout);
  EXPECT_FALSE(late_future.ready());
  timer().disarm(*late);
  EXPECT_EQ(late.use_count(), 1);
}

TEST(CallTimer, ADisarmedCallIsLeftAlone) {
  const auto call = std::make_shared<Waiting>();
  auto future = call->future();
  std::stop_source stop;
  timer().arm(call, in(1ms), stop.get_token());
  timer().disarm(*call);
  stop.request_stop();
  // Whatever was due at the same time has been seen to once another call has ended.
  const auto other = std::make_shared<Waiting>();
  auto other_future = other->future();
  timer().arm(other, in(5ms), {});
  EXPECT_EQ(other_future.get().error().code, ErrorCode::timeout);
  EXPECT_TRUE(!future.ready() || future.get().error().code == ErrorCode::timeout);
}

TEST(CallTimer, AStopThatCameBeforeCounts) {
  const auto call = std::make_shared<Waiting>();
  auto future = call->future();
  std::stop_source stop;
  stop.request_stop();
  timer().arm(call, std::nullopt, stop.get_token());
  EXPECT_EQ(future.get().error().code, ErrorCode::cancelled);
}

TEST(CallTimer, ACallThatIsGoneIsNoMatter) {
  std::stop_source stop;
  {
    const auto call = std::make_shared<Waiting>();
    timer().arm(call, std::nullopt, stop.get_token());
  }
  stop.request_stop();
}

TEST(CallTimer, WithoutDeadlineOrTokenThereIsNothingToDo) {
  const auto call = std::make_shared<Waiting>();
  timer().arm(call, std::nullopt, {});
  EXPECT_EQ(call.use_count(), 1);
  timer().disarm(*call);
}

}  // namespace
