#include "valkey/fleet.hpp"

#include <algorithm>
#include <random>

#include "base/errors.hpp"
#include "valkey/cluster_slot.hpp"
#include "valkey/fleet_question.hpp"
#include "valkey/server_error.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// A command that was sent on so often is going in circles.
constexpr int most_redirects = 5;

std::vector<ServerAddress> all_seeds(const ValkeyCacheOptions& options) {
  std::vector<ServerAddress> seeds{{.host = options.host, .port = options.port}};
  for (const auto& text : options.seeds) {
    auto seed = parse_endpoint(text, options.port);
    if (seed && std::find(seeds.begin(), seeds.end(), *seed) == seeds.end()) {
      seeds.push_back(*std::move(seed));
    }
  }
  return seeds;
}

Error error_crowded() {
  return {.code = ErrorCode::overloaded,
          .message = "too much waits for one node: max_queued_commands or max_queued_bytes",
          .retryable = true};
}

FleetLane& lane_of(FleetNode& node, const Command& command) {
  return command.slot == Command::no_slot ? *node.lanes.front()
                                          : *node.lanes[command.slot % node.lanes.size()];
}

std::uint64_t seed() {
  return std::random_device{}();
}

}  // namespace

// --- life ---

Fleet::Fleet(const ValkeyCacheOptions& options, Poller& poller, Counters& counters,
             std::shared_ptr<TlsContext> tls)
    : options_(options),
      poller_(poller),
      counters_(counters),
      tls_(std::move(tls)),
      seeds_(all_seeds(options)),
      owners_(cluster_slots, nullptr),
      parked_({.value_bytes = 0, .reply_bytes = 0}, counters, SteadyTime::clock::now(), nullptr,
              {.stores = &stores_}),
      unpark_backoff_(std::chrono::milliseconds(10), std::chrono::milliseconds(100), seed()),
      round_backoff_(std::chrono::milliseconds(20), std::chrono::milliseconds(250), seed()) {
  if (options.near_cache.max_bytes != 0) {
    near_.emplace(options.near_cache, options.prefix);
    channels_.emplace(*near_);
  }
  const auto now = SteadyTime::clock::now();
  if (options.deployment == Deployment::single) {
    adopt_primary(seeds_.front(), {}, now);
  } else {
    want_discovery(now);
  }
}

Fleet::~Fleet() = default;

void Fleet::begin_closing() {
  closing_ = true;
  // What is asked just now ends with the rest. For stores that wait it is asked again.
  if (seeks() && question_ && !question_->done()) {
    question_ = {};
    round_.reset();
    discover_at_ = SteadyTime::min();
  }
  for (auto& [name, node] : nodes_) {
    for (auto& lane : node->lanes) {
      lane->connection->begin_closing();
      touch(*lane);
      account(*lane);
    }
  }
  for (auto& node : retired_) {
    for (auto& lane : node->lanes) {
      lane->connection->begin_closing();
      touch(*lane);
      account(*lane);
    }
  }
  parked_.fail_all_but_stores(error_cache_closed());
}

void Fleet::finish_closing() {
  const auto finish = [&](FleetNode& node) {
    for (auto& lane : node.lanes) {
      lane->connection->finish_closing();
      if (!std::exchange(lane->unpublished, true)) unpublished_.push_back(lane.get());
    }
  };
  for (auto& [name, node] : nodes_) finish(*node);
  for (auto& node : retired_) finish(*node);
  parked_.fail_all(error_cache_closed());
  protocol_.store(0, std::memory_order_relaxed);
}

// --- turns ---

