// NearFeed: what one connection tells the near cache. Of whoever drives the connection.
#pragma once

#include <optional>

#include "valkey/command.hpp"
#include "valkey/reply.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class NearFeed {
 public:
  virtual void connected(bool tracking, SteadyTime now) = 0;
  // Nothing that it held is served once this has returned.
  virtual void disconnected() = 0;
  virtual void take_push(const Reply& push) = 0;
  // Something asked at this time has been answered.
  virtual void prove(SteadyTime asked) noexcept = 0;
  // When the server must be asked for a proof; nullopt: there is nothing to serve that needs one.
  [[nodiscard]] virtual std::optional<SteadyTime> heartbeat_due() const noexcept = 0;
  // What came over this connection is about to be kept: whether it may be, and whether the server
  // will tell of changes to it.
  [[nodiscard]] virtual bool may_keep(SteadyTime now) noexcept = 0;
  [[nodiscard]] virtual bool tells_of_changes() const noexcept = 0;

 protected:
  NearFeed() = default;
  ~NearFeed() = default;
  NearFeed(const NearFeed&) = default;
  NearFeed& operator=(const NearFeed&) = default;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
