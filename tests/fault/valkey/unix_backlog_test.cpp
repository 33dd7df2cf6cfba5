// A Unix socket whose server takes nobody in.
#include <cerrno>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fault.hpp"
#include "support/valkey/child_process.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

// As of a server that hangs, when others wait for it.
TEST(UnixBacklog, IsTriedAgainAtLeisure) {
  const TemporaryFolder folder;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = folder.path() + "/socket";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto* const where = reinterpret_cast<const sockaddr*>(&address);
  const int listening = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(listening, where, sizeof address), 0);
  ASSERT_EQ(listen(listening, 0), 0);
  std::vector<int> waiting{listening};
  do {
    waiting.push_back(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
  } while (connect(waiting.back(), where, sizeof address) == 0);
  ASSERT_EQ(errno, EAGAIN);
  const auto cache = ValkeyCache::open("unix://" + path, patient()).value();
  // Who waits for the end of an attempt waits long, and takes a whole processor.
  EXPECT_TRUE(wait_until([&] { return cache.stats().connect_failures >= 10; }, 5s));
  for (const int socket : waiting) close(socket);
}

}  // namespace
