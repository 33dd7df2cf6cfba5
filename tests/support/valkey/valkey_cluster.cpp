#include "support/valkey/valkey_cluster.hpp"

#include <stdexcept>

#include "support/valkey/wait.hpp"

namespace valkeycache::test {
namespace {

constexpr int all_slots = 16384;

bool holds(const RespReply& reply, const std::string& text) {
  return reply.text.find(text) != std::string::npos;
}

void await(const std::string& what, const std::function<bool()>& condition) {
  const bool came = wait_until([&] {
    try {
      return condition();
    } catch (const std::runtime_error&) {
      return false;  // not there yet, or no more
    }
  });
  if (!came) throw std::runtime_error("the cluster: " + what + " did not come about");
}

}  // namespace

std::unique_ptr<ValkeyServer> ValkeyCluster::make_server() const {
  ValkeyServerOptions options;
  options.tls = options_.tls;
  options.config = {"cluster-enabled yes",
                    "cluster-config-file nodes.conf",
                    "cluster-port " + std::to_string(ValkeyServer::free_port()),
                    "cluster-node-timeout " + std::to_string(options_.node_timeout_ms),
                    "cluster-replica-validity-factor 0",
                    "cluster-allow-replica-migration no",
                    "repl-diskless-sync-delay 0",
                    "appendfsync no"};
  options.config.insert(options.config.end(), options_.config.begin(), options_.config.end());
  return std::make_unique<ValkeyServer>(std::move(options));
}

ValkeyCluster::ValkeyCluster(ValkeyClusterOptions options) : options_(std::move(options)) {
  const int count = options_.primaries * (1 + options_.replicas);
  for (int i = 0; i < count; ++i) servers_.push_back(make_server());
  alive_.assign(servers_.size(), true);
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    servers_[i]->command({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
    const int index = static_cast<int>(i);
    if (index < options_.primaries) {
      const int first = all_slots * index / options_.primaries;
      const int last = all_slots * (index + 1) / options_.primaries - 1;
      servers_[i]->command(
          {"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(last)});
    }
    if (i > 0) meet(i);
  }
  await("acquaintance", [&] {
    for (const auto& server : servers_) {
      const auto info = server->command({"CLUSTER", "INFO"});
      if (!holds(info, "cluster_known_nodes:" + std::to_string(count) + "\r\n")) return false;
    }
    return true;
  });
  for (std::size_t i = static_cast<std::size_t>(options_.primaries); i < servers_.size(); ++i) {
    const auto primary = i % static_cast<std::size_t>(options_.primaries);
    const auto id = id_of(primary);
    await("a replica", [&] {
      servers_[i]->command({"CLUSTER", "REPLICATE", id});
      return true;
    });
  }
  await("order", [&] { return in_order(); });
  for (std::size_t i = static_cast<std::size_t>(options_.primaries); i < servers_.size(); ++i) {
    await("replication", [&] {
      return holds(servers_[i]->command({"INFO", "replication"}), "master_link_status:up");
    });
  }
}

void ValkeyCluster::meet(std::size_t index) const {
  const auto& other = *servers_[index];
  const auto port = other.command({"CONFIG", "GET", "cluster-port"}).items.at(1).text;
  servers_[0]->command({"CLUSTER", "MEET", "127.0.0.1", std::to_string(other.port()), port});
}

std::string ValkeyCluster::id_of(std::size_t index) const {
  return servers_[index]->command({"CLUSTER", "MYID"}).text;
}

std::string ValkeyCluster::uri(std::size_t seed) const {
  if (options_.tls) {
    return "valkeys+cluster://localhost:" + std::to_string(servers_.at(seed)->tls_port());
  }
  return "valkey+cluster://127.0.0.1:" + std::to_string(servers_.at(seed)->port());
}

std::uint16_t ValkeyCluster::slot_of(const std::string& wire_key) const {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!alive_[i]) continue;
    return static_cast<std::uint16_t>(
        servers_[i]->command({"CLUSTER", "KEYSLOT", wire_key}).integer);
  }
  throw std::runtime_error("the cluster: nobody is left");
}

std::optional<std::size_t> ValkeyCluster::owner_of(std::uint16_t slot, std::size_t seen_by) const {
  const auto ranges = servers_[seen_by]->command({"CLUSTER", "SLOTS"});
  for (const auto& range : ranges.items) {
    if (slot < range.items[0].integer || slot > range.items[1].integer) continue;
    const auto& id = range.items[2].items.at(2).text;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (alive_[i] && id_of(i) == id) return i;
    }
  }
  return std::nullopt;
}

std::vector<std::size_t> ValkeyCluster::holders_of(const std::string& wire_key) const {
  std::vector<std::size_t> holders;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!alive_[i]) continue;
    const auto reply = servers_[i]->connect().command({"EXISTS", wire_key});
    if (!reply.is_error() && reply.integer == 1) holders.push_back(i);
  }
  return holders;
}

