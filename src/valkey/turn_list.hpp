// A list that fills while the turn goes on and is gone through in the next: its memory stays.
#pragma once

#include <utility>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

template <class T>
class TurnList {
 public:
  [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
  void push_back(T item) { list_.push_back(std::move(item)); }
  void erase(const T& item) { std::erase(list_, item); }

  // All that is there now, once each; what is added meanwhile is left for the next time.
  template <class Use>
  void take_all(Use use) {
    auto taken = std::exchange(spare_, {});
    taken.swap(list_);
    for (auto& item : taken) use(item);
    taken.clear();
    spare_ = std::move(taken);
  }

 private:
  std::vector<T> list_;
  std::vector<T> spare_;  // empty
};

}  // namespace detail
}  // namespace valkeycache::inline v0
