// Fleet: many connections behind one cache. A cluster's nodes, a primary with its replicas, or
// several connections to one server: each command goes to the one that serves its key, and who
// serves what is found out and kept up to date beside it.
//
// Every node has connections of its own, each with its own queue, so that one which hangs delays
// nobody else. What a command costs does not depend on how many there are: a turn touches only
// those that have something to do.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "valkey/backend.hpp"
#include "valkey/backoff.hpp"
#include "valkey/cluster_redirect.hpp"
#include "valkey/cluster_topology.hpp"
#include "valkey/fleet_node.hpp"
#include "valkey/near_channels.hpp"
#include "valkey/near_tier.hpp"
#include "valkey/pipeline.hpp"
#include "valkey/store_ledger.hpp"
#include "valkey/turn_list.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class FleetQuestion;

// A node that owes replies for so long may have been replaced. Far below the time-out of a command.
inline constexpr std::chrono::milliseconds doubt_after{250};

// A round of questions: one after the other is asked, until somebody knows.
struct FleetRound {
  using NodeName = std::pair<ServerAddress, bool>;  // and whether it is a sentinel
  std::vector<NodeName> to_ask;
  std::set<NodeName> asked;
  SteadyTime patience{};
  std::optional<Error> refusal;  // the last one who was asked would not say
  bool unanswered = false;       // somebody said nothing at all
};

// Who takes over slots is kept for so long after it was last heard of.
inline constexpr std::chrono::seconds importing_for{15};

class Fleet final : public Backend, private ErrorFilter {
 public:
  // The options are checked ones; they, the poller and the counters outlive the fleet.
  Fleet(const ValkeyCacheOptions& options, Poller& poller, Counters& counters,
        std::shared_ptr<TlsContext> tls);
  ~Fleet() override;

  void accept(Ref<Command> command) override;
  void cancel(Command& command) override;
  void drive(SteadyTime now, Poller::Ready ready) override;
  [[nodiscard]] std::optional<SteadyTime> next_time() const override;
  void publish() override;
  void begin_closing() override;
  void finish_closing() override;
  [[nodiscard]] bool idle() const override { return busy_lanes_ == 0 && parked_.idle(); }
  std::uint64_t mark_stores() override { return stores_.close_epoch(); }
  [[nodiscard]] bool stores_done(std::uint64_t mark) const override {
    return stores_.done_until(mark);
  }
  [[nodiscard]] Load load() const override;
  [[nodiscard]] NearTier* near() noexcept override { return near_ ? &*near_ : nullptr; }
  [[nodiscard]] bool connected() const noexcept override { return protocol() != 0; }
  [[nodiscard]] int protocol() const noexcept override {
    return protocol_.load(std::memory_order_relaxed);
  }

 private:
  using NodeName = FleetRound::NodeName;

  // --- commands ---
  bool take(Ref<Command>& command, std::string_view error, void* connection) override;
  [[nodiscard]] bool takes(std::string_view error) const noexcept override;
  enum class Fresh : bool { no, yes };  // one that has no room yet
  void route(Ref<Command> command, Fresh fresh = Fresh::no);
  enum class Asking : bool { no, yes };  // for what is on its way there
  void give(FleetNode& node, Ref<Command> command, Asking asking = Asking::no);
  // Likewise, unless it is stuck and holds too much.
  void offer(FleetNode& node, Ref<Command> command, Asking asking = Asking::no);
  [[nodiscard]] Load held() const {
    return {total_.commands + parked_.load(), total_.bytes + parked_.load_bytes()};
  }
  [[nodiscard]] bool takes_too_much(Load part, const Command& command) const;
  void park(Ref<Command> command);
  void put_aside(Ref<Command> command);
  void unpark();
  void forget_near(const Command& command);
  // Ends a command that is in no queue.
  void end(Ref<Command> command, Error error);
  void tell_roster(Ref<Command> command);
  void note_import(FleetNode& node);
  void follow_redirects(SteadyTime now);
  [[nodiscard]] FleetNode* reader_of(FleetNode& primary, const Command& command);
  [[nodiscard]] FleetNode* any_primary();

