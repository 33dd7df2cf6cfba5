// One call of the model for several processes, whatever becomes of the one that makes it.
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/sanitized.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/valkey_server.hpp"
#include "support/valkey/wait.hpp"

using namespace valkeycache::test;

namespace {

constexpr int callers = sanitized ? 50 : 250;
constexpr int processes = 4;

class LeaseProcesses : public ::testing::Test {
 protected:
  void launch(std::chrono::milliseconds lease, const std::string& reason = "end_turn") {
    for (int i = 0; i < processes; ++i) {
      children_.push_back(std::make_unique<ChildProcess>(
          std::vector<std::string>{VALKEYCACHE_CACHED_LEASE_CALLER, std::to_string(server_.port()),
                                   std::to_string(callers), std::to_string(lease.count()), reason},
          output(i)));
    }
    server_.command({"SET", "start", "1"});
    ASSERT_TRUE(wait_until([&] {
      const auto launched = server_.command({"GET", "launched"});
      return launched.text == std::to_string(processes) && asked() >= 1;
    }));
  }
  void let_go() { server_.command({"SET", "go", "1"}); }
  std::int64_t asked() { return server_.command({"LLEN", "asked"}).integer; }
  // Who was the n-th to ask the model.
  ChildProcess& asker(int n) {
    const auto pid = server_.command({"LINDEX", "asked", std::to_string(n)}).text;
    for (auto& child : children_) {
      if (std::to_string(child->pid()) == pid) return *child;
    }
    throw std::runtime_error("nobody of that name");
  }
  void expect_well(ChildProcess& child) { EXPECT_EQ(child.wait(2 * patience), 0); }
  void expect_all_well() {
    for (auto& child : children_) expect_well(*child);
  }
  std::chrono::milliseconds lease_left() {
    const auto keys = server_.command({"KEYS", "llm_cache:llm_responses/*:lease"});
    EXPECT_EQ(keys.items.size(), 1U);
    if (keys.items.empty()) return {};
    return std::chrono::milliseconds(server_.command({"PTTL", keys.items[0].text}).integer);
  }
  std::string said(const ChildProcess& child) {
    for (int i = 0; i < processes; ++i) {
      if (children_[static_cast<std::size_t>(i)].get() == &child) return read_text(output(i));
    }
    return {};
  }
  std::string entry() {
    const auto keys = server_.command({"KEYS", "llm_cache:llm_responses/*"});
    EXPECT_EQ(keys.items.size(), 1U) << "one entry and no lease";
    return keys.items.empty() ? "" : server_.command({"GET", keys.items[0].text}).text;
  }

  ValkeyServer server_;
  std::vector<std::unique_ptr<ChildProcess>> children_;

 private:
  std::string output(int number) const {
    return folder_.path() + "/output-" + std::to_string(number);
  }
  TemporaryFolder folder_;
};

constexpr std::chrono::milliseconds short_lease = std::chrono::seconds(6);

TEST_F(LeaseProcesses, AThousandCallersOneCall) {
  launch(std::chrono::minutes(1));
  let_go();
  expect_all_well();
  EXPECT_EQ(asked(), 1);
  for (auto& child : children_) EXPECT_EQ(said(*child), said(asker(0)));
  EXPECT_NE(entry().find("\"by "), std::string::npos);
}

TEST_F(LeaseProcesses, AHolderThatIsKilledIsReplaced) {
  launch(short_lease);
  auto& killed = asker(0);
  killed.signal(SIGKILL);
  const auto begin = std::chrono::steady_clock::now();
  const auto left = lease_left();
  EXPECT_GT(left.count(), 0);
  EXPECT_LE(left, short_lease);
  // The rest is for a busy machine.
  ASSERT_TRUE(wait_until([&] { return asked() == 2; }, left + std::chrono::seconds(10)))
      << "once the lease has run out";
  EXPECT_GE(std::chrono::steady_clock::now() - begin, left / 2) << "and not before";
  let_go();
  for (auto& child : children_) {
    if (child.get() != &killed) expect_well(*child);
  }
  EXPECT_EQ(asked(), 2);
}

TEST_F(LeaseProcesses, AHolderThatWasStoppedOverwritesNothing) {
  launch(short_lease);
  auto& stopped = asker(0);
  stopped.signal(SIGSTOP);
  ASSERT_TRUE(wait_until([&] { return asked() == 2; }));
  let_go();
  for (auto& child : children_) {
    if (child.get() != &stopped) expect_well(*child);
  }
  const auto stored = entry();
  EXPECT_NE(stored.find("by " + std::to_string(asker(1).pid())), std::string::npos);
  stopped.signal(SIGCONT);
  expect_well(stopped);
  EXPECT_EQ(said(stopped), "by " + std::to_string(stopped.pid()) + "\n") << "its own answer";
  EXPECT_EQ(entry(), stored);
  EXPECT_EQ(asked(), 2);
}

TEST_F(LeaseProcesses, AnAnswerThatIsNotStoredSendsEachProcessToTheModelOnce) {
  launch(std::chrono::minutes(1), "max_tokens");
  let_go();
  expect_all_well();
  EXPECT_EQ(asked(), processes);
}

}  // namespace
