// Objects that live as long as the process, in the parent of a fork() and in its child apart.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/fork.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// The process's own T, made on first use and never destroyed: its threads may need it until the
// very end. In the child of a fork() there is a new one, since the old one's threads are not there
// and its locks may be held for ever. Locks nothing.
template <class T>
T& process_instance() {
  struct Node {
    Node(std::uint64_t g, Node* p) : generation(g), previous(p) {}
    std::uint64_t generation;
    Node* previous;  // stays reachable, so that leak checkers see that it is meant
    T object{};
  };
  static std::atomic<Node*> head{nullptr};
  const auto generation = fork_generation();
  auto* node = head.load(std::memory_order_acquire);
  if (node && node->generation == generation) return node->object;
  auto fresh = std::make_unique<Node>(generation, node);
  if (head.compare_exchange_strong(node, fresh.get(), std::memory_order_acq_rel)) {
    return fresh.release()->object;
  }
  return node->object;  // another thread was faster
}

// For what the child of a fork() must not destroy.
void keep_for_ever(std::shared_ptr<void> object);

}  // namespace detail
}  // namespace valkeycache::inline v0
