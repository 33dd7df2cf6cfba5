#include "bedrock/socket_set.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <system_error>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace valkeycache::inline v0 {
namespace detail {

SocketSet::SocketSet()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  epoll_event event{};
  // Edge-triggered: each write wakes once, and the counter need never be read back.
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = wake_;
  if (epoll_ < 0 || wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
    const int error = errno;
    if (wake_ >= 0) close(wake_);
    if (epoll_ >= 0) close(epoll_);
    throw std::system_error(error, std::generic_category());
  }
}

SocketSet::~SocketSet() {
  close(wake_);
  close(epoll_);
}

bool SocketSet::watch(int socket, bool readable, bool writable) noexcept {
  if (!readable && !writable) {
    forget(socket);
    return true;
  }
  epoll_event event{};
  event.events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
  event.data.fd = socket;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, socket, &event) == 0) return true;
  return errno == ENOENT && epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) == 0;
}

void SocketSet::forget(int socket) noexcept {
  epoll_event event{};
  epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, &event);
}

void SocketSet::wait(std::chrono::milliseconds timeout, std::vector<Ready>& ready) {
  const auto time = std::clamp<std::chrono::milliseconds::rep>(timeout.count(), 0, INT_MAX);
  std::array<epoll_event, 64> events{};
  const int count =
      epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), static_cast<int>(time));
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == wake_) continue;
    ready.push_back({.socket = event.data.fd,
                     .readable = (event.events & EPOLLIN) != 0,
                     .writable = (event.events & EPOLLOUT) != 0,
                     .failed = (event.events & (EPOLLERR | EPOLLHUP)) != 0});
  }
}

void SocketSet::wake() noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then it is readable anyway.
  [[maybe_unused]] const auto written = write(wake_, &one, sizeof one);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
