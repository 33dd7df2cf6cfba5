// Who serves what, as servers tell it: CLUSTER SLOTS, ROLE, SENTINEL GET-MASTER-ADDR-BY-NAME.
#pragma once

#include <valkeycache/result.hpp>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "valkey/reply.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct ServerAddress {
  std::string host;
  std::uint16_t port = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the spaceship for a 0
  friend auto operator<=>(const ServerAddress&, const ServerAddress&) = default;
};
[[nodiscard]] std::string to_text(const ServerAddress& endpoint);
// "host", "host:port", "[address]:port". Nullopt: none of them.
[[nodiscard]] std::optional<ServerAddress> parse_endpoint(std::string_view text,
                                                          std::uint16_t default_port);

// Slots with one owner.
struct SlotRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  ServerAddress primary;
  std::vector<ServerAddress> replicas;
  friend bool operator==(const SlotRange&, const SlotRange&) = default;
};

struct Topology {
  std::vector<SlotRange> ranges;
  // Nodes that are announced by address and called by their name, which a certificate proves.
  std::map<ServerAddress, ServerAddress> names;
  friend bool operator==(const Topology&, const Topology&) = default;
};

// CLUSTER SLOTS, as answered by `asked`: no host, or an empty one, means that host. With `by_name`
// a node that announces an address and a host name is called by the name.
// https://valkey.io/commands/cluster-slots/
Result<Topology> parse_cluster_slots(const Reply& reply, const ServerAddress& asked, bool by_name);

// ROLE. https://valkey.io/commands/role/
struct Role {
  bool primary = false;
  ServerAddress follows;                // of a replica
  std::vector<ServerAddress> replicas;  // of a primary
};
Result<Role> parse_role(const Reply& reply);

// SENTINEL GET-MASTER-ADDR-BY-NAME
Result<ServerAddress> parse_sentinel_answer(const Reply& reply);

}  // namespace detail
}  // namespace valkeycache::inline v0
