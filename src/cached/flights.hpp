// Which calls are under way for which key, and who waits for whom.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/detail/future_state.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

#include "base/crypto.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class Recording;
class StreamReader;

// A call's place in a flight: part of the call, so that joining takes no memory. Guarded by the
// lock of the key's shard, all of it but what is set before join().
struct FlightNode : FutureState<CachedAnswer> {
  enum class Role : std::uint8_t { none, leading, following };

  Sha256Digest flight_key{};  // set before join(), like the kind
  std::uint8_t flight_kind = 0;
  // Until when it would wait for another process to ask, set before join().
  std::chrono::steady_clock::time_point patience = std::chrono::steady_clock::time_point::max();

  Role role = Role::none;
  bool joined = false;  // has ever been a follower
  bool departed = false;
  FlightNode* next_in_bucket = nullptr;
  FlightNode* follows = nullptr;
  FlightNode* before = nullptr;
  FlightNode* after = nullptr;
  // The leader's: its followers, in the order in which they came, and how many wait, it included.
  FlightNode* first = nullptr;
  FlightNode* last = nullptr;
  std::size_t waiting = 0;
  // The leader's: stops its model call, when nobody waits any more.
  std::stop_source model_stop{std::nostopstate};
  // What its model says, where it is asked for events.
  std::shared_ptr<Recording> heard_by_all;
  // Set before join(): the one who tells this call's caller.
  std::shared_ptr<StreamReader> reader;
};

// Thread-safe. Its locks are held for a few pointers' time; nothing of the user's runs under them.
// It owns a reference to each call that is in it.
class Flights {
 public:
  using Node = FlightNode;
  // Followers, linked by `after`; the caller owns a reference to each.
  using Chain = Node*;

  // Joins the flight for the node's key and kind and returns its leader; or opens one, and returns
  // none. Throws std::bad_alloc only.
  Ref<Node> join(Node& node);

  // The leader's model call can be stopped by this, and its events are in the recording, if there
  // is one: those who listen do so from now on. False: nobody waits any more.
  bool set_stop(Node& leader, const std::stop_source& stop,
                const std::shared_ptr<Recording>& recording);
  // Of any call that was given one.
  std::stop_source stop_of(const Node& node);

  struct Departure {
    bool followed = false;                        // it was waiting for another's answer
    std::stop_source stop{std::nostopstate};      // of a call for which nobody waits any more
    Ref<Node> dropped_self, dropped_leader = {};  // to be let go without the lock
  };
  // The call waits no longer, for it has ended early. A flight for which nobody waits is taken out:
  // who comes now opens another.
  Departure depart(Node& node) noexcept;

  // Ends the leader's flight. Its followers, if it still had any.
  Chain land(Node& leader) noexcept;

  // Of the one who can wait the least of those who wait in the leader's flight; its own, where it
  // leads none.
  std::chrono::steady_clock::time_point patience_of(const Node& leader);
  // Of a follower; none when it follows nobody any more.
  Ref<Node> leader_of(const Node& follower);

  // Takes those followers out of the flight that pass the test.
  Chain take_if(Node& leader, bool (*wanted)(const Node&) noexcept) noexcept;

  struct HandedOver {
    Ref<Node> next;
    Chain left = nullptr;  // with no next: followers that can lead no more
  };
  // Makes the first follower that passes the test the flight's leader.
  HandedOver hand_over(Node& leader, bool (*can_lead)(const Node&) noexcept) noexcept;

 private:
  struct Shard {
    std::mutex mutex;
    std::vector<Node*> buckets;
    std::size_t flights = 0;
  };
  static constexpr std::size_t shards = 64;

  Shard& shard_of(const Node& node) noexcept { return shards_[node.flight_key[0] % shards]; }
  static Node** bucket_of(Shard& shard, const Node& node) noexcept;
  static void grow(Shard& shard);
  static void remove(Shard& shard, Node& leader) noexcept;
  static Chain take_all(Shard& shard, Node& leader) noexcept;
  static void unlink(Node& follower) noexcept;

  std::array<Shard, shards> shards_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
