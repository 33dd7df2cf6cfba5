// A real cluster for a test: primaries and replicas on loopback ports, joined and ready.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/valkey/valkey_server.hpp"

namespace valkeycache::test {

struct ValkeyClusterOptions {
  int primaries = 3;
  int replicas = 0;  // of each primary
  int node_timeout_ms = 1000;
  std::vector<std::string> config = {};
  bool tls = false;
};

// Not thread-safe, but for the accessors that are const.
class ValkeyCluster {
 public:
  // Waits until every node finds the cluster in order, and every replica follows its primary.
  explicit ValkeyCluster(ValkeyClusterOptions options = {});

  // The first primaries come first, then their replicas.
  [[nodiscard]] ValkeyServer& server(std::size_t index) const { return *servers_.at(index); }
  [[nodiscard]] std::size_t size() const { return servers_.size(); }
  // valkey+cluster:// with that server for a seed.
  [[nodiscard]] std::string uri(std::size_t seed = 0) const;

  // CRC16 by the server's own count.
  [[nodiscard]] std::uint16_t slot_of(const std::string& wire_key) const;
  // As the server with that index sees it; nullopt: nobody, or none of ours.
  [[nodiscard]] std::optional<std::size_t> owner_of(std::uint16_t slot, std::size_t seen_by) const;
  // On which of the servers that answer it is as a key of their own.
  [[nodiscard]] std::vector<std::size_t> holders_of(const std::string& wire_key) const;

  // The steps of a slot's move from one primary to another.
  void begin_move(std::uint16_t slot, std::size_t from, std::size_t to) const;
  // At most so many keys; true when there are no more.
  bool move_keys(std::uint16_t slot, std::size_t from, std::size_t to, int most = 1000) const;
  void end_move(std::uint16_t slot, std::size_t from, std::size_t to) const;
  void move(std::uint16_t slot, std::size_t from, std::size_t to) const;

  // A primary without slots; gives its index.
  std::size_t add_node();
  // Of a node without slots: all others forget it, and it ends.
  void remove_node(std::size_t index);
  // Waits until one of the others has taken over what it served.
  void kill_and_await_failover(std::size_t primary);
  // As everybody who is alive sees it.
  [[nodiscard]] bool in_order() const;

 private:
  std::unique_ptr<ValkeyServer> make_server() const;
  void meet(std::size_t index) const;
  [[nodiscard]] std::string id_of(std::size_t index) const;

  ValkeyClusterOptions options_;
  std::vector<std::unique_ptr<ValkeyServer>> servers_;
  std::vector<bool> alive_;
};

}  // namespace valkeycache::test
