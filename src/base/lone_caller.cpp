#include "base/lone_caller.hpp"

#include <utility>

namespace valkeycache::inline v0 {
namespace detail {

namespace {
thread_local const Steering* innermost = nullptr;
}

Steering::Steering(const void* client) noexcept
    : client_(client), outer_(std::exchange(innermost, this)) {}
Steering::~Steering() {
  innermost = outer_;
}

bool Steering::steers(const void* client) noexcept {
  const auto* one = innermost;
  while (one && one->client_ != client) one = one->outer_;
  return one != nullptr;
}
bool Steering::steers_any() noexcept {
  return innermost != nullptr;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