void ValkeyCluster::begin_move(std::uint16_t slot, std::size_t from, std::size_t to) const {
  const auto text = std::to_string(slot);
  servers_[to]->command({"CLUSTER", "SETSLOT", text, "IMPORTING", id_of(from)});
  servers_[from]->command({"CLUSTER", "SETSLOT", text, "MIGRATING", id_of(to)});
}

bool ValkeyCluster::move_keys(std::uint16_t slot, std::size_t from, std::size_t to,
                              int most) const {
  const auto keys = servers_[from]->command(
      {"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), std::to_string(most)});
  if (keys.items.empty()) return true;
  std::vector<std::string> migrate{
      "MIGRATE", "127.0.0.1", std::to_string(servers_[to]->port()), "", "0", "10000", "KEYS"};
  for (const auto& key : keys.items) migrate.push_back(key.text);
  servers_[from]->command(migrate);
  return static_cast<int>(keys.items.size()) < most;
}

void ValkeyCluster::end_move(std::uint16_t slot, std::size_t from, std::size_t to) const {
  const auto text = std::to_string(slot);
  const auto id = id_of(to);
  servers_[to]->command({"CLUSTER", "SETSLOT", text, "NODE", id});
  servers_[from]->command({"CLUSTER", "SETSLOT", text, "NODE", id});
}

void ValkeyCluster::move(std::uint16_t slot, std::size_t from, std::size_t to) const {
  begin_move(slot, from, to);
  while (!move_keys(slot, from, to)) {
  }
  end_move(slot, from, to);
}

std::size_t ValkeyCluster::add_node() {
  servers_.push_back(make_server());
  alive_.push_back(true);
  const auto index = servers_.size() - 1;
  meet(index);
  const auto id = id_of(index);
  await("a new node", [&] {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (alive_[i] && !holds(servers_[i]->command({"CLUSTER", "NODES"}), id)) return false;
    }
    return in_order();
  });
  return index;
}

void ValkeyCluster::remove_node(std::size_t index) {
  const auto id = id_of(index);
  servers_[index]->kill();
  alive_[index] = false;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (alive_[i]) servers_[i]->command({"CLUSTER", "FORGET", id});
  }
}

void ValkeyCluster::kill_and_await_failover(std::size_t primary) {
  servers_[primary]->kill();
  alive_[primary] = false;
  await("a failover", [&] { return in_order(); });
}

bool ValkeyCluster::in_order() const {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!alive_[i]) continue;
    const auto info = servers_[i]->command({"CLUSTER", "INFO"});
    if (!holds(info, "cluster_state:ok") || !holds(info, "cluster_slots_ok:16384")) return false;
    // Who has fallen is nobody's owner any more.
    int served = 0;
    for (const auto& range : servers_[i]->command({"CLUSTER", "SLOTS"}).items) {
      const auto port = range.items[2].items.at(1).integer;
      for (std::size_t j = 0; j < servers_.size(); ++j) {
        if (alive_[j] && servers_[j]->port() == port) {
          served += static_cast<int>(range.items[1].integer - range.items[0].integer + 1);
        }
      }
    }
    if (served != all_slots) return false;
  }
  return true;
}

}  // namespace valkeycache::test
