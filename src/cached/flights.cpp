#include "cached/flights.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cached/recording.hpp"
#include "cached/stream_reader.hpp"

namespace valkeycache::inline v0 {
namespace detail {

namespace {

bool same_flight(const FlightNode& a, const FlightNode& b) noexcept {
  return a.flight_kind == b.flight_kind && a.flight_key == b.flight_key;
}

}  // namespace

FlightNode** Flights::bucket_of(Shard& shard, const Node& node) noexcept {
  std::uint64_t bits = 0;  // the key is a hash already
  std::memcpy(&bits, node.flight_key.data() + 8, sizeof bits);
  return &shard.buckets[bits & (shard.buckets.size() - 1)];
}

void Flights::grow(Shard& shard) {
  std::vector<Node*> wider(shard.buckets.empty() ? 8 : shard.buckets.size() * 2);
  wider.swap(shard.buckets);
  for (auto* chain : wider) {
    while (chain) {
      auto* const node = std::exchange(chain, chain->next_in_bucket);
      auto** const bucket = bucket_of(shard, *node);
      node->next_in_bucket = std::exchange(*bucket, node);
    }
  }
}

void Flights::remove(Shard& shard, Node& leader) noexcept {
  auto** at = bucket_of(shard, leader);
  while (*at != &leader) at = &(*at)->next_in_bucket;
  *at = std::exchange(leader.next_in_bucket, nullptr);
  leader.role = Node::Role::none;
  --shard.flights;
}

void Flights::unlink(Node& follower) noexcept {
  auto& leader = *std::exchange(follower.follows, nullptr);
  (follower.before ? follower.before->after : leader.first) = follower.after;
  (follower.after ? follower.after->before : leader.last) = follower.before;
  follower.before = follower.after = nullptr;
  follower.role = Node::Role::none;
  --leader.waiting;
}

Ref<FlightNode> Flights::join(Node& node) {
  auto& shard = shard_of(node);
  const std::lock_guard lock(shard.mutex);
  if (shard.flights >= shard.buckets.size()) grow(shard);
  auto** const bucket = bucket_of(shard, node);
  for (auto* other = *bucket; other; other = other->next_in_bucket) {
    if (!same_flight(*other, node)) continue;
    node.role = Node::Role::following;
    node.joined = true;
    node.follows = other;
    node.before = other->last;
    (other->last ? other->last->after : other->first) = &node;
    other->last = &node;
    ++other->waiting;
    node.add_ref();
    if (node.reader && other->heard_by_all) node.reader->attach(other->heard_by_all);
    return Ref<Node>::share(other);
  }
  node.role = Node::Role::leading;
  node.waiting = 1;
  node.next_in_bucket = std::exchange(*bucket, &node);
  ++shard.flights;
  node.add_ref();
  return {};
}

std::chrono::steady_clock::time_point Flights::patience_of(const Node& leader) {
  const std::lock_guard lock(shard_of(leader).mutex);
  auto patience = leader.departed ? std::chrono::steady_clock::time_point::max() : leader.patience;
  for (const auto* node = leader.first; node; node = node->after) {
    patience = std::min(patience, node->patience);
  }
  return patience;
}

Ref<FlightNode> Flights::leader_of(const Node& follower) {
  const std::lock_guard lock(shard_of(follower).mutex);
  return Ref<Node>::share(follower.follows);
}

std::stop_source Flights::stop_of(const Node& node) {
  const std::lock_guard lock(shard_of(node).mutex);
  return node.model_stop;
}

bool Flights::set_stop(Node& leader, const std::stop_source& stop,
                       const std::shared_ptr<Recording>& recording) {
  const std::lock_guard lock(shard_of(leader).mutex);
  leader.model_stop = stop;
  leader.heard_by_all = recording;
  if (recording) {
    if (leader.reader) leader.reader->attach(recording);
    for (auto* node = leader.first; node; node = node->after) {
      if (node->reader) node->reader->attach(recording);
    }
  }
  return leader.role == Node::Role::leading;
}

Flights::Departure Flights::depart(Node& node) noexcept {
  Departure departure;
  auto& shard = shard_of(node);
  const std::lock_guard lock(shard.mutex);
  Node* leader = nullptr;
  if (node.role == Node::Role::following) {
    leader = node.follows;
    unlink(node);
    departure.followed = true;
    departure.dropped_self = Ref<Node>::adopt(&node);
  } else if (node.role == Node::Role::leading && !node.departed) {
    node.departed = true;
    --node.waiting;
    leader = &node;
  }
  if (leader && leader->waiting == 0) {
    remove(shard, *leader);
    departure.stop = leader->model_stop;
    departure.dropped_leader = Ref<Node>::adopt(leader);
  }
  return departure;
}

Flights::Chain Flights::take_all(Shard& shard, Node& leader) noexcept {
  remove(shard, leader);
  leader.last = nullptr;
  for (auto* node = leader.first; node; node = node->after) {
    node->role = Node::Role::none;
    node->follows = node->before = nullptr;
  }
  return std::exchange(leader.first, nullptr);
}

Flights::Chain Flights::land(Node& leader) noexcept {
  Ref<Node> dropped;  // after the lock
  auto& shard = shard_of(leader);
  const std::lock_guard lock(shard.mutex);
  if (leader.role != Node::Role::leading) return nullptr;
  dropped = Ref<Node>::adopt(&leader);
  return take_all(shard, leader);
}

Flights::Chain Flights::take_if(Node& leader, bool (*wanted)(const Node&) noexcept) noexcept {
  auto& shard = shard_of(leader);
  const std::lock_guard lock(shard.mutex);
  Chain taken = nullptr;
  if (leader.role != Node::Role::leading) return taken;
  for (auto* node = leader.first; node;) {
    auto* const next = node->after;
    if (wanted(*node)) {
      unlink(*node);
      node->after = std::exchange(taken, node);
    }
    node = next;
  }
  return taken;
}

Flights::HandedOver Flights::hand_over(Node& leader,
                                       bool (*can_lead)(const Node&) noexcept) noexcept {
  Ref<Node> dropped;  // after the lock
  auto& shard = shard_of(leader);
  const std::lock_guard lock(shard.mutex);
  if (leader.role != Node::Role::leading) return {};
  dropped = Ref<Node>::adopt(&leader);
  auto* next = leader.first;
  while (next && !can_lead(*next)) next = next->after;
  if (!next) return {.next = {}, .left = take_all(shard, leader)};
  unlink(*next);
  remove(shard, leader);
  next->first = std::exchange(leader.first, nullptr);
  next->last = std::exchange(leader.last, nullptr);
  next->waiting = 1;
  for (auto* node = next->first; node; node = node->after) {
    node->follows = next;
    ++next->waiting;
  }
  next->role = Node::Role::leading;
  auto** const bucket = bucket_of(shard, *next);
  next->next_in_bucket = std::exchange(*bucket, next);
  ++shard.flights;
  // Its reference as a follower is now the leader's.
  return {.next = Ref<Node>::share(next)};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