void Fleet::drive(SteadyTime now, Poller::Ready /*ready*/) {
  reap();
  poller_.take_ready([&](auto* watched) { touch(*static_cast<FleetLane*>(watched->owner)); });
  while (!due_.empty() && due_.begin()->first <= now) {
    auto& lane = *due_.begin()->second;
    settle_due(lane, std::nullopt);
    touch(lane);
  }
  resolving_.take_all([&](auto* lane) { touch(*lane); });
  // A redirected command makes another lane have something to do.
  while (!touched_.empty()) {
    touched_.take_all([&](auto* lane) { drive_lane(*lane, now); });
    follow_redirects(now);
  }
  if (channels_) channels_->review(now);
  if (counters_.timeouts.get() != timeouts_seen_) {
    // Perhaps it has failed over, and says nothing.
    timeouts_seen_ = counters_.timeouts.get();
    want_discovery(std::max(now, last_round_ + std::chrono::milliseconds(500)));
  }
  if (seeks()) discover(now);
  if (unpark_at_ && now >= *unpark_at_) unpark();
  parked_.expire(now, trouble_ ? &*trouble_ : nullptr);
  if (parked_.idle()) unpark_backoff_.reset();
  // What was asked on behalf of a store that waited, and waits no longer.
  if (!seeks() && question_ && !question_->done()) begin_closing();
}

void Fleet::drive_lane(FleetLane& lane, SteadyTime now) {
  lane.touched = false;
  if (std::exchange(lane.restart, false)) {
    lane.connection->restart("the server says that another one is to be found under its name", now);
  }
  lane.connection->drive(now, std::exchange(lane.watched.ready, {}));
  if (lane.node.retired) leave(lane, now);
  account(lane);
  auto due = lane.connection->next_time();
  if (const auto doubtful = doubt(lane, now)) due = std::min(due.value_or(*doubtful), *doubtful);
  settle_due(lane, due);
  if (lane.connection->resolving()) resolving_.push_back(&lane);
  const int protocol = lane.connection->protocol();
  const bool ready = protocol != 0;
  const auto silent_since = lane.connection->silent_since();
  const auto heard = lane.connection->times_heard();
  lane.silent =
      silent_since && (now >= *silent_since + doubt_after || (lane.silent && lane.heard == heard));
  lane.heard = heard;
  set_stuck(lane, ready ? now < lane.refused + doubt_after || lane.silent
                        : lane.connection->trouble() != nullptr);
  if (ready && !lane.was_ready && lane.node.member) {
    protocol_.store(protocol, std::memory_order_relaxed);
    if (unpark_at_) unpark_at_ = now;
  }
  if (!ready && lane.connection->trouble()) {
    if (lane.was_ready) {
      const auto up = std::find_if(nodes_.begin(), nodes_.end(), [](const auto& entry) {
        return entry.second->member && entry.second->ready();
      });
      if (up == nodes_.end()) protocol_.store(0, std::memory_order_relaxed);
    }
    if (lane.node.member && !lane.node.retired) want_discovery(now);
  }
  lane.was_ready = ready;
}

// One that is silent costs its callers their time: others are asked before that is over, and asked
// again while it lasts. When to look at it again.
std::optional<SteadyTime> Fleet::doubt(FleetLane& lane, SteadyTime now) {
  const auto since = lane.connection->silent_since();
  if (since && lane.node.retired) return *since + doubt_after;  // see leave()
  if (!since || !lane.node.member || options_.deployment == Deployment::single) {
    return std::nullopt;
  }
  const auto at = std::max(*since, lane.doubted) + doubt_after;
  if (now < at) return at;
  lane.doubted = now;
  want_discovery(now);
  return now + doubt_after;
}

// Of a node that has been replaced: what hangs there, or comes back from there, is for others.
void Fleet::leave(FleetLane& lane, SteadyTime now) {
  const auto since = lane.connection->silent_since();
  if (since && now >= *since + doubt_after) {
    lane.connection->restart("another server has taken its place", now);
  }
  if (lane.connection->protocol() != 0) return;
  for (auto& command : waiting_of(lane)) put_aside(std::move(command));
}

