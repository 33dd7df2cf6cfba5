// A doubly linked list through links inside the elements: O(1) removal from the middle, no memory.
#pragma once

#include <cstddef>

#include "valkey/command.hpp"

namespace valkeycache::inline v0 {
namespace detail {

template <Command::Links Command::*Link>
class CommandList {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  [[nodiscard]] Command* front() const noexcept { return head_; }
  [[nodiscard]] static Command* next(const Command* command) noexcept {
    return (command->*Link).next;
  }

  void push_back(Command* command) noexcept {
    (command->*Link) = {tail_, nullptr};
    (tail_ ? (tail_->*Link).next : head_) = command;
    tail_ = command;
  }
  void push_front(Command* command) noexcept {
    (command->*Link) = {nullptr, head_};
    (head_ ? (head_->*Link).previous : tail_) = command;
    head_ = command;
  }
  void remove(Command* command) noexcept {
    auto& links = command->*Link;
    (links.previous ? (links.previous->*Link).next : head_) = links.next;
    (links.next ? (links.next->*Link).previous : tail_) = links.previous;
    links = {};
  }

 private:
  Command* head_ = nullptr;
  Command* tail_ = nullptr;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
