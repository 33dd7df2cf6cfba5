#include "llm/process_instance.hpp"

#include <utility>

namespace valkeycache::inline v0 {
namespace detail {

void keep_for_ever(std::shared_ptr<void> object) {
  struct Node {
    std::shared_ptr<void> object;
    Node* next;
  };
  static std::atomic<Node*> head{nullptr};
  auto* node = new Node{std::move(object), head.load(std::memory_order_relaxed)};
  while (!head.compare_exchange_weak(node->next, node, std::memory_order_acq_rel)) {
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
