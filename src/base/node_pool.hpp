// Objects that are used again by the thread that gave them back, so that a steady stream of calls
// takes no memory.
#pragma once

#include <cstddef>
#include <utility>

namespace valkeycache::inline v0 {
namespace detail {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr std::size_t nodes_kept = 0;  // what is used after its end shall be found
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr std::size_t nodes_kept = 0;
#else
inline constexpr std::size_t nodes_kept = 1024;
#endif
#else
inline constexpr std::size_t nodes_kept = 1024;
#endif

// A Node has a member next_free, and is as good as new when it is given back.
template <class Node>
class NodePool {
 public:
  static Node* take() {
    auto& kept = of_this_thread();
    if (!kept.first) return new Node;
    --kept.count;
    return std::exchange(kept.first, std::exchange(kept.first->next_free, nullptr));
  }
  static void give(Node* node) noexcept {
    auto& kept = of_this_thread();
    if (kept.count >= nodes_kept || kept.over) {
      delete node;
      return;
    }
    register_end();
    node->next_free = std::exchange(kept.first, node);
    ++kept.count;
  }

 private:
  // Trivial, so that it can still be asked while the thread's other objects are destroyed.
  struct Kept {
    Node* first = nullptr;
    std::size_t count = 0;
    bool over = false;
  };
  struct End {
    ~End() {
      auto& kept = of_this_thread();
      kept.over = true;
      while (auto* node = kept.first) {
        kept.first = node->next_free;
        delete node;
      }
    }
  };
  static void register_end() noexcept {
    static thread_local End end;
    static_cast<void>(end);
  }
  static Kept& of_this_thread() noexcept {
    static thread_local constinit Kept kept;
    return kept;
  }
};

}  // namespace detail
}  // namespace valkeycache::inline v0
