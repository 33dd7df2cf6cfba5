// What a thread of the program's is spared while it does the library's work.
#include <array>
#include <csignal>

#include <unistd.h>

#include <gtest/gtest.h>

#include "base/io_thread.hpp"

namespace valkeycache {
namespace {

using detail::SigPipeHeld;

sigset_t sigpipe() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  return set;
}
bool pending() {
  sigset_t set;
  sigpending(&set);
  return sigismember(&set, SIGPIPE) == 1;
}
bool blocked() {
  sigset_t set;
  pthread_sigmask(SIG_SETMASK, nullptr, &set);
  return sigismember(&set, SIGPIPE) == 1;
}
void write_where_nobody_reads() {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  close(ends[0]);
  EXPECT_EQ(write(ends[1], "x", 1), -1);
  close(ends[1]);
}

// It would end the test.
TEST(SigPipeHeld, ABrokenPipeDoesNotReachTheProgram) {
  ASSERT_FALSE(blocked());
  {
    const SigPipeHeld held;
    write_where_nobody_reads();
  }
  EXPECT_FALSE(pending());
  EXPECT_FALSE(blocked());
}

TEST(SigPipeHeld, OneFromBeforeIsTheProgramsStill) {
  const auto set = sigpipe();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  raise(SIGPIPE);
  {
    const SigPipeHeld held;
    write_where_nobody_reads();
  }
  EXPECT_TRUE(pending());
  EXPECT_TRUE(blocked());
  int number = 0;
  sigwait(&set, &number);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace
}  // namespace valkeycache
