#include "support/valkey/loopback_port.hpp"

#include <random>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace valkeycache::test {
namespace {

// The socket, or -1 when the port is taken.
int bind_loopback(int type, std::uint16_t port) {
  const int handle = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  if (handle < 0) return -1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(handle, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return handle;
  close(handle);
  return -1;
}

}  // namespace

LoopbackPort LoopbackPort::reserve() {
  thread_local std::mt19937 random(std::random_device{}());
  std::uniform_int_distribution<int> candidates(18000, 31999);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    LoopbackPort port;
    port.number_ = static_cast<std::uint16_t>(candidates(random));
    port.reservation_ = bind_loopback(SOCK_DGRAM, port.number_);
    if (port.reservation_ < 0) continue;
    const int probe = bind_loopback(SOCK_STREAM, port.number_);
    if (probe < 0) continue;
    close(probe);
    return port;
  }
  throw std::runtime_error("no free loopback port");
}

LoopbackPort::~LoopbackPort() {
  if (reservation_ >= 0) close(reservation_);
}

bool has_ipv6_loopback() {
  const int handle = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (handle < 0) return false;
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const bool there = bind(handle, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(handle);
  return there;
}

}  // namespace valkeycache::test
