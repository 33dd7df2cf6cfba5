#include "support/valkey/valkey_cluster.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/valkey/wait.hpp"

namespace valkeycache::test {
namespace {

// Whether a server would start with it. It does not where a replica is in another shard than its
// primary: it learns of such a change from others, and does not write it down at once.
bool is_whole(const std::string& map) {
  if (map.find("lastVoteEpoch") == std::string::npos) return false;
  std::map<std::string, std::string> shard_of;
  std::vector<std::pair<std::string, std::string>> followed;  // and in which shard
  std::istringstream lines(map);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, address, flags, primary;
    fields >> id >> address >> flags >> primary;
    const auto at = address.find("shard-id=");
    if (at == std::string::npos) continue;
    const auto shard = address.substr(at, address.find(',', at) - at);
    shard_of[id] = shard;
    if (primary != "-") followed.emplace_back(primary, shard);
  }
  return std::all_of(followed.begin(), followed.end(), [&](const auto& one) {
    const auto primary = shard_of.find(one.first);
    return primary == shard_of.end() || primary->second == one.second;
  });
}

constexpr int all_slots = 16384;
// A handshake that one side gave up, on a busy machine, is not begun again by itself: the other
// side takes it for done.
constexpr std::chrono::seconds until_met_again{3};

bool holds(const RespReply& reply, const std::string& text) {
  return reply.text.find(text) != std::string::npos;
}

bool comes(const std::function<bool()>& condition, std::chrono::milliseconds within) {
  return wait_until(
      [&] {
        try {
          return condition();
        } catch (const std::runtime_error&) {
          return false;  // not there yet, or no more
        }
      },
      within);
}

void await(const std::string& what, const std::function<bool()>& condition) {
  if (!comes(condition, patience)) {
    throw std::runtime_error("the cluster: " + what + " did not come about");
  }
}

// Begins it anew from time to time.
void await(const std::string& what, const std::function<bool()>& condition,
           const std::function<void()>& begin) {
  await(what, [&] {
    if (comes(condition, {})) return true;
    begin();
    return comes(condition, until_met_again);
  });
}

std::string source_address(std::size_t index) {
  return "127.0.1." + std::to_string(index + 1);
}

}  // namespace

void ValkeyCluster::add_server() {
  const auto bus = ValkeyServer::free_port();
  ValkeyServerOptions options;
  options.tls = options_.tls;
  options.authority = authority_;
  options.certificate = options_.certificate;
  options.config = {"cluster-enabled yes",
                    "cluster-config-file nodes.conf",
                    "cluster-port " + std::to_string(bus),
                    "cluster-node-timeout " + std::to_string(options_.node_timeout_ms),
                    "cluster-replica-validity-factor 0",
                    "cluster-allow-replica-migration no",
                    "repl-diskless-sync-delay 0",
                    "appendfsync no"};
  if (options_.relayed_bus) {
    buses_.push_back(std::make_unique<TcpProxy>(bus));
    // So that a relay knows who comes.
    options.config.push_back("bind-source-addr " + source_address(servers_.size()));
    options.config.push_back("cluster-announce-ip 127.0.0.1");
    options.config.push_back("cluster-announce-bus-port " + std::to_string(buses_.back()->port()));
  }
  options.config.insert(options.config.end(), options_.config.begin(), options_.config.end());
  servers_.push_back(std::make_unique<ValkeyServer>(std::move(options)));
  alive_.push_back(true);
  if (options_.fronted) {
    auto& server = *servers_.back();
    fronts_.push_back(std::make_unique<TcpProxy>(options_.tls ? server.tls_port() : server.port()));
    server.command({"CONFIG", "SET",
                    options_.tls ? "cluster-announce-tls-port" : "cluster-announce-port",
                    std::to_string(fronts_.back()->port())});
  }
}