  // --- lanes ---
  FleetNode& node_at(const ServerAddress& endpoint, bool sentinel, bool replica);
  [[nodiscard]] FleetNode* find_node(std::uint32_t id);
  void retire(FleetNode& node);
  void reap();
  void touch(FleetLane& lane);
  void drive_lane(FleetLane& lane, SteadyTime now);
  std::optional<SteadyTime> doubt(FleetLane& lane, SteadyTime now);
  void leave(FleetLane& lane, SteadyTime now);
  void account(FleetLane& lane);
  void set_stuck(FleetLane& lane, bool stuck);
  std::vector<Ref<Command>> waiting_of(FleetLane& lane);
  void settle_due(FleetLane& lane, std::optional<SteadyTime> due);

  // --- discovery ---
  // Who serves what is still of interest: when closing, to the stores that wait.
  [[nodiscard]] bool seeks() const { return !closing_ || !stores_.empty(); }
  void want_discovery(SteadyTime at);
  void discover(SteadyTime now);
  void begin_round(SteadyTime now);
  void ask(FleetNode& node, SteadyTime now);
  void take_answer(SteadyTime now);
  void round_failed(Error why, SteadyTime now);
  void adopt(const Topology& topology, SteadyTime now);
  void adopt_primary(const ServerAddress& primary, std::vector<ServerAddress> replicas,
                     SteadyTime now);
  void log(LogLevel level, const std::string& message) const;

  const ValkeyCacheOptions& options_;
  Poller& poller_;
  Counters& counters_;
  const std::shared_ptr<TlsContext> tls_;
  const std::vector<ServerAddress> seeds_;
  std::optional<NearTier> near_;
  std::optional<NearChannels> channels_;
  StoreLedger stores_;

  std::map<NodeName, std::unique_ptr<FleetNode>> nodes_;
  std::vector<std::unique_ptr<FleetNode>> retired_;
  std::uint32_t next_id_ = 1;
  std::vector<FleetNode*> owners_;  // by slot; null: nobody, as far as is known
  bool mapped_ = false;
  bool several_ = false;       // nodes that serve
  std::uint32_t version_ = 0;  // of who owns, or takes over, what
  std::optional<Topology> topology_;

  TurnList<FleetLane*> touched_;
  TurnList<FleetLane*> unpublished_;
  TurnList<FleetLane*> resolving_;
  std::set<std::pair<SteadyTime, FleetLane*>> due_;
  std::vector<decltype(due_)::node_type> spare_due_;  // for the next ones
  Load total_;
  Load stuck_;  // the part of it that lies in lanes which are
  std::size_t busy_lanes_ = 0;

  struct Redirected {
    Ref<Command> command;
    Redirect redirect;
    FleetLane* from;
  };
  std::vector<Redirected> redirected_;
  // Those that nobody can serve just now, and those that are to be sent again a little later.
  Pipeline parked_;
  std::optional<SteadyTime> unpark_at_;
  Backoff unpark_backoff_;
  TurnList<Ref<Command>> outcomes_;

  std::optional<FleetRound> round_;
  Ref<FleetQuestion> question_;
  std::optional<SteadyTime> discover_at_;
  SteadyTime last_round_ = SteadyTime::min();
  Backoff round_backoff_;
  std::uint32_t rounds_begun_ = 0;
  std::uint32_t round_adopted_ = 0;  // the number of the one whose outcome is in force
  int rounds_in_vain_ = 0;           // or with trouble still there afterwards
  std::size_t rotation_ = 0;
  std::optional<Error> trouble_;
  bool closing_ = false;
  std::uint64_t timeouts_seen_ = 0;
  std::atomic<int> protocol_{0};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
