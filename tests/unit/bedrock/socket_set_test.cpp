#include "bedrock/socket_set.hpp"

#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;
using detail::SocketSet;

class SocketSetTest : public ::testing::Test {
 protected:
  // A pair whose first end has the number asked for, if any; the other end has something to say.
  struct Pair {
    int ours = -1;
    int theirs = -1;
  };
  static Pair talking_pair(int number = -1) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    if (number >= 0 && ends[0] != number) {
      EXPECT_NE(ends[1], number);
      EXPECT_EQ(dup2(ends[0], number), number);
      ::close(ends[0]);
      ends[0] = number;
    }
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
    return {ends[0], ends[1]};
  }
  static void close(const Pair& pair) {
    ::close(pair.ours);
    ::close(pair.theirs);
  }
  std::vector<int> readable(std::chrono::milliseconds timeout = 0ms) {
    std::vector<SocketSet::Ready> ready;
    set_.wait(timeout, ready);
    std::vector<int> sockets;
    for (const auto& one : ready) {
      if (one.readable) sockets.push_back(one.socket);
    }
    return sockets;
  }

  detail::WakeEvent wake_;
  SocketSet set_{wake_};
};

TEST_F(SocketSetTest, AKeptSocketIsHeardOfWheneverItIsWatched) {
  const auto pair = talking_pair();
  set_.opened(pair.ours);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(set_.watch(pair.ours, true, false));
    EXPECT_EQ(readable(), std::vector{pair.ours});
    set_.forget(pair.ours);
    EXPECT_EQ(readable(), std::vector<int>{});  // once the kernel is told, once it is known
    EXPECT_EQ(readable(), std::vector<int>{});
  }
  ASSERT_TRUE(set_.watch(pair.ours, true, false));
  set_.forget(pair.ours);
  ASSERT_TRUE(set_.watch(pair.ours, true, false));
  EXPECT_EQ(readable(), std::vector{pair.ours});
  set_.closing(pair.ours);
  EXPECT_EQ(readable(), std::vector<int>{});
  close(pair);
}

// As a look-up's, after a connection that was never made.
TEST_F(SocketSetTest, AnotherSocketOfTheSameNumberIsHeardOf) {
  for (const bool connecting : {true, false}) {
    const auto first = talking_pair();
    set_.opened(first.ours);
    if (connecting) {
      ASSERT_TRUE(set_.watch(first.ours, false, true));
      set_.forget(first.ours);
    }
    close(first);  // nobody is told
    for (int i = 0; i < 3; ++i) {
      const auto other = talking_pair(first.ours);
      ASSERT_TRUE(set_.watch(other.ours, true, false));
      EXPECT_EQ(readable(), std::vector{other.ours}) << "the number's use " << i;
      set_.forget(other.ours);
      EXPECT_EQ(readable(), std::vector<int>{});
      close(other);
    }
  }
}

TEST_F(SocketSetTest, ASocketThatWasNotAnnouncedMayCloseUnderARunningWatch) {
  const auto pair = talking_pair();
  ASSERT_TRUE(set_.watch(pair.ours, true, true));
  EXPECT_EQ(readable(), std::vector{pair.ours});
  ASSERT_TRUE(set_.watch(pair.ours, false, false));
  EXPECT_EQ(readable(), std::vector<int>{});
  close(pair);
}

TEST_F(SocketSetTest, TheEventEndsAWaitOnce) {
  wake_.set();
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(readable(30s), std::vector<int>{});
  EXPECT_LT(std::chrono::steady_clock::now() - began, 30s);
  EXPECT_EQ(readable(1ms), std::vector<int>{});
}

}  // namespace
}  // namespace valkeycache::testing
