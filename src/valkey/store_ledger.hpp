// StoreLedger: which stores are under way, by epochs, so that flush() knows when all that came
// before it are done, whichever connection carries them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "valkey/command.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class StoreLedger {
 public:
  // Once for a command, however often it changes its connection.
  void add(Command& command) {
    if (command.effect != Command::Effect::store || command.store_epoch != 0) return;
    command.store_epoch = epoch_;
    if (open_.empty() || open_.back().first != epoch_) open_.emplace_back(epoch_, 0);
    ++open_.back().second;
  }
  void done(Command& command) {
    if (command.store_epoch == 0) return;
    const auto at = std::find_if(open_.begin(), open_.end(), [&](const auto& epoch) {
      return epoch.first == command.store_epoch;
    });
    command.store_epoch = 0;
    if (--at->second == 0) open_.erase(at);
  }

  // Marks a point in the order of stores; done_until() of it tells of those before.
  std::uint64_t close_epoch() { return epoch_++; }
  [[nodiscard]] bool done_until(std::uint64_t epoch) const {
    return open_.empty() || open_.front().first > epoch;
  }
  [[nodiscard]] bool empty() const { return open_.empty(); }

 private:
  std::uint64_t epoch_ = 1;
  std::vector<std::pair<std::uint64_t, std::size_t>> open_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