std::optional<SteadyTime> Fleet::next_time() const {
  if (!touched_.empty() || !redirected_.empty()) return SteadyTime{};
  auto next = parked_.next_deadline().value_or(SteadyTime::max());
  if (!due_.empty()) next = std::min(next, due_.begin()->first);
  if (unpark_at_) next = std::min(next, *unpark_at_);
  if (seeks()) {  // as in drive()
    if (round_ && !question_) next = std::min(next, round_->patience);
    if (!round_ && discover_at_) next = std::min(next, *discover_at_);
  }
  if (next == SteadyTime::max()) return std::nullopt;
  return next;
}

void Fleet::publish() {
  unpublished_.take_all([](auto* lane) {
    lane->unpublished = false;
    lane->connection->publish();
  });
  parked_.publish();
  outcomes_.take_all([](auto& command) {
    command->unwatch();
    command->publish();
  });
}

void Fleet::touch(FleetLane& lane) {
  if (!std::exchange(lane.touched, true)) touched_.push_back(&lane);
}

void Fleet::account(FleetLane& lane) {
  const auto load = lane.connection->load();
  const bool stuck = lane.stuck;
  set_stuck(lane, false);
  total_.commands += load.commands - lane.counted.commands;
  total_.bytes += load.bytes - lane.counted.bytes;
  lane.counted = load;
  set_stuck(lane, stuck);
  const bool busy = !lane.connection->idle();
  if (busy && !lane.counted_busy) ++busy_lanes_;
  if (!busy && lane.counted_busy) --busy_lanes_;
  lane.counted_busy = busy;
  if (!std::exchange(lane.unpublished, true)) unpublished_.push_back(&lane);
}

void Fleet::set_stuck(FleetLane& lane, bool stuck) {
  if (std::exchange(lane.stuck, stuck) == stuck) return;
  for (auto* sum : {&stuck_, &lane.node.stuck}) {
    sum->commands += stuck ? lane.counted.commands : -lane.counted.commands;
    sum->bytes += stuck ? lane.counted.bytes : -lane.counted.bytes;
  }
}

// What is taken from there is counted there no more.
std::vector<Ref<Command>> Fleet::waiting_of(FleetLane& lane) {
  auto waiting = lane.connection->take_waiting();
  account(lane);
  return waiting;
}

// A time that is later than the one it stands at is found out when that one has come: while
// commands come and go deadlines move on all the time.
void Fleet::settle_due(FleetLane& lane, std::optional<SteadyTime> due) {
  if (lane.due && due && *due >= *lane.due) return;
  if (lane.due) spare_due_.push_back(due_.extract({*lane.due, &lane}));
  if (due && spare_due_.empty()) {
    due_.emplace(*due, &lane);
  } else if (due) {
    auto entry = std::move(spare_due_.back());
    spare_due_.pop_back();
    entry.value() = {*due, &lane};
    due_.insert(std::move(entry));
  }
  lane.due = due;
}

// --- nodes ---

FleetNode& Fleet::node_at(const ServerAddress& endpoint, bool sentinel, bool replica) {
  auto& node = nodes_[{endpoint, sentinel}];
  if (node && node->replica == replica) return *node;
  if (node) {
    // What is said to a replica when connecting differs.
    retire(*node);
    retired_.push_back(std::move(node));
  }
  node = std::make_unique<FleetNode>(
      FleetNode{.id = next_id_++, .endpoint = endpoint, .options = options_});
  node->sentinel = sentinel;
  node->replica = replica;
  auto& options = node->options;
  options.host = endpoint.host;
  options.port = endpoint.port;
  if (sentinel) {
    options.username.clear();
    options.password = options.sentinel_password;
    options.password_provider = {};
    options.database = 0;
  }
  if (sentinel || replica) options.near_cache.max_bytes = 0;
  for (std::size_t i = 0; i < (sentinel ? 1 : options_.connections); ++i) {
    auto& lane = *node->lanes.emplace_back(new FleetLane{.node = *node});
    if (channels_ && !sentinel && !replica) lane.near.emplace(*channels_);
    lane.connection.emplace(
        options, poller_, counters_, tls_, resolve_by_system,
        ConnectionTies{.near = lane.near ? &*lane.near : nullptr,
                       .pipeline = {.stores = &stores_, .filter = this, .connection = &lane},
                       .watched = &lane.watched,
                       .to_replica = replica});
    touch(lane);
  }
  return *node;
}

