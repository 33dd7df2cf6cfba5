// ValkeyCache: key -> bytes, with a TTL, in Valkey.
//
// One object is one connection that all threads share: commands are pipelined over it by an I/O
// thread of its own. Copies of the handle share that core. Nothing here blocks except where it says
// so; opening succeeds with the server down and connects in the background.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/future.hpp>
#include <valkeycache/hooks.hpp>
#include <valkeycache/result.hpp>
#include <valkeycache/ttl.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace valkeycache::inline v0 {

struct ValkeyCacheOptions {
  // In front of every key; ':' is appended unless it ends in ':' or '/', so that prefix "llm" never
  // touches "llm2:…". Empty is an error.
  std::string prefix = "llm_cache:";
  // For entries stored without a TTL of their own. Unset or Ttl::none(): they do not expire.
  Ttl ttl = {};

  // Where. open(uri) overrides what the URI names.
  std::string host = "localhost";
  std::uint16_t port = 6379;
  std::string unix_socket = {};  // set: used instead of host and port
  std::string username = {};     // empty with a password: the server's "default" user
  std::string password = {};
  int database = 0;
  std::string client_name = "valkeycache";  // CLIENT SETNAME; printable, no blanks; empty: none

  // A connection attempt, handshake included, may take this long; then the next one begins.
  std::chrono::milliseconds connect_timeout{1000};
  // A call that names no timeout of its own: queueing, writing and reading. Until the first
  // connection stands, a call's budget is connect_timeout longer.
  std::chrono::milliseconds command_timeout{1000};
  // Pause between attempts to reconnect: random within [0, min(cap, base * 2^n)].
  std::chrono::milliseconds reconnect_base{20};
  std::chrono::milliseconds reconnect_cap{500};

  // Calls beyond either limit answer ErrorCode::overloaded at once instead of taking memory.
  std::size_t max_queued_commands = 65536;
  std::size_t max_queued_bytes = std::size_t{256} << 20;
  // A value that is longer is refused by set (too_large); a reply that is longer ends its get with
  // too_large and costs the connection.
  std::size_t max_value_bytes = std::size_t{64} << 20;
  // All values of one reply together (MGET); the rest likewise.
  std::size_t max_reply_bytes = std::size_t{256} << 20;

  // How long destroying the last handle may wait for stores under way.
  std::chrono::milliseconds close_timeout{1000};

  // Where continuations run; empty: on the I/O thread.
  Executor executor = {};
  LogHook log = {};
  // The clock of a memory:// store, for tests that let time pass; the first opener of a name
  // decides. Empty: the steady clock.
  std::function<std::chrono::steady_clock::time_point()> clock = {};
};

struct ClearOptions {
  // Of the whole. Unset: as long as it takes, while the server answers; it gives up after
  // connect_timeout and five command_timeouts without an answer.
  std::optional<std::chrono::milliseconds> timeout = {};
  std::stop_token stop_token = {};
  // Called after each batch with the number of entries removed so far, where continuations run.
  std::function<void(std::uint64_t)> progress = {};
};

// Counters since opening; read one by one, so not a consistent cut.
struct ValkeyCacheStats {
  std::uint64_t gets = 0;  // keys asked for
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t sets = 0;    // stored, as the server confirmed
  std::uint64_t erased = 0;  // by erase and clear
  std::uint64_t errors = 0;  // calls that ended with an error, those below included
  std::uint64_t timeouts = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t overloaded = 0;
  std::uint64_t connects = 0;  // handshakes completed
  std::uint64_t connect_failures = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t in_flight = 0;  // commands queued or awaiting a reply, now
  bool connected = false;
  int protocol = 0;  // RESP version in use: 3 or 2; 0: not connected
};

struct KeyValue {
  CacheKey key;
  std::string value;
  Ttl ttl = {};
};

namespace detail {
class CacheHandle;
struct CacheAccess;
}  // namespace detail

