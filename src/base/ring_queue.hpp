// A queue in one block of memory that grows and is then kept: in a steady state it allocates
// nothing, which std::deque does every few elements.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

// Elements are default-constructible, and assignable by move; a removed one is reset to T().
template <class T>
class RingQueue {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // From the front.
  [[nodiscard]] T& operator[](std::size_t index) noexcept { return at(index); }
  [[nodiscard]] T& front() noexcept { return at(0); }
  [[nodiscard]] T& back() noexcept { return at(size_ - 1); }

  void push_back(T element) {
    if (size_ == ring_.size()) grow();
    at(size_) = std::move(element);
    ++size_;
  }
  T pop_front() {
    T element = std::exchange(front(), T());
    first_ = (first_ + 1) & (ring_.size() - 1);
    --size_;
    return element;
  }
  T pop_back() {
    T element = std::exchange(back(), T());
    --size_;
    return element;
  }

 private:
  [[nodiscard]] T& at(std::size_t index) noexcept {
    return ring_[(first_ + index) & (ring_.size() - 1)];
  }
  void grow() {
    std::vector<T> larger(ring_.empty() ? 64 : ring_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move(at(i));
    ring_ = std::move(larger);
    first_ = 0;
  }

  std::vector<T> ring_;  // a power of two long
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
