// What the client's thread sleeps on: any number of sockets, and a wake-up.
//
// Most exchanges go over sockets that were kept from earlier ones, and each of them says anew what
// it waits for, and at its end that it waits no more. The kernel is told only of what differs.
#pragma once

#include <valkeycache/config.hpp>

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/wake_event.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Of one thread at a time.
class SocketSet {
 public:
  // Throws std::system_error where there are no descriptors left. `wake` has to outlive the set.
  explicit SocketSet(const WakeEvent& wake);
  ~SocketSet();
  SocketSet(const SocketSet&) = delete;
  SocketSet& operator=(const SocketSet&) = delete;

  // Watches a socket from now on; for neither: no longer. Tells whether that could be had.
  bool watch(int socket, bool readable, bool writable) noexcept;
  void forget(int socket) noexcept;

  // Promises that closing() will be called before this socket is closed, once it was watched for
  // input. Without that the kernel is told of each change at once: it forgets what is closed, and
  // the number may come again. (libcurl before 8.2 closes what never connected without a word.)
  void opened(int socket) noexcept;
  void closing(int socket) noexcept;

  struct Ready {
    int socket = -1;
    bool readable = false;
    bool writable = false;
    bool failed = false;
  };
  // Sleeps until a socket is ready, the event is set or the time is over, and adds what is ready.
  void wait(std::chrono::milliseconds timeout, std::vector<Ready>& ready);
  // Sleeps likewise and leaves what is ready where it is. Of any thread, any number at a time.
  void sleep(std::chrono::milliseconds timeout) const noexcept;

 private:
  // Of a socket that was announced.
  struct Known {
    std::uint64_t cookie = 0;  // the kernel's number for it; 0: none is known
    bool watched = false;
    std::uint32_t registered = 0;  // what the kernel tells of it, watched or not
  };
  [[nodiscard]] Known* known(int socket) noexcept;
  bool tell(int socket, std::uint32_t events) noexcept;

  int epoll_ = -1;
  const int wake_;
  std::vector<Known> known_;  // by descriptor
};

}  // namespace detail
}  // namespace valkeycache::inline v0
