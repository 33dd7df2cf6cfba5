// Callers that keep a cluster busy while something happens to it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "cache_load.hpp"
#include "support/valkey/valkey_cluster.hpp"

namespace valkeycache::test {

class ClusterLoad : public CacheLoad {
 public:
  using CacheLoad::CacheLoad;
  // As those see it who ask the nodes, though not by way of `without`.
  void expect_recovery_with(const ValkeyCluster& cluster,
                            std::optional<std::size_t> without = {}) const {
    std::vector<RespClient> observers;
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (cluster.alive(i) && i != without) observers.push_back(cluster.server(i).connect());
    }
    expect_recovery_after([&](const std::string& wire_key, const std::string& value) {
      return std::any_of(observers.begin(), observers.end(), [&](RespClient& observer) {
        return !observer.command({"SET", wire_key, value}).is_error();
      });
    });
  }
};

}  // namespace valkeycache::test
