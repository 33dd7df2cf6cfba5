// What the client's thread sleeps on: any number of sockets, and a wake-up.
#pragma once

#include <valkeycache/config.hpp>

#include <chrono>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

// Of one thread, except wake().
class SocketSet {
 public:
  // Throws std::system_error where there are no descriptors left.
  SocketSet();
  ~SocketSet();
  SocketSet(const SocketSet&) = delete;
  SocketSet& operator=(const SocketSet&) = delete;

  // Watches a socket from now on; for neither: no longer. Tells whether that could be had.
  bool watch(int socket, bool readable, bool writable) noexcept;
  void forget(int socket) noexcept;

  struct Ready {
    int socket = -1;
    bool readable = false;
    bool writable = false;
    bool failed = false;
  };
  // Sleeps until a socket is ready, wake() is called or the time is over, and adds what is ready.
  void wait(std::chrono::milliseconds timeout, std::vector<Ready>& ready);

  // From any thread: ends the current wait(), or the next one.
  void wake() noexcept;

 private:
  int epoll_ = -1;
  int wake_ = -1;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