FleetNode* Fleet::find_node(std::uint32_t id) {
  for (auto& [name, node] : nodes_) {
    if (node->id == id) return node.get();
  }
  return nullptr;
}

// It takes nothing more. What waits goes to whom it now belongs to; what has been sent may end,
// unless it says nothing any more.
void Fleet::retire(FleetNode& node) {
  node.retired = true;
  node.member = false;
  for (auto*& owner : owners_) {
    if (owner == &node) owner = nullptr;
  }
  for (auto& [name, other] : nodes_) {
    if (other) std::erase(other->replicas, &node);
  }
  for (auto& lane : node.lanes) {
    for (auto& command : waiting_of(*lane)) put_aside(std::move(command));
    if (lane->near) lane->near->disconnected();
    touch(*lane);  // which leaves it
  }
  unpark_at_ = SteadyTime{};
}

void Fleet::reap() {
  std::erase_if(retired_, [&](const auto& node) {
    for (auto& lane : node->lanes) {
      if (!lane->connection->idle() || lane->unpublished) return false;
    }
    for (auto& lane : node->lanes) {
      settle_due(*lane, std::nullopt);
      touched_.erase(lane.get());
      resolving_.erase(lane.get());
      set_stuck(*lane, false);
      total_.commands -= lane->counted.commands;
      total_.bytes -= lane->counted.bytes;
    }
    return true;
  });
}

// --- commands ---

void Fleet::accept(Ref<Command> command) {
  if (!command->request.empty() && command->slot == Command::no_slot) {
    if (const auto key = key_of_request(command->request)) command->slot = key_slot(*key);
  }
  route(std::move(command), Fresh::yes);
}

void Fleet::cancel(Command& command) {
  // What is done may have outlived the pipeline that it was in.
  if (!command.is_waiting && !command.in_flight) return;
  command.home->fail(command, error_cancelled());
  if (auto* lane = static_cast<FleetLane*>(command.home->connection())) account(*lane);
}

void Fleet::route(Ref<Command> command, Fresh fresh) {
  if (command->request.empty()) return tell_roster(std::move(command));
  // What has its room there already keeps it.
  const auto serve = [&](FleetNode& node) {
    fresh == Fresh::yes ? offer(node, std::move(command)) : give(node, std::move(command));
  };
  if (command->node != 0) {
    auto* node = find_node(command->node);
    if (node) {
      // Who takes over slots and is being scanned stays until that is done, unless it takes very
      // long over a page.
      if (node->importing_until > SteadyTime::clock::now()) note_import(*node);
      return serve(*node);
    }
    return end(std::move(command), {.code = ErrorCode::server_unavailable,
                                    .message = "the node has left the cluster",
                                    .retryable = true});
  }
  auto* owner = command->slot == Command::no_slot ? any_primary() : owners_[command->slot];
  if (owner) return serve(*reader_of(*owner, *command));
  fresh == Fresh::yes ? park(std::move(command)) : put_aside(std::move(command));
}

FleetNode* Fleet::reader_of(FleetNode& primary, const Command& command) {
  if (options_.read_from == ReadFrom::primary || command.effect != Command::Effect::none ||
      command.slot == Command::no_slot || command.replies > 1 || command.redirects > 0) {
    return &primary;
  }
  for (std::size_t i = 0; i < primary.replicas.size(); ++i) {
    auto* replica = primary.replicas[primary.next_replica++ % primary.replicas.size()];
    if (replica->ready()) return replica;
  }
  return &primary;
}

FleetNode* Fleet::any_primary() {
  FleetNode* found = nullptr;
  for (auto& [name, node] : nodes_) {
    if (!node->member || node->replica) continue;
    found = node.get();
    if (found->ready()) return found;
  }
  return found;
}

