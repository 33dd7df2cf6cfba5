// Error replies that say where, or when, to ask again. None of them comes of a command that was
// carried out, so any command may be sent again. https://valkey.io/topics/cluster-spec/
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "valkey/cluster_topology.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct Redirect {
  enum class Kind : std::uint8_t {
    moved,      // the slot is served elsewhere from now on
    ask,        // this once, elsewhere
    later,      // TRYAGAIN, LOADING: the same place, a little later
    elsewhere,  // CLUSTERDOWN, MASTERDOWN, READONLY: who is in charge has changed, or will
  };
  Kind kind = Kind::later;
  std::uint16_t slot = 0;                      // of moved and ask
  std::optional<ServerAddress> endpoint = {};  // likewise; nullopt: the server does not know
};

// Nullopt: some other error. An empty host means the one that was asked.
[[nodiscard]] std::optional<Redirect> parse_redirect(std::string_view error,
                                                     const ServerAddress& asked);

}  // namespace detail
}  // namespace valkeycache::inline v0
