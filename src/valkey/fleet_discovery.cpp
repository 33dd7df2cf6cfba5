// How a fleet finds out who serves what: rounds of questions, no more often than need be.
#include <algorithm>

#include "valkey/cluster_slot.hpp"
#include "valkey/fleet.hpp"
#include "valkey/fleet_question.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::chrono::milliseconds between_rounds{100};
// Without a cause, just to be sure.
constexpr std::chrono::seconds between_looks{15};
constexpr std::chrono::milliseconds longest_answer{500};
// After so many rounds that did not help the addresses given at the start are asked, too.
constexpr int rounds_before_seeds = 2;

}  // namespace

void Fleet::want_discovery(SteadyTime at) {
  if (options_.deployment == Deployment::single) return;
  if (last_round_ != SteadyTime::min()) at = std::max(at, last_round_ + between_rounds);
  discover_at_ = std::min(discover_at_.value_or(at), at);
}

void Fleet::discover(SteadyTime now) {
  if (question_ && question_->done()) take_answer(now);
  if (!round_ && discover_at_ && now >= *discover_at_) begin_round(now);
  if (!round_ || question_) return;
  bool hope = false;
  auto& list = round_->to_ask;
  for (auto name = list.begin(); name != list.end(); ++name) {
    const auto known = nodes_.find(*name);
    const bool replica = known != nodes_.end() && known->second->replica;
    auto& node = node_at(name->first, name->second, replica);
    if (node.ready()) {
      round_->asked.insert(*name);
      list.erase(name);
      return ask(node, now);
    }
    hope = hope || !node.trouble();
  }
  if (hope && now < round_->patience) return;
  if (round_->refusal) return round_failed(*round_->refusal, now);
  for (const auto& name : round_->to_ask) {
    if (const auto* why = nodes_[name]->trouble()) {
      return round_failed(*why, now);
    }
  }
  round_failed({.code = ErrorCode::server_unavailable,
                .message = "no node could say who serves what",
                .retryable = true},
               now);
}

void Fleet::begin_round(SteadyTime now) {
  discover_at_.reset();
  last_round_ = now;
  ++rounds_begun_;
  round_.emplace();
  round_->patience = now + options_.connect_timeout;
  auto& list = round_->to_ask;
  std::set<NodeName> listed;
  const auto add = [&](const ServerAddress& endpoint, bool sentinel) {
    const auto [name, is_new] = listed.insert({endpoint, sentinel});
    if (is_new) list.push_back(*name);
  };
  const auto those_that_hang_last = [&] {
    std::stable_partition(list.begin(), list.end(), [&](const NodeName& name) {
      const auto found = nodes_.find(name);
      return found == nodes_.end() || !found->second->silent_since(now - doubt_after);
    });
  };
  if (options_.deployment == Deployment::sentinel) {
    for (const auto& seed : seeds_) add(seed, true);
    return those_that_hang_last();
  }
  // Not always the same one: it may be cut off from the others, and not know.
  std::vector<ServerAddress> known;
  for (const auto& [name, node] : nodes_) {
    if (node->member && node->ready()) known.push_back(name.first);
  }
  if (!known.empty()) {
    const auto first = static_cast<std::ptrdiff_t>(rotation_++ % known.size());
    std::rotate(known.begin(), known.begin() + first, known.end());
  }
  const bool replicated = options_.deployment == Deployment::replicated;
  if (replicated) {
    for (const auto& seed : seeds_) add(seed, false);
  }
  for (const auto& endpoint : known) add(endpoint, false);
  if (known.empty() || rounds_in_vain_ >= rounds_before_seeds) {
    for (const auto& seed : seeds_) add(seed, false);
  }
  those_that_hang_last();
}

void Fleet::ask(FleetNode& node, SteadyTime now) {
  const auto about = node.sentinel                                ? FleetQuestion::About::sentinel
                     : options_.deployment == Deployment::cluster ? FleetQuestion::About::slots
                                                                  : FleetQuestion::About::role;
  question_ = Ref<FleetQuestion>::adopt(new FleetQuestion(about, node, options_.sentinel_name));
  question_->deadline = now + std::min(options_.connect_timeout, longest_answer);
  question_->node = node.id;
  give(node, Ref<Command>::share(question_.get()));
}