ValkeyCluster::ValkeyCluster(ValkeyClusterOptions options)
    : options_(std::move(options)),
      authority_(options_.tls ? std::make_shared<const Authority>() : nullptr) {
  const int count = options_.primaries * (1 + options_.replicas);
  for (int i = 0; i < count; ++i) add_server();
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    servers_[i]->command({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
    const int index = static_cast<int>(i);
    if (index < options_.primaries) {
      const int first = all_slots * index / options_.primaries;
      const int last = all_slots * (index + 1) / options_.primaries - 1;
      servers_[i]->command(
          {"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(last)});
    }
  }
  await(
      "acquaintance", [&] { return all_know(servers_.size()); },
      [&] {
        for (std::size_t i = 1; i < servers_.size(); ++i) meet(i);
      });
  const auto primaries = static_cast<std::size_t>(options_.primaries);
  for (std::size_t i = primaries; i < servers_.size(); ++i) follow(i, i % primaries);
  await_order();
  for (std::size_t i = primaries; i < servers_.size(); ++i) await_replication(i);
}

bool ValkeyCluster::all_know(std::size_t count) const {
  return std::all_of(servers_.begin(), servers_.end(), [&](const auto& server) {
    return holds(server->command({"CLUSTER", "INFO"}),
                 "cluster_known_nodes:" + std::to_string(count) + "\r\n");
  });
}

void ValkeyCluster::meet(std::size_t index) const {
  const auto& other = *servers_[index];
  auto bus = other.command({"CONFIG", "GET", "cluster-announce-bus-port"}).items.at(1).text;
  if (bus == "0") bus = other.command({"CONFIG", "GET", "cluster-port"}).items.at(1).text;
  servers_[first_alive()]->command(
      {"CLUSTER", "MEET", "127.0.0.1", std::to_string(other.port()), bus});
}

void ValkeyCluster::follow(std::size_t replica, std::size_t primary) const {
  const auto id = id_of(primary);
  await("a replica", [&] {
    servers_[replica]->command({"CLUSTER", "REPLICATE", id});
    return true;
  });
}

void ValkeyCluster::await_replication(std::size_t replica) const {
  await("replication", [&] {
    return holds(servers_[replica]->command({"INFO", "replication"}), "master_link_status:up");
  });
}

std::string ValkeyCluster::line_of(const std::string& id, std::size_t seen_by) const {
  const auto nodes = servers_[seen_by]->command({"CLUSTER", "NODES"}).text;
  const auto begin = nodes.find("\n" + id) + 1;  // the first line has none before it
  if (nodes.compare(begin, id.size(), id) != 0) return {};
  return nodes.substr(begin, nodes.find('\n', begin) - begin);
}

void ValkeyCluster::await_fame(std::size_t index, const std::string& as) const {
  const auto id = id_of(index);
  await(
      "a new node",
      [&] {
        for (std::size_t i = 0; i < servers_.size(); ++i) {
          if (alive_[i] && line_of(id, i).find(as) == std::string::npos) return false;
        }
        return true;
      },
      [&] { meet(index); });
}

void ValkeyCluster::await_order() const {
  await("order", [&] { return in_order(); });
}

std::size_t ValkeyCluster::first_alive() const {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (alive_[i]) return i;
  }
  throw std::runtime_error("the cluster: nobody is left");
}

std::uint16_t ValkeyCluster::announced_port(std::size_t index) const {
  // To observers, who come without TLS.
  return options_.fronted && !options_.tls ? fronts_[index]->port() : servers_[index]->port();
}

std::string ValkeyCluster::id_of(std::size_t index) const {
  return servers_[index]->command({"CLUSTER", "MYID"}).text;
}

std::string ValkeyCluster::uri(std::optional<std::size_t> seed) const {
  const auto index = seed.value_or(first_alive());
  const auto& server = *servers_.at(index);
  if (options_.tls) {
    return "valkeys+cluster://localhost:" +
           std::to_string(options_.fronted ? fronts_[index]->port() : server.tls_port());
  }
  return "valkey+cluster://127.0.0.1:" + std::to_string(announced_port(index));
}

std::uint16_t ValkeyCluster::slot_of(const std::string& wire_key) const {
  return static_cast<std::uint16_t>(
      servers_[first_alive()]->command({"CLUSTER", "KEYSLOT", wire_key}).integer);
}

std::optional<std::size_t> ValkeyCluster::owner_of(std::uint16_t slot,
                                                   std::optional<std::size_t> seen_by) const {
  const auto ranges = servers_[seen_by.value_or(first_alive())]->command({"CLUSTER", "SLOTS"});
  for (const auto& range : ranges.items) {
    if (slot < range.items[0].integer || slot > range.items[1].integer) continue;
    const auto& id = range.items[2].items.at(2).text;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (alive_[i] && id_of(i) == id) return i;
    }
  }
  return std::nullopt;
}

std::vector<std::size_t> ValkeyCluster::owners() const {
  std::vector<std::size_t> owners;
  const auto ranges = servers_[first_alive()]->command({"CLUSTER", "SLOTS"});
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!alive_[i]) continue;
    const auto id = id_of(i);
    const bool owns = std::any_of(ranges.items.begin(), ranges.items.end(), [&](const auto& range) {
      return range.items[2].items.at(2).text == id;
    });
    if (owns) owners.push_back(i);
  }
  return owners;
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
  // The new owner raises its epoch above those that it has heard of. One that it has not heard of
  // would take the slot back from it, while the old owner has given it away.
  await("one epoch", [&] { return epochs_agree(); });
  servers_[to]->command({"CLUSTER", "SETSLOT", text, "NODE", id});
  servers_[from]->command({"CLUSTER", "SETSLOT", text, "NODE", id});
  await("a slot's new owner", [&] {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (alive_[i] && owner_of(slot, i) != to) return false;
    }
    return true;
  });
}

void ValkeyCluster::move(std::uint16_t slot, std::size_t from, std::size_t to) const {
  begin_move(slot, from, to);
  while (!move_keys(slot, from, to)) {
  }
  end_move(slot, from, to);
}

