// The sockets of this process that are connected to a port: what the system itself says of a
// client's connections.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/tcp.h>  // netinet's does not know of bytes received

namespace valkeycache::test {

inline std::vector<int> sockets_connected_to(std::uint16_t port) {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int descriptor = std::stoi(entry.path().filename().string());
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
        peer.sin_family == AF_INET && peer.sin_port == htons(port)) {
      found.push_back(descriptor);
    }
  }
  return found;
}

inline int socket_option(int descriptor, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  getsockopt(descriptor, level, name, &value, &size);
  return value;
}

// What has arrived at it, read or not.
inline std::uint64_t bytes_received(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size);
  return info.tcpi_bytes_received;
}

}  // namespace valkeycache::test
