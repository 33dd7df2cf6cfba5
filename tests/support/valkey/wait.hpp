// Waiting for a condition instead of for a time.
#pragma once

#include <chrono>
#include <thread>

namespace valkeycache::test {

// Generous: it only runs out where the test fails anyway, under a sanitizer on a busy machine too.
inline constexpr std::chrono::seconds patience{30};

// Asks again and again until the condition holds; false when it did not within the time.
template <class Condition>
bool wait_until(Condition condition, std::chrono::milliseconds timeout = patience) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace valkeycache::test
