// A walk over all keys under a prefix, for a thread that waits: SCAN page by page, each while the
// one before it is worked at. (clear() never waits, and so has steps of its own.)
// https://valkey.io/commands/scan/
#pragma once

#include <valkeycache/future.hpp>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "valkey/cache_core.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// SCAN's COUNT: of the first page, as the guide's, and of later ones at most.
inline constexpr std::int64_t first_scan_count = 100;
inline constexpr std::int64_t largest_scan_count = 1000;
// Over a cluster whose slots move.
inline constexpr int most_passes = 8;

inline Error error_slots_kept_moving() {
  return {.code = ErrorCode::server_unavailable,
          .message = "the cluster's slots kept moving, or nobody had them",
          .retryable = true};
}

// A command whose future somebody waits for; none of those that write.
template <class T>
Future<T> ask(CacheCore& core, std::string request, typename CommandFuture<T>::Decode decode,
              SteadyTime deadline, const std::stop_token& token, std::uint32_t node = 0,
              bool anew = false) {
  auto command = Ref<CommandFuture<T>>::adopt(new CommandFuture<T>(decode));
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

// Without a time limit of its own a step of a long job still ends when there is no server to be
// had.
SteadyTime step_deadline(const CacheCore& core);

// In a cluster every primary is scanned by a cursor of its own; and again when slots have changed
// their owner, for their keys may have moved to where the scan had been, or to one that nobody knew
// of.
class KeyWalk {
 public:
  // The core outlives the walk.
  KeyWalk(CacheCore& core, std::string prefix, std::stop_token token);

  // The keys of the next page, each with the prefix; nullopt at the end. Some may come again. After
  // an error the walk is over; one is that slots move all the time (server_unavailable).
  Result<std::optional<std::vector<std::string>>> next();

 private:
  struct Page {
    std::string cursor;
    std::vector<std::string> keys;
  };
  struct Roster {
    std::int64_t version = 0;
    std::vector<std::uint32_t> nodes;
  };

  static Result<Page> decode_page(Reply&& reply, Counters& counters);
  static Result<Roster> decode_roster(Reply&& reply, Counters& counters);
  // False: every node has been walked.
  Result<bool> begin_pass();
  void scan(const std::string& cursor);

  CacheCore& core_;
  const std::string prefix_;
  const std::string pattern_;
  const std::stop_token token_;
  std::int64_t count_ = 0;
  int passes_ = 0;
  std::int64_t map_version_ = 0;
  bool again_after_error_ = false;
  std::vector<std::uint32_t> nodes_;  // left in this pass; the last one is being walked
  Future<Page> page_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