void Fleet::take_answer(SteadyTime now) {
  const auto question = std::exchange(question_, {});
  const auto& answer = question->answer();
  if (!answer) {
    trouble_ = answer.error();
    round_->unanswered = true;
    return;  // the next one is asked
  }
  switch (question->about()) {
    case FleetQuestion::About::slots: {
      auto topology = parse_cluster_slots(*answer, question->asked(), options_.tls.enabled);
      if (topology && !topology->ranges.empty()) return adopt(*topology, now);
      trouble_ = topology ? Error{.code = ErrorCode::server_unavailable,
                                  .message = "the cluster has no slots assigned yet",
                                  .retryable = true}
                          : topology.error();
      round_->refusal = trouble_;
      return;
    }
    case FleetQuestion::About::role: {
      const auto role = parse_role(*answer);
      if (!role) {
        trouble_ = role.error();
        return;
      }
      if (role->primary) {
        auto replicas = role->replicas;
        if (options_.deployment == Deployment::replicated && seeds_.size() > 1) replicas = seeds_;
        return adopt_primary(question->asked(), std::move(replicas), now);
      }
      const NodeName next{role->follows, false};
      trouble_ = Error{.code = ErrorCode::server_unavailable,
                       .message = "there are replicas, but no primary answers",
                       .retryable = true};
      const bool listed =
          std::find(round_->to_ask.begin(), round_->to_ask.end(), next) != round_->to_ask.end();
      // Where addresses were given, they are how the servers are reached from here.
      if (seeds_.size() == 1 && !listed && !round_->asked.contains(next)) {
        round_->to_ask.push_back(next);
      }
      return;
    }
    case FleetQuestion::About::sentinel: {
      const auto primary = parse_sentinel_answer(*answer);
      if (!primary) {
        trouble_ = primary.error();
        return;
      }
      const NodeName next{*primary, false};
      if (!round_->asked.contains(next)) {
        // By its word alone: the other sentinels only if it is wrong.
        round_->to_ask.insert(round_->to_ask.begin(), next);
      }
      return;
    }
  }
}

void Fleet::round_failed(Error why, SteadyTime now) {
  // -ERR to the question is final where a seed was among those who were asked, and nobody else may
  // know better; to a connection it may be a passing trouble.
  const bool seed_asked = std::any_of(seeds_.begin(), seeds_.end(), [&](const auto& seed) {
    return round_->asked.contains({seed, false});
  });
  const bool refused =
      round_->refusal && seed_asked && !round_->unanswered && why.code == ErrorCode::server_error;
  round_.reset();
  ++rounds_in_vain_;
  if (rounds_in_vain_ == 1) log(LogLevel::warning, "who serves what is not known: " + why.message);
  if (why.code == ErrorCode::authentication || why.code == ErrorCode::tls_failed ||
      why.code == ErrorCode::permission || refused) {
    parked_.fail_waiting(why);  // it stays so for as long as anybody waits
  }
  trouble_ = std::move(why);
  want_discovery(now + round_backoff_.next());
}

void Fleet::adopt_primary(const ServerAddress& primary, std::vector<ServerAddress> replicas,
                          SteadyTime now) {
  std::erase(replicas, primary);
  if (options_.read_from == ReadFrom::primary) replicas.clear();
  Topology topology;
  topology.ranges.push_back({.first = 0,
                             .last = static_cast<std::uint16_t>(cluster_slots - 1),
                             .primary = primary,
                             .replicas = std::move(replicas)});
  adopt(topology, now);
}

void Fleet::adopt(const Topology& topology, SteadyTime now) {
  round_.reset();
  round_adopted_ = rounds_begun_;
  if (options_.deployment != Deployment::single) {
    discover_at_.reset();
    want_discovery(now + between_looks);
  }
  const auto before = owners_;
  std::fill(owners_.begin(), owners_.end(), nullptr);
  std::set<const FleetNode*> members;
  for (const auto& range : topology.ranges) {
    auto& primary = node_at(range.primary, false, false);
    members.insert(&primary);
    primary.replicas.clear();
    if (options_.read_from == ReadFrom::replica) {
      for (const auto& endpoint : range.replicas) {
        if (endpoint == range.primary) continue;
        auto& replica = node_at(endpoint, false, true);
        replica.member = true;
        members.insert(&replica);
        if (std::find(primary.replicas.begin(), primary.replicas.end(), &replica) ==
            primary.replicas.end()) {
          primary.replicas.push_back(&replica);
        }
      }
    }
    primary.member = true;
    for (std::size_t slot = range.first; slot <= range.last; ++slot) owners_[slot] = &primary;
  }
  topology_ = topology;
  mapped_ = true;
  several_ = members.size() > 1;
  if (owners_ != before) {
    ++version_;
    for (std::size_t slot = 0; slot < owners_.size(); ++slot) {
      if (owners_[slot] && owners_[slot] != before[slot]) owners_[slot]->gained = version_;
    }
    if (channels_) channels_->forget_all();
  }
  bool trouble = false;
  for (auto entry = nodes_.begin(); entry != nodes_.end();) {
    auto& node = *entry->second;
    if (members.contains(&node)) {
      trouble = trouble || (!node.replica && node.trouble());
      ++entry;
      continue;
    }
    if (node.importing_until > now && !node.trouble()) {
      ++entry;
      continue;
    }
    retire(node);
    retired_.push_back(std::move(entry->second));
    entry = nodes_.erase(entry);
  }
  // What waits for a node that does not answer may belong to another one now.
  for (auto& [name, node] : nodes_) {
    if (node->ready()) continue;
    for (auto& lane : node->lanes) {
      for (auto& command : waiting_of(*lane)) {
        forget_near(*command);  // somebody may have read from its new owner already
        route(std::move(command));
      }
    }
  }
  for (auto& [name, node] : nodes_) {
    for (auto& lane : node->lanes) {
      const int protocol = lane->connection->protocol();
      if (protocol != 0) protocol_.store(protocol, std::memory_order_relaxed);
    }
  }
  rounds_in_vain_ = trouble ? rounds_in_vain_ + 1 : 0;
  if (!trouble) {
    round_backoff_.reset();
    trouble_.reset();
  }
  unpark();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
