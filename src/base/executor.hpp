// Giving work to a user's executor, which may run it, keep it, drop it or throw.
#pragma once

#include <valkeycache/hooks.hpp>

#include <atomic>
#include <memory>
#include <utility>

namespace valkeycache::inline v0 {
namespace detail {

// Where the executor throws, `otherwise` gets the task; an empty one when it has run all the same.
template <class Otherwise>
void give_to(const Executor& executor, Task task, Otherwise otherwise) {
  // Shared, so that the task survives an executor that throws after taking it.
  struct Pending {
    Task task;
    std::atomic<bool> taken{false};
  };
  auto pending = std::make_shared<Pending>();
  pending->task = std::move(task);
  try {
    executor(Task([pending] {
      if (pending->taken.exchange(true)) return;
      auto taken = std::move(pending->task);
      taken();
    }));
  } catch (...) {
    const bool ran = pending->taken.exchange(true);
    otherwise(ran ? Task() : std::move(pending->task));
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