// What counts against the limits. That a node hangs shows after a while only, when it may have
// taken all the room: so what is stuck counts as three quarters of a limit at most, and the others
// go on beyond it. No more than the limit once again goes uncounted.
Backend::Load Fleet::load() const {
  auto counted = held();
  if (!several_) return counted;
  const auto uncounted = [](std::size_t stuck, std::size_t limit) {
    const auto most = limit - limit / 4;
    return std::min(stuck - std::min(stuck, most), limit);
  };
  counted.commands -= uncounted(stuck_.commands + parked_.load(), options_.max_queued_commands);
  counted.bytes -= uncounted(stuck_.bytes + parked_.load_bytes(), options_.max_queued_bytes);
  return counted;
}

// Whether one part of several that is stuck may not have another command: it must not hold more
// than what is left for all. However many are, some room stays.
bool Fleet::takes_too_much(Load part, const Command& command) const {
  if (!several_ || command.internal || part.commands == 0) return false;
  const auto all = held();
  const auto left = [](std::size_t most, std::size_t taken) {
    return most - std::min(most, taken);
  };
  return part.commands >= left(options_.max_queued_commands, all.commands) ||
         part.bytes + command.request.size() > left(options_.max_queued_bytes, all.bytes);
}

void Fleet::offer(FleetNode& node, Ref<Command> command, Asking asking) {
  if (lane_of(node, *command).stuck && takes_too_much(node.stuck, *command)) {
    return end(std::move(command), error_crowded());
  }
  give(node, std::move(command), asking);
}

void Fleet::give(FleetNode& node, Ref<Command> command, Asking asking) {
  auto& lane = lane_of(node, *command);
  if (asking == Asking::yes) {
    // Both go into one queue, one behind the other.
    class AskingCommand final : public CountedCommand {
     public:
      AskingCommand() {
        append_request(request, {"ASKING"});
        times_sent = 1;  // not again on another connection
        pinned = internal = true;
      }
      bool on_reply(Reply&& /*reply*/, Counters& /*unused*/) override { return true; }
      void on_error(Error&& /*error*/) override {}
      void publish() noexcept override {}
    };
    lane.connection->accept(Ref<Command>::adopt(new AskingCommand));
  }
  lane.connection->accept(std::move(command));
  account(lane);
  touch(lane);
}

void Fleet::park(Ref<Command> command) {
  if (!takes_too_much({parked_.load(), parked_.load_bytes()}, *command)) {
    return put_aside(std::move(command));
  }
  want_discovery(SteadyTime::clock::now());
  end(std::move(command), error_crowded());
}

void Fleet::put_aside(Ref<Command> command) {
  want_discovery(SteadyTime::clock::now());
  parked_.add(std::move(command));
  if (!unpark_at_) unpark_at_ = SteadyTime::clock::now() + unpark_backoff_.next();
}

void Fleet::unpark() {
  unpark_at_.reset();
  for (auto& command : parked_.take_waiting()) {
    forget_near(*command);
    route(std::move(command));
  }
}

// A write that changes its place in the order: a read that went ahead of it may have put the old
// value near.
void Fleet::forget_near(const Command& command) {
  if (!near_ || command.effect == Command::Effect::none) return;
  const auto key = key_of_request(command.request).value_or("");
  if (key.starts_with(options_.prefix)) near_->invalidate(key.substr(options_.prefix.size()));
}

void Fleet::end(Ref<Command> command, Error error) {
  if (!command->internal) counters_.errors.add();
  if (error.code == ErrorCode::overloaded) counters_.overloaded.add();
  command->on_error(std::move(error));
  stores_.done(*command);
  outcomes_.push_back(std::move(command));
}

// Keys are on their way to it.
void Fleet::note_import(FleetNode& node) {
  const auto now = SteadyTime::clock::now();
  if (node.importing_until <= now) node.gained = ++version_;
  node.importing_until = now + importing_for;
}

