// A real cluster for a test: primaries and replicas on loopback ports, joined and ready.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/valkey/tcp_proxy.hpp"
#include "support/valkey/valkey_server.hpp"

namespace valkeycache::test {

struct ValkeyClusterOptions {
  int primaries = 3;
  int replicas = 0;  // of each primary
  // Who is silent for so long has fallen: short where one is to fall, long where a busy machine
  // must not be taken for that.
  int node_timeout_ms = 10'000;
  std::vector<std::string> config = {};
  bool tls = false;
  CertificateOptions certificate = {};
  // The nodes reach each other by relays, which isolate() cuts.
  bool relayed_bus = false;
  // Clients reach each node by a relay, whose port it announces: front().
  bool fronted = false;
};

// Not thread-safe, but for the accessors that are const.
class ValkeyCluster {
 public:
  // Waits until every node finds the cluster in order, and every replica follows its primary.
  explicit ValkeyCluster(ValkeyClusterOptions options = {});

  // The first primaries come first, then their replicas.
  [[nodiscard]] ValkeyServer& server(std::size_t index) const { return *servers_.at(index); }
  [[nodiscard]] std::size_t size() const { return servers_.size(); }
  // valkey+cluster:// with that server for a seed; the first one that is alive unless given.
  [[nodiscard]] std::string uri(std::optional<std::size_t> seed = {}) const;
  [[nodiscard]] const std::shared_ptr<const Authority>& authority() const { return authority_; }
  [[nodiscard]] TcpProxy& front(std::size_t index) const { return *fronts_.at(index); }
  [[nodiscard]] bool alive(std::size_t index) const { return alive_.at(index); }

  // CRC16 by the server's own count.
  [[nodiscard]] std::uint16_t slot_of(const std::string& wire_key) const;
  // As the server with that index sees it, or the first one that is alive; nullopt: nobody, or none
  // of ours.
  [[nodiscard]] std::optional<std::size_t> owner_of(std::uint16_t slot,
                                                    std::optional<std::size_t> seen_by = {}) const;
  // All that are alive and own slots.
  [[nodiscard]] std::vector<std::size_t> owners() const;
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
  // A replica of that primary, in step with it; gives its index.
  std::size_t add_replica(std::size_t primary);
  // The replica takes its primary's place, without loss. Waits until everybody knows.
  void promote(std::size_t replica);
  // Of a node without slots: all others forget it, and it ends.
  void remove_node(std::size_t index);
  // Waits until one of the others has taken over what it served.
  void kill_and_await_failover(std::size_t primary);
  void kill(std::size_t index);
  // One that was killed. Waits until it follows whoever has taken over.
  void start_again(std::size_t index);
  // Cuts it off from the other nodes, though not from clients; needs relayed_bus.
  void isolate(std::size_t index);
  void rejoin();
  void await_order() const;
  // As everybody who is alive sees it.
  [[nodiscard]] bool in_order() const;

 private:
  // Who serves what, as this one sees it.
  [[nodiscard]] std::string view_of(std::size_t index) const;
  [[nodiscard]] bool epochs_agree() const;
  [[nodiscard]] std::string map_file(std::size_t index) const;
  [[nodiscard]] std::string map_of(std::size_t index) const;
  std::map<std::size_t, std::string> maps_;  // as those who were killed had them
  void add_server();
  [[nodiscard]] bool all_know(std::size_t count) const;  // of so many nodes
  void meet(std::size_t index) const;
  void follow(std::size_t replica, std::size_t primary) const;
  void await_replication(std::size_t replica) const;
  // Of CLUSTER NODES; empty: unknown.
  [[nodiscard]] std::string line_of(const std::string& id, std::size_t seen_by) const;
  // All know it, as "master" or "slave <primary>".
  void await_fame(std::size_t index, const std::string& as) const;
  [[nodiscard]] std::size_t first_alive() const;
  [[nodiscard]] std::uint16_t announced_port(std::size_t index) const;
  [[nodiscard]] std::string id_of(std::size_t index) const;

  ValkeyClusterOptions options_;
  std::shared_ptr<const Authority> authority_;
  // Of each server; null where there is none. They outlive the servers.
  std::vector<std::unique_ptr<TcpProxy>> fronts_;
  std::vector<std::unique_ptr<TcpProxy>> buses_;
  std::vector<std::unique_ptr<ValkeyServer>> servers_;
  std::vector<bool> alive_;
};

}  // namespace valkeycache::test
