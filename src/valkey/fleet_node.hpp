// A node of a fleet: one server, and the connections to it.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "valkey/cluster_topology.hpp"
#include "valkey/connection.hpp"
#include "valkey/near_channels.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct FleetNode;

// One of a node's connections, with what the fleet keeps about it.
struct FleetLane {
  FleetNode& node;
  Poller::Watched watched{.owner = this};
  std::optional<NearChannel> near = {};
  std::optional<Connection> connection = {};

  // What was last known, for the fleet's sums.
  Backend::Load counted = {};
  bool counted_busy = false;
  bool was_ready = false;
  // It owes replies for too long, has no connection though it has been tried, or has just refused
  // to serve.
  bool stuck = false;
  // Of those the first, until it answers: whether it takes more bytes meanwhile, and is asked for
  // less, makes no difference.
  bool silent = false;
  std::uint64_t heard = 0;                 // Connection::times_heard(), as last known
  SteadyTime refused = SteadyTime::min();  // when it last did
  // It stands in the list of those that are to be driven, or published.
  bool touched = false;
  bool unpublished = false;
  std::optional<SteadyTime> due = {};  // where it stands among the times
  bool restart = false;
  SteadyTime doubted = SteadyTime::min();  // when its silence last led to questions
};

struct FleetNode {
  std::uint32_t id = 0;  // never used again
  ServerAddress endpoint;
  ValkeyCacheOptions options;
  bool sentinel = false;
  bool replica = false;
  bool member = false;       // of the fleet as it was last discovered
  bool retired = false;      // goes when what is under way has ended
  std::uint32_t gained = 0;  // the version of the map with which it last came to serve more
  // Others sent calls on to it (ASK), by which alone one without slots of its own is known.
  SteadyTime importing_until = SteadyTime::min();
  std::vector<FleetNode*> replicas = {};
  std::size_t next_replica = 0;
  Backend::Load stuck = {};  // in those of its lanes that are, as last known
  std::vector<std::unique_ptr<FleetLane>> lanes = {};

  [[nodiscard]] bool ready() const {
    for (const auto& lane : lanes) {
      if (lane->connection->protocol() != 0) return true;
    }
    return false;
  }
  // It owes replies since then, or longer.
  [[nodiscard]] bool silent_since(SteadyTime time) const {
    for (const auto& lane : lanes) {
      const auto since = lane->connection->silent_since();
      if (since && *since <= time) return true;
    }
    return false;
  }
  // Its first connection has failed, and none has come since.
  [[nodiscard]] const Error* trouble() const {
    return ready() ? nullptr : lanes.front()->connection->trouble();
  }
};

}  // namespace detail
}  // namespace valkeycache::inline v0
