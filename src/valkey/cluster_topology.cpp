#include "valkey/cluster_topology.hpp"

#include <utility>

#include "base/number.hpp"
#include "valkey/cluster_slot.hpp"
#include "valkey/resolver.hpp"
#include "valkey/server_error.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

bool is_text(const Reply& reply) {
  return reply.type == Reply::Type::string || reply.type == Reply::Type::status;
}

bool is_port(const Reply& reply) {
  return reply.type == Reply::Type::integer && reply.integer > 0 && reply.integer <= 65535;
}

bool is_slot(const Reply& reply) {
  return reply.type == Reply::Type::integer && reply.integer >= 0 &&
         reply.integer < static_cast<std::int64_t>(cluster_slots);
}

std::string host_name(const Reply& node) {
  if (node.elements.size() < 4) return {};
  const auto& metadata = node.elements[3].elements;
  for (std::size_t i = 0; i + 1 < metadata.size(); i += 2) {
    if (metadata[i].text == "hostname" && is_text(metadata[i + 1])) return metadata[i + 1].text;
  }
  return {};
}

// Nullopt: the server itself does not know where that node is.
std::optional<ServerAddress> read_node(const Reply& node, const ServerAddress& asked, bool by_name,
                                       Topology& topology) {
  const auto& host = node.elements[0];
  if (host.text == "?") return std::nullopt;
  ServerAddress announced{.host = host.text.empty() ? asked.host : host.text,
                          .port = static_cast<std::uint16_t>(node.elements[1].integer)};
  if (!by_name || !is_numeric_address(announced.host)) return announced;
  auto name = host_name(node);
  if (name.empty()) return announced;
  ServerAddress called{.host = std::move(name), .port = announced.port};
  topology.names[std::move(announced)] = called;
  return called;
}

bool is_node(const Reply& reply) {
  return reply.type == Reply::Type::array && reply.elements.size() >= 2 &&
         (reply.elements[0].type == Reply::Type::nil || is_text(reply.elements[0])) &&
         is_port(reply.elements[1]);
}

}  // namespace

std::string to_text(const ServerAddress& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

std::optional<ServerAddress> parse_endpoint(std::string_view text, std::uint16_t default_port) {
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == text.npos || close == 1) return std::nullopt;
    ServerAddress endpoint{.host = std::string(text.substr(1, close - 1)), .port = default_port};
    const auto rest = text.substr(close + 1);
    if (rest.empty()) return endpoint;
    const auto port = rest.front() == ':' ? parse_port(rest.substr(1)) : std::nullopt;
    if (!port) return std::nullopt;
    endpoint.port = *port;
    return endpoint;
  }
  const auto colon = text.find(':');
  ServerAddress endpoint{.host = std::string(text.substr(0, colon)), .port = default_port};
  if (endpoint.host.empty()) return std::nullopt;
  if (colon == text.npos) return endpoint;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  endpoint.port = *port;
  return endpoint;
}

Result<Topology> parse_cluster_slots(const Reply& reply, const ServerAddress& asked, bool by_name) {
  if (reply.type != Reply::Type::array) return reply_error("CLUSTER SLOTS", reply);
  Topology topology;
  for (const auto& range : reply.elements) {
    const auto& parts = range.elements;
    if (range.type != Reply::Type::array || parts.size() < 3 || !is_slot(parts[0]) ||
        !is_slot(parts[1]) || parts[0].integer > parts[1].integer || !is_node(parts[2])) {
      return unexpected_reply("CLUSTER SLOTS");
    }
    auto primary = read_node(parts[2], asked, by_name, topology);
    if (!primary) continue;
    SlotRange read{.first = static_cast<std::uint16_t>(parts[0].integer),
                   .last = static_cast<std::uint16_t>(parts[1].integer),
                   .primary = *std::move(primary),
                   .replicas = {}};
    for (std::size_t i = 3; i < parts.size(); ++i) {
      if (!is_node(parts[i])) return unexpected_reply("CLUSTER SLOTS");
      auto replica = read_node(parts[i], asked, by_name, topology);
      if (replica) read.replicas.push_back(*std::move(replica));
    }
    topology.ranges.push_back(std::move(read));
  }
  return topology;
}

Result<Role> parse_role(const Reply& reply) {
  if (reply.type != Reply::Type::array) return reply_error("ROLE", reply);
  const auto& parts = reply.elements;
  Role role;
  if (parts.size() >= 3 && parts[0].text == "master" && parts[2].type == Reply::Type::array) {
    role.primary = true;
    for (const auto& replica : parts[2].elements) {
      if (replica.elements.size() < 2) return unexpected_reply("ROLE");
      const auto port = parse_port(replica.elements[1].text);
      if (!port) continue;
      role.replicas.push_back({.host = replica.elements[0].text, .port = *port});
    }
    return role;
  }
  if (parts.size() >= 3 && parts[0].text == "slave" && is_text(parts[1]) && is_port(parts[2])) {
    role.follows = {.host = parts[1].text, .port = static_cast<std::uint16_t>(parts[2].integer)};
    return role;
  }
  return unexpected_reply("ROLE");
}

Result<ServerAddress> parse_sentinel_answer(const Reply& reply) {
  constexpr auto question = "SENTINEL GET-MASTER-ADDR-BY-NAME";
  if (reply.type == Reply::Type::nil) {
    return Error{.code = ErrorCode::server_unavailable,
                 .message = "the sentinel does not know a primary by that name",
                 .retryable = true};
  }
  if (reply.type != Reply::Type::array) return reply_error(question, reply);
  if (reply.elements.size() != 2) return unexpected_reply(question);
  const auto port = parse_port(reply.elements[1].text);
  if (reply.elements[0].text.empty() || !port) return unexpected_reply(question);
  return ServerAddress{.host = reply.elements[0].text, .port = *port};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
