#include "aws/run_command.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "aws/credential_process.hpp"
#include "base/io_thread.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using detail::CommandLimits;
using detail::CommandResult;
using detail::process_credentials;
using detail::run_command;
using End = CommandResult::End;

CommandResult run(const std::string& command, const CommandLimits& limits = {}) {
  return run_command(command, limits, {});
}

bool has_no_children() {
  return waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD;
}

TEST(RunCommand, OutputAndStatus) {
  const auto result = run("printf 'a b'; echo hunter2 >&2; exit 3");
  EXPECT_EQ(result.end, End::exited);
  EXPECT_EQ(result.exit_status, 3);
  EXPECT_EQ(result.output, "a b");
  EXPECT_TRUE(has_no_children());
  EXPECT_EQ(run("/nonexistent/program").exit_status, 127);
  EXPECT_EQ(run("kill -9 $$").end, End::signalled);
  EXPECT_EQ(run("cat; echo end").output, "end\n") << "it reads from /dev/null";
  EXPECT_EQ(run("(exit 0) | cat; printf \"$((1+1))\"").output, "2") << "by the shell";
}

TEST(RunCommand, OutputIsBounded) {
  const auto within = run("head -c 5000 /dev/zero", {.max_output = 5000});
  EXPECT_EQ(within.end, End::exited);
  EXPECT_EQ(within.output.size(), 5000u);
  EXPECT_EQ(run("head -c 5001 /dev/zero", {.max_output = 5000}).end, End::too_large);
  EXPECT_EQ(run("while :; do echo x; done", {.max_output = 5000}).end, End::too_large);
  EXPECT_TRUE(has_no_children());
}

TEST(RunCommand, TimeIsBoundedForAllThatItStarted) {
  const test::TemporaryFolder folder;
  const auto fifo = folder.path() + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  // Who holds the writing end of the fifo is alive.
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  const auto result =
      run("sleep 1000 9>" + fifo + " & trap '' TERM; sleep 1000", {.timeout = 200ms});
  EXPECT_EQ(result.end, End::timed_out);
  EXPECT_TRUE(has_no_children());
  EXPECT_TRUE(test::wait_until([reader] {
    char c = 0;
    return read(reader, &c, 1) == 0;  // end of file: nobody holds it
  }));
  close(reader);
}

TEST(RunCommand, WhatStaysInTheBackgroundIsNotWaitedFor) {
  const auto result = run("sleep 5 & echo done", {.timeout = 60s});
  EXPECT_EQ(result.end, End::exited);
  EXPECT_EQ(result.output, "done\n");
}

TEST(RunCommand, CanBeStopped) {
  const test::TemporaryFolder folder;
  const auto mark = folder.path() + "/mark";
  std::stop_source stop;
  CommandResult result;
  std::thread runner(
      [&] { result = run_command("touch " + mark + "; sleep 1000", {}, stop.get_token()); });
  EXPECT_TRUE(test::wait_until([&mark] { return std::filesystem::exists(mark); }));
  stop.request_stop();
  runner.join();
  EXPECT_EQ(result.end, End::stopped);
}

TEST(RunCommand, InheritsNoDescriptorsAndNoBlockedSignals) {
  const int leaky = open("/dev/null", O_RDONLY);  // not marked to be closed
  ASSERT_GE(leaky, 3);
  const detail::AllSignalsBlocked blocked;
  std::signal(SIGPIPE, SIG_IGN);
  // The listing itself has one descriptor open, for the folder.
  const auto open_ones = run("ls /proc/self/fd");
  EXPECT_EQ(open_ones.output, "0\n1\n2\n3\n");
  EXPECT_EQ(run("grep SigBlk: /proc/self/status").output, "SigBlk:\t0000000000000000\n");
  // 4096 is SIGPIPE's bit.
  EXPECT_EQ(run("set -- $(grep SigIgn: /proc/self/status); echo $(( 0x$2 & 4096 ))").output, "0\n");
  std::signal(SIGPIPE, SIG_DFL);
  close(leaky);
}

TEST(RunCommand, SomebodyElseMayReap) {
  std::signal(SIGCHLD, SIG_IGN);  // children vanish by themselves
  const auto result = run("echo here");
  EXPECT_EQ(result.end, End::exited);
  EXPECT_EQ(result.output, "here\n");
  std::signal(SIGCHLD, SIG_DFL);
}

TEST(CredentialProcess, Answers) {
  const auto answer = process_credentials(
      R"(echo '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s"}')", {});
  ASSERT_TRUE(answer.credentials) << answer.why;
  EXPECT_EQ(answer.credentials->access_key_id, "A");
}

TEST(CredentialProcess, FailuresEndTheSearchAndShowNothing) {
  const auto why = [](const std::string& command, const CommandLimits& limits = {}) {
    const auto answer = process_credentials(command, {}, limits);
    EXPECT_FALSE(answer.credentials);
    EXPECT_TRUE(answer.ends_search);
    EXPECT_EQ(answer.why.find("hunter2"), std::string::npos);
    return answer.why;
  };
  EXPECT_EQ(why("echo hunter2; echo hunter2 >&2; exit 7"),
            "credential_process ended with status 7");
  EXPECT_EQ(why("echo hunter2").rfind("credential_process: the answer is no JSON object", 0), 0u);
  EXPECT_EQ(why(": hunter2; sleep 1000", {.timeout = 100ms}),
            "credential_process did not end within 100 ms");
  EXPECT_EQ(why("yes hunter2"), "credential_process wrote more than 65536 bytes");
  EXPECT_EQ(why("kill -9 $$"), "credential_process was ended by a signal");
}

}  // namespace
}  // namespace valkeycache