// Who is asked when all are to be: behind the version of the map the number of each primary, and of
// each node that is taking over slots, with the version since which it has gained nothing.
void Fleet::tell_roster(Ref<Command> command) {
  if (!mapped_) return put_aside(std::move(command));
  if (command->anew) {
    // The question that is under way may have been answered already. Such a command's node is the
    // round that it waits for.
    if (command->node == 0) command->node = rounds_begun_ + 1;
    if (round_adopted_ < command->node) return put_aside(std::move(command));
  }
  Reply reply{.type = Reply::Type::array};
  reply.elements.push_back({.type = Reply::Type::integer, .integer = version_});
  std::map<std::uint32_t, std::uint32_t> gained;
  for (const auto* owner : owners_) {
    if (owner) gained[owner->id] = owner->gained;
  }
  const auto now = SteadyTime::clock::now();
  for (const auto& [name, node] : nodes_) {
    if (node->importing_until > now) gained[node->id] = node->gained;
  }
  for (const auto& [id, version] : gained) {
    reply.elements.push_back({.type = Reply::Type::integer, .integer = id});
    reply.elements.push_back({.type = Reply::Type::integer, .integer = version});
  }
  (void)command->on_reply(std::move(reply), counters_);
  outcomes_.push_back(std::move(command));
}

// --- redirects ---

bool Fleet::takes(std::string_view error) const noexcept {
  const auto word = error.substr(0, error.find(' '));
  for (const std::string_view known :
       {"MOVED", "ASK", "TRYAGAIN", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "READONLY"}) {
    if (word == known) return true;
  }
  return false;
}

bool Fleet::take(Ref<Command>& command, std::string_view error, void* connection) {
  if (command->slot == Command::no_slot || command->node != 0) return false;
  auto* const lane = static_cast<FleetLane*>(connection);
  auto redirect = parse_redirect(error, lane->node.endpoint);
  if (!redirect) return false;
  const bool places =
      redirect->kind == Redirect::Kind::moved || redirect->kind == Redirect::Kind::ask;
  if (places && options_.deployment != Deployment::cluster) return false;
  if (options_.deployment == Deployment::single) return false;
  if (command->redirects < 255) ++command->redirects;
  command->times_sent = 0;
  if (!places) trouble_ = server_error("the call", error);
  redirected_.push_back({std::move(command), *std::move(redirect), lane});
  return true;
}

void Fleet::follow_redirects(SteadyTime now) {
  for (auto& [command, redirect, from] : std::exchange(redirected_, {})) {
    forget_near(*command);
    const bool places =
        redirect.kind == Redirect::Kind::moved || redirect.kind == Redirect::Kind::ask;
    if (!places || !redirect.endpoint || command->redirects > most_redirects) {
      if (!places) {
        from->refused = now;
        set_stuck(*from, true);
      }
      if (redirect.kind != Redirect::Kind::later) want_discovery(now);
      if (places) command->redirects = 1;  // from here on at the pace of the pauses
      park(std::move(command));
      continue;
    }
    auto endpoint = *std::move(redirect.endpoint);
    if (topology_) {
      const auto named = topology_->names.find(endpoint);
      if (named != topology_->names.end()) endpoint = named->second;
    }
    if (redirect.kind == Redirect::Kind::ask) {
      auto& node = node_at(endpoint, false, false);
      node.member = true;
      note_import(node);
      offer(node, std::move(command), Asking::yes);
      continue;
    }
    want_discovery(now);
    auto& node = node_at(endpoint, false, false);
    node.member = true;
    if (&node == &from->node) {
      // Several servers behind one name, or another one by now.
      if (command->redirects > 2) from->restart = true;
    } else if (owners_[redirect.slot] != &node) {
      owners_[redirect.slot] = &node;
      node.gained = ++version_;
      if (channels_) channels_->forget_all();
    }
    offer(node, std::move(command));
  }
}

void Fleet::log(LogLevel level, const std::string& message) const {
  report(options_.log, level, "valkey", message);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
