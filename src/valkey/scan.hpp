// A walk over all keys under a prefix, for a thread that waits: SCAN page by page, each while the
// one before it is worked at. (clear() never waits, and so has steps of its own.)
// https://valkey.io/commands/scan/
#pragma once

#include <valkeycache/future.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "valkey/cache_core.hpp"
#include "valkey/pipeline.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// SCAN's COUNT: of the first page, as the guide's, and of later ones at most.
inline constexpr std::int64_t first_scan_count = 100;
inline constexpr std::int64_t largest_scan_count = 1000;
// Over a cluster whose slots move: how long without a time limit of its own. A job may meet the
// move of hundreds of slots, which rests between none of them.
inline constexpr std::chrono::minutes longest_unrest{5};

inline Error error_slots_kept_moving() {
  return {.code = ErrorCode::server_unavailable,
          .message = "the cluster's slots kept moving, or nobody had them",
          .retryable = true};
}

// SCAN's cursor means something to that server process only which gave it, and another connection
// may lead to another one: after a restart, a failover, a change of address.
class CursorOrigin {
 public:
  // The next page is the first one of a scan.
  void begin() noexcept { connection_.reset(); }
  // A page has come. False: where it was to go on is lost, and the scan has to begin again.
  [[nodiscard]] bool is_kept_by(std::uint64_t connection) noexcept {
    if (!connection_) connection_ = connection;
    return *connection_ == connection;
  }

 private:
  std::optional<std::uint64_t> connection_;
};
// By which connection a command's reply comes, while it does; 0 where there is none.
inline std::uint64_t connection_of(const Command& command) noexcept {
  return command.home ? command.home->connection_number() : 0;
}
// In a row, without anything new in between.
inline constexpr int most_restarts = 8;
inline Error error_scan_lost() {
  return {.code = ErrorCode::connection_lost,
          .message = "the connection was lost again and again before all keys had been scanned",
          .retryable = true};
}

// Of a cluster: who is to be scanned, and which version of the map has last brought them slots.
struct Roster {
  struct Node {
    std::uint32_t id = 0;
    std::int64_t gained = 0;
  };
  std::int64_t version = 0;
  std::vector<Node> nodes;
};
Roster read_roster(const Reply& reply);

// Which nodes of a cluster have to be scanned, and scanned again: keys move with their slots, maybe
// to where the scan has been. One pass after the other, until a new question finds nobody who has
// gained slots since it was scanned; with ever longer pauses while that goes on.
class ScanPlan {
 public:
  enum class Step : std::uint8_t {
    scan,  // nodes()
    ask_again,
    done,
    give_up,  // slots move all the time
  };
  Step heard(const Roster& roster, SteadyTime now, SteadyTime limit = SteadyTime::max());
  // The next pass is over all nodes.
  void scan_all_again() { scanned_.clear(); }

  [[nodiscard]] const std::vector<std::uint32_t>& nodes() const noexcept { return nodes_; }
  [[nodiscard]] int passes() const noexcept { return passes_; }
  // It has heard a roster, which may have been a guess. Later ones must not be.
  [[nodiscard]] bool begun() const noexcept { return begun_; }
  // Of the map as last heard of.
  [[nodiscard]] std::int64_t version() const noexcept { return version_; }

 private:
  std::map<std::uint32_t, std::int64_t> scanned_;  // since which version of the map
  std::vector<std::uint32_t> nodes_;
  std::optional<SteadyTime> first_pass_ended_;
  std::int64_t version_ = 0;
  bool begun_ = false;
  int passes_ = 0;
  int pauses_ = 0;  // questions, a tenth of a second each, before the next pass
};

// A command whose future somebody waits for; none of those that write.
template <class T>
Future<T> ask_by(CacheCore& core, Ref<CommandFuture<T>> command, std::string request,
                 SteadyTime deadline, const std::stop_token& token, std::uint32_t node,
                 bool anew = false) {
  command->set_context(core.context());
  command->set_helper(&core);
  command->request = std::move(request);
  command->deadline = deadline;
  command->node = node;
  command->anew = anew;
  auto future = Ref<FutureState<T>>::share(command.get());
  core.submit(Ref<Command>::adopt(command.detach()), token);
  return FutureAccess::make<T>(std::move(future));
}
template <class T>
Future<T> ask(CacheCore& core, std::string request, typename CommandFuture<T>::Decode decode,
              SteadyTime deadline, const std::stop_token& token, std::uint32_t node = 0,
              bool anew = false) {
  return ask_by(core, Ref<CommandFuture<T>>::adopt(new CommandFuture<T>(decode)),
                std::move(request), deadline, token, node, anew);
}

// Without a time limit of its own a step of a long job still ends when there is no server to be
// had.
SteadyTime step_deadline(const CacheCore& core);

// In a cluster every primary is scanned by a cursor of its own, as a ScanPlan has it.
class KeyWalk {
 public:
  // The core outlives the walk.
  KeyWalk(CacheCore& core, std::string prefix, std::stop_token token);

  // The keys of the next page, each with the prefix; nullopt at the end. Some may come again. After
  // an error the walk is over; one is that slots move all the time (server_unavailable).
  Result<std::optional<std::vector<std::string>>> next();
  // The next page begins with the question whether there is more to walk. Whoever reads the keys
  // should have done so: on the way some nodes are heard of.
  [[nodiscard]] bool pass_ended() const noexcept { return nodes_.empty(); }
  // There was a key among those of the last page that had not come before: to begin again so often
  // is worth it.
  void progressed() noexcept { restarts_ = 0; }

 private:
  struct Page {
    std::string cursor;
    std::vector<std::string> keys;
  };
  // One that knows by which connection its reply has come.
  class PageCommand final : public CommandFuture<Page> {
   public:
    PageCommand() : CommandFuture<Page>(&KeyWalk::decode_page) {}
    bool on_reply(Reply&& reply, Counters& counters) override {
      connection_ = connection_of(*this);
      return CommandFuture<Page>::on_reply(std::move(reply), counters);
    }
    [[nodiscard]] std::uint64_t connection() const noexcept { return connection_; }

   private:
    std::uint64_t connection_ = 0;
  };

  static Result<Page> decode_page(Reply&& reply, Counters& counters);
  static Result<Roster> decode_roster(Reply&& reply, Counters& counters);
  // False: every node has been walked.
  Result<bool> begin_pass();
  Result<bool> plan_pass();
  void scan(const std::string& cursor);

  CacheCore& core_;
  const std::string prefix_;
  const std::string pattern_;
  const std::stop_token token_;
  std::int64_t count_ = 0;
  ScanPlan plan_;
  bool walked_ = false;  // what is no cluster
  int errors_ = 0;
  Ref<PageCommand> command_;
  CursorOrigin origin_;
  int restarts_ = 0;
  std::vector<std::uint32_t> nodes_;  // left in this pass; the last one is being walked
  Future<Page> page_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
