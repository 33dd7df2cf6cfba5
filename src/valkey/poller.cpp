#include "valkey/poller.hpp"

#include <algorithm>
#include <array>

#include <sys/epoll.h>
#include <unistd.h>

namespace valkeycache::inline v0 {
namespace detail {

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = this;
  usable_ =
      epoll_ >= 0 && wake_.fd() >= 0 && epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_.fd(), &event) == 0;
}

Poller::~Poller() {
  if (epoll_ >= 0) close(epoll_);
}

bool Poller::watch(int descriptor, bool writable, Watched* watched) noexcept {
  epoll_event event{};
  event.events = EPOLLIN | (writable ? EPOLLOUT : 0U);
  event.data.ptr = watched;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void Poller::update(int descriptor, bool writable, Watched* watched) noexcept {
  epoll_event event{};
  event.events = EPOLLIN | (writable ? EPOLLOUT : 0U);
  event.data.ptr = watched;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event);
}

void Poller::forget(int descriptor, Watched* watched) noexcept {
  if (watched) ready_.erase(watched);
  epoll_event event{};
  epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, &event);
}

Poller::Ready Poller::wait(std::optional<SteadyTime> until) noexcept {
  int milliseconds = -1;
  if (until) {
    const auto left = *until - SteadyTime::clock::now();
    // Rounded up: waking early would only turn the loop for nothing.
    const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    milliseconds = static_cast<int>(std::clamp<std::int64_t>(rounded, 0, 60'000));
  }
  std::array<epoll_event, 32> events;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  const int count =
      epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds);
  Ready ready;
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    if (event.data.ptr == this) continue;
    auto* const watched = static_cast<Watched*>(event.data.ptr);
    auto& noted = watched ? watched->ready : ready;
    if (watched) ready_.push_back(watched);
    noted.readable = noted.readable || (event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
    noted.writable = noted.writable || (event.events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0;
  }
  return ready;
}

void Poller::wait_for_wake(std::chrono::milliseconds longest) noexcept {
  parked_.store(Parked::yes, std::memory_order_release);
  const auto until = SteadyTime::clock::now() + longest;
  futex_wait(parked_, Parked::yes, &until);
  parked_.store(Parked::no, std::memory_order_release);
}

void Poller::wake() noexcept {
  auto parked = Parked::yes;
  if (parked_.compare_exchange_strong(parked, Parked::no, std::memory_order_acq_rel)) {
    futex_wake_all(parked_);
  }
  wake_.set();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