class VALKEYCACHE_API ValkeyCache {
 public:
  // valkey://[user[:password]@]host[:port][/database], redis://…, unix:///path[?db=n], and
  // memory://name for an in-process store without a server, shared by all who open that name.
  // valkeys:// and rediss:// (TLS) answer ErrorCode::unsupported: never plain text in their place.
  // User, password and path are percent-decoded. Errors: invalid_uri, invalid_argument.
  static Result<ValkeyCache> open(std::string_view uri, ValkeyCacheOptions options = {});
  static Result<ValkeyCache> open(ValkeyCacheOptions options);

  // GET. The value's bytes as they were set; nullopt: no such entry. An empty value is a hit.
  Future<std::optional<std::string>> get(const CacheKey& key, CallOptions options = {}) const;
  // MGET, at most 512 keys each. Results in the order of the keys, each with its own success. An
  // empty list does no I/O.
  Future<std::vector<Result<std::optional<std::string>>>> get(std::vector<CacheKey> keys,
                                                              CallOptions options = {}) const;

  // SET k v EX s (PX ms where the TTL has a fraction of a second). TTL: this one, else the
  // options', else none.
  Future<void> set(const CacheKey& key, std::string value, Ttl ttl = {},
                   CallOptions options = {}) const;
  // Pipelined SETs; each entry has its own result, in order, and a bad one harms no other.
  Future<std::vector<Result<void>>> set(std::vector<KeyValue> entries,
                                        CallOptions options = {}) const;

  // SET … NX: true when it was stored.
  Future<bool> set_if_absent(const CacheKey& key, std::string value, Ttl ttl = {},
                             CallOptions options = {}) const;
  // In one step on the server (EVAL): only while the entry's value is `value`.
  Future<bool> erase_if(const CacheKey& key, std::string value, CallOptions options = {}) const;
  Future<bool> expire_if(const CacheKey& key, std::string value, Ttl ttl,
                         CallOptions options = {}) const;

  // DEL: true when there was one.
  Future<bool> erase(const CacheKey& key, CallOptions options = {}) const;
  // EXPIRE (PEXPIRE for a fraction): true when there was one. The TTL must be finite.
  Future<bool> touch(const CacheKey& key, Ttl ttl, CallOptions options = {}) const;
  // PTTL: the time left, Ttl::none() for an entry that does not expire, nullopt for no entry.
  Future<std::optional<Ttl>> ttl(const CacheKey& key, CallOptions options = {}) const;

  // Removes all entries under the prefix, or under prefix + namespaces ("a" is "a/…", not "ab/…"):
  // SCAN and DEL, pipelined; never KEYS. Gives the number removed. No barrier to stores in flight;
  // for that there is KeyOptions::epoch.
  Future<std::uint64_t> clear(ClearOptions options = {}) const;
  Future<std::uint64_t> clear(std::vector<std::string> namespaces, ClearOptions options = {}) const;

  // PING: the round trip's time.
  Future<std::chrono::microseconds> ping(CallOptions options = {}) const;

  // Ready when every store issued before it has ended, well or badly; ErrorCode::timeout otherwise.
  Future<void> flush(std::chrono::milliseconds timeout) const;

  [[nodiscard]] ValkeyCacheStats stats() const;
  // With its ':' appended.
  [[nodiscard]] const std::string& prefix() const noexcept;
  // ValkeyCacheOptions::ttl, Ttl::none() where that is unset.
  [[nodiscard]] Ttl default_ttl() const noexcept;
  // The key as it stands in Valkey.
  [[nodiscard]] std::string wire_key(const CacheKey& key) const;
  // As of now; a hint, for the next moment may differ.
  [[nodiscard]] bool connected() const noexcept;

 private:
  friend struct detail::CacheAccess;
  explicit ValkeyCache(std::shared_ptr<detail::CacheHandle> handle) noexcept
      : handle_(std::move(handle)) {}
  // Destroying the last copy ends pending gets with ErrorCode::closed and gives pending stores up
  // to close_timeout; from a continuation on the I/O thread it returns at once.
  std::shared_ptr<detail::CacheHandle> handle_;
};

}  // namespace valkeycache::inline v0
