#include "base/lone_caller.hpp"

namespace valkeycache::inline v0 {
namespace detail {

namespace {
thread_local const void* steered = nullptr;
}

Steering::Steering(const void* client) noexcept : outer_(std::exchange(steered, client)) {}
Steering::~Steering() {
  steered = outer_;
}

bool Steering::steers(const void* client) noexcept {
  return steered == client;
}
bool Steering::steers_any() noexcept {
  return steered != nullptr;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