std::size_t ValkeyCluster::add_node() {
  add_server();
  const auto index = servers_.size() - 1;
  await_fame(index, "master");
  await_order();
  return index;
}

std::size_t ValkeyCluster::add_replica(std::size_t primary) {
  add_server();
  const auto index = servers_.size() - 1;
  await_fame(index, "master");
  follow(index, primary);
  await_replication(index);
  // Who does not know it does not vote for it, nor give way to it.
  const auto id = id_of(primary);
  await_fame(index, "slave " + id);
  await("a link", [&] { return line_of(id, index).find(" connected") != std::string::npos; });
  return index;
}

void ValkeyCluster::promote(std::size_t replica) {
  // Asked again, it begins again; by itself it gives up after five seconds.
  constexpr std::chrono::seconds attempt{6};
  await("a promotion", [&] {
    if (holds(servers_[replica]->command({"INFO", "replication"}), "role:master")) return true;
    servers_[replica]->command({"CLUSTER", "FAILOVER"});
    return wait_until(
        [&] {
          return holds(servers_[replica]->command({"INFO", "replication"}), "role:master");
        },
        attempt);
  });
  await_order();
}

void ValkeyCluster::remove_node(std::size_t index) {
  const auto id = id_of(index);
  kill(index);
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!alive_[i]) continue;
    // A replica that does not know yet whom its primary has given way to refuses for a moment.
    await("oblivion", [&] {
      const auto reply = servers_[i]->connect().command({"CLUSTER", "FORGET", id});
      return !reply.is_error() || holds(reply, "Unknown node");
    });
  }
}

std::string ValkeyCluster::map_file(std::size_t index) const {
  return servers_[index]->folder() + "/nodes.conf";
}

std::string ValkeyCluster::map_of(std::size_t index) const {
  std::ifstream file(map_file(index));
  return {std::istreambuf_iterator<char>(file), {}};
}

// Who is killed while writing its map does not start again with what is there.
void ValkeyCluster::kill(std::size_t index) {
  await("a whole map", [&] {
    maps_[index] = map_of(index);
    if (is_whole(maps_[index])) return true;
    servers_[index]->command({"CLUSTER", "SAVECONFIG"});
    return false;
  });
  servers_[index]->kill();
  alive_[index] = false;
}

void ValkeyCluster::kill_and_await_failover(std::size_t primary) {
  kill(primary);
  await_order();
}

void ValkeyCluster::start_again(std::size_t index) {
  if (!is_whole(map_of(index))) std::ofstream(map_file(index), std::ios::trunc) << maps_[index];
  servers_[index]->start();
  alive_[index] = true;
  await_replication(index);
  await_order();
}

void ValkeyCluster::isolate(std::size_t index) {
  for (std::size_t i = 0; i < buses_.size(); ++i) {
    buses_[i]->admit([outcast = source_address(index), is_it = i == index](const auto& from) {
      return !is_it && from != outcast;
    });
  }
}

void ValkeyCluster::rejoin() {
  for (auto& bus : buses_) bus->admit([](const auto&) { return true; });
}

std::string ValkeyCluster::view_of(std::size_t index) const {
  std::string view;
  for (const auto& range : servers_[index]->command({"CLUSTER", "SLOTS"}).items) {
    view += std::to_string(range.items[0].integer) + "-" + std::to_string(range.items[1].integer) +
            "=" + range.items[2].items.at(2).text + ";";
  }
  return view;
}

bool ValkeyCluster::epochs_agree() const {
  std::optional<std::string> agreed;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!alive_[i]) continue;
    const auto info = servers_[i]->command({"CLUSTER", "INFO"}).text;
    const auto at = info.find("cluster_current_epoch:");
    const auto epoch = info.substr(at, info.find("\r\n", at) - at);
    if (agreed.value_or(epoch) != epoch) return false;
    agreed = epoch;
  }
  return true;
}

bool ValkeyCluster::in_order() const {
  std::optional<std::string> agreed;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!alive_[i]) continue;
    const auto info = servers_[i]->command({"CLUSTER", "INFO"});
    if (!holds(info, "cluster_state:ok") || !holds(info, "cluster_slots_ok:16384")) return false;
    // Who has fallen is nobody's owner any more.
    int served = 0;
    for (const auto& range : servers_[i]->command({"CLUSTER", "SLOTS"}).items) {
      const auto port = range.items[2].items.at(1).integer;
      for (std::size_t j = 0; j < servers_.size(); ++j) {
        if (alive_[j] && announced_port(j) == port) {
          served += static_cast<int>(range.items[1].integer - range.items[0].integer + 1);
        }
      }
    }
    if (served != all_slots) return false;
    const auto view = view_of(i);
    if (agreed.value_or(view) != view) return false;
    agreed = view;
  }
  return true;
}

}  // namespace valkeycache::test
