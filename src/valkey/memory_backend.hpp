// MemoryBackend: a cache without a server, on the same kind of I/O thread.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "valkey/backend.hpp"
#include "valkey/memory_store.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class MemoryBackend final : public Backend {
 public:
  MemoryBackend(std::shared_ptr<MemoryStore> store, Counters& counters)
      : store_(std::move(store)), counters_(counters) {}

  void accept(Ref<Command> command) override { waiting_.push_back(std::move(command)); }
  void cancel(Command& command) override;
  void drive(SteadyTime now, Poller::Ready ready) override;
  [[nodiscard]] std::optional<SteadyTime> next_time() const override { return std::nullopt; }
  void publish() override;
  void begin_closing() override;
  void finish_closing() override { begin_closing(); }
  [[nodiscard]] bool idle() const override { return waiting_.empty(); }
  // Everything accepted has been carried out by the time that anybody asks.
  std::uint64_t mark_stores() override { return 0; }
  [[nodiscard]] bool stores_done(std::uint64_t /*mark*/) const override { return true; }
  [[nodiscard]] Load load() const override { return {}; }
  [[nodiscard]] bool connected() const noexcept override { return true; }
  [[nodiscard]] int protocol() const noexcept override { return 3; }

 private:
  void fail(Ref<Command>& command, Error error);

  std::shared_ptr<MemoryStore> store_;
  Counters& counters_;
  std::vector<Ref<Command>> waiting_;
  std::vector<Ref<Command>> outcomes_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
