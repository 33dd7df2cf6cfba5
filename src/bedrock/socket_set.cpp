#include "bedrock/socket_set.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <new>
#include <system_error>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace valkeycache::inline v0 {
namespace detail {

namespace {

// The kernel's number for a socket, which does not come again; 0: it has none.
std::uint64_t cookie_of(int socket) noexcept {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

int whole_int(std::chrono::milliseconds timeout) noexcept {
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(timeout.count(), 0, INT_MAX));
}

}  // namespace

SocketSet::SocketSet(const WakeEvent& wake)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(wake.fd()) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = wake_;
  if (epoll_ < 0 || wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
    const int error = errno;
    if (epoll_ >= 0) close(epoll_);
    throw std::system_error(error, std::generic_category());
  }
}

SocketSet::~SocketSet() {
  close(epoll_);
}

SocketSet::Known* SocketSet::known(int socket) noexcept {
  const auto index = static_cast<std::size_t>(socket);
  return index < known_.size() && known_[index].cookie != 0 ? &known_[index] : nullptr;
}

void SocketSet::opened(int socket) noexcept {
  const auto cookie = cookie_of(socket);
  if (cookie == 0) return;
  const auto index = static_cast<std::size_t>(socket);
  try {
    if (index >= known_.size()) known_.resize(index + 1);
  } catch (const std::bad_alloc&) {
    return;  // its way is the longer one
  }
  known_[index] = {.cookie = cookie};
}

void SocketSet::closing(int socket) noexcept {
  auto* one = known(socket);
  if (!one) return;
  if (one->registered != 0) tell(socket, 0);
  *one = {};
}

bool SocketSet::watch(int socket, bool readable, bool writable) noexcept {
  const std::uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
  auto* one = known(socket);
  if (!one) return tell(socket, events);
  if (events == 0 && (one->registered & EPOLLIN) == 0) {
    closing(socket);
    return true;
  }
  if (events != 0 && cookie_of(socket) != one->cookie) {  // another one by now
    *one = {};
    return tell(socket, events);
  }
  one->watched = events != 0;
  if (events == 0 || one->registered == events) return true;
  if (!tell(socket, events)) return false;
  one->registered = events;
  return true;
}

void SocketSet::forget(int socket) noexcept {
  watch(socket, false, false);
}

bool SocketSet::tell(int socket, std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.fd = socket;
  if (events == 0) return epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, &event) == 0;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, socket, &event) == 0) return true;
  return errno == ENOENT && epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) == 0;
}

void SocketSet::sleep(std::chrono::milliseconds timeout) const noexcept {
  pollfd entry{.fd = epoll_, .events = POLLIN, .revents = 0};
  poll(&entry, 1, whole_int(timeout));
}

void SocketSet::wait(std::chrono::milliseconds timeout, std::vector<Ready>& ready) {
  std::array<epoll_event, 64> events{};
  const int count =
      epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), whole_int(timeout));
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == wake_) continue;
    if (auto* one = known(event.data.fd); one && !one->watched) {
      tell(event.data.fd, 0);  // nobody asks it now, so it would be told again and again
      one->registered = 0;
      continue;
    }
    ready.push_back({.socket = event.data.fd,
                     .readable = (event.events & EPOLLIN) != 0,
                     .writable = (event.events & EPOLLOUT) != 0,
                     .failed = (event.events & (EPOLLERR | EPOLLHUP)) != 0});
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
