// A program with a hiredis of its own, of whatever version. Here it is a set of traps: the library
// must call its own hiredis and none of these, and the program must link.
#include <valkeycache/valkey_cache.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <sys/socket.h>

#define TRAP(name)                                                      \
  extern "C" __attribute__((visibility("default"))) void name();        \
  extern "C" void name() {                                              \
    std::fputs("the library called the program's " #name "\n", stderr); \
    std::_Exit(3);                                                      \
  }

TRAP(redisConnect)
TRAP(redisConnectNonBlock)
TRAP(redisConnectUnixNonBlock)
TRAP(redisConnectWithOptions)
TRAP(redisContextConnectBindTcp)
TRAP(redisContextConnectUnix)
TRAP(redisFree)
TRAP(redisNetRead)
TRAP(redisReaderCreate)
TRAP(redisReaderCreateWithFunctions)
TRAP(redisReaderFeed)
TRAP(redisReaderFree)
TRAP(redisReaderGetReply)
TRAP(redisvFormatCommand)
TRAP(sdsempty)
TRAP(sdsfree)
TRAP(sdsnewlen)

int main() {
  using namespace std::chrono_literals;
  // A name that resolves and a port that nobody listens on: connecting is tried, and fails.
  auto cache = valkeycache::ValkeyCache::open("valkey://127.0.0.1:1",
                                              {.connect_timeout = 200ms, .command_timeout = 200ms})
                   .value();
  const auto pong = cache.ping().get();
  if (pong.has_value()) return 1;
  if (cache.stats().connect_failures == 0) return 1;
  std::puts(VALKEYCACHE_VERSION_STRING);
}
