// What the I/O thread sleeps on: one socket and a wake-up descriptor.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "base/futex.hpp"
#include "base/wake_event.hpp"
#include "valkey/turn_list.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Of one thread, except wake().
class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // False when the descriptors could not be had (EMFILE), or not be watched.
  [[nodiscard]] bool usable() const noexcept { return usable_; }

  struct Ready {
    bool readable = false;  // or hung up, or failed: reading will tell
    bool writable = false;
  };
  // Where many descriptors are watched: what is ready is noted for each. Then wait() is of one
  // thread, too.
  struct Watched {
    void* owner = nullptr;
    Ready ready = {};
  };

  // Watches a descriptor; `writable` asks for that too.
  bool watch(int descriptor, bool writable, Watched* watched = nullptr) noexcept;
  void update(int descriptor, bool writable, Watched* watched = nullptr) noexcept;
  // Before the descriptor is closed.
  void forget(int descriptor, Watched* watched = nullptr) noexcept;
  // Goes through those that wait() found ready since this was last asked; `use` takes their marks
  // off.
  template <class Use>
  void take_ready(Use use) {
    ready_.take_all(use);
  }
  // Whether there are such.
  [[nodiscard]] bool has_ready() const noexcept { return !ready_.empty(); }
  // Sleeps until something is ready, wake() was called or the time has come.
  Ready wait(std::optional<SteadyTime> until) noexcept;

  // From any thread; costs a system call.
  void wake() noexcept;
  // Sleeps until wake() is called, or for as long, and watches no descriptor. For one thread,
  // beside another's wait(): both notice wake().
  void wait_for_wake(std::chrono::milliseconds longest) noexcept;

 private:
  int epoll_ = -1;
  bool usable_ = false;
  TurnList<Watched*> ready_;
  WakeEvent wake_;
  enum class Parked : std::uint32_t { no, yes };
  std::atomic<Parked> parked_{Parked::no};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
