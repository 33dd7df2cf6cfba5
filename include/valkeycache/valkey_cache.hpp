// ValkeyCache: key -> bytes, with a TTL, in Valkey.
//
// One object is one connection that all threads share: commands are pipelined over it by an I/O
// thread of its own. Copies of the handle share that core. Nothing here blocks except where it says
// so; opening succeeds with the server down and connects in the background.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/future.hpp>
#include <valkeycache/hooks.hpp>
#include <valkeycache/password.hpp>
#include <valkeycache/result.hpp>
#include <valkeycache/tls.hpp>
#include <valkeycache/ttl.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {

// A copy of what was read, in this process: a hit there costs no round trip. docs/near_cache.md
struct NearCacheOptions {
  // Of keys, values, objects kept with them and overhead, altogether. 0: no near cache. An entry
  // that takes more than a quarter of its shard (of at least 4 MiB, or of all) is not kept.
  std::size_t max_bytes = 0;
  // A server that does not tell of changes (RESP2, or CLIENT TRACKING refused): no entry is served
  // for longer than this after it was asked for. That is how stale a hit may be then.
  std::chrono::milliseconds max_age{1000};
  // A server that does: while there are entries it is asked for a sign of life this often, and
  // nothing is served when there was none for twice as long. That is how stale a hit may be when a
  // connection dies without a word; otherwise what others change counts as soon as the push about
  // it is read.
  std::chrono::milliseconds heartbeat{1000};
};

// What is behind the address. docs/operations.md
enum class Deployment : std::uint8_t {
  single,
  replicated,  // a primary and its replicas; who is the primary may change
  sentinel,    // likewise, and sentinels at the addresses given know who it is
  cluster,     // slots on several primaries; one endpoint in front of a cluster, too
};

// Where get() may read; writes, and what fills a near cache, go to the primary. A replica lags
// behind: it may not have yet what was just set, nor know of what was just erased.
enum class ReadFrom : std::uint8_t { primary, replica };

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
  Deployment deployment = Deployment::single;
  // Further addresses, "host" or "host:port": seeds of a cluster, other replicas, other sentinels.
  std::vector<std::string> seeds = {};
  std::string sentinel_name = "mymaster";  // what the sentinels call the primary
  std::string sentinel_password = {};      // the sentinels' own; `password` is not told to them
  ReadFrom read_from = ReadFrom::primary;  // `replica`: one that answers, else the primary
  // To each node, 1 to 64. The calls for one key go over one of them, in order.
  std::size_t connections = 1;
  std::string username = {};  // empty with a password: the server's "default" user
  std::string password = {};
  // In place of `password`, for one that changes. docs/operations.md
  PasswordProvider password_provider = {};
  int database = 0;
  TlsOptions tls = {};                      // valkeys:// and rediss:// enable it
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

  // Off unless max_bytes is set. Without effect on memory://.
  NearCacheOptions near_cache = {};

  // How long a thread that waits in get() may stay awake before it sleeps, letting others run
  // meanwhile. Only where that pays: answers come within 100 us, or half of this, mostly, and
  // nothing else computes on the processor. At most 1 ms. 0: sleeps at once, for a process whose
  // processor time is rationed.
  std::chrono::microseconds stay_awake{200};

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

// Why hits of the near cache can be trusted.
enum class NearCoherence : std::uint8_t {
  off,       // nothing is served from it: not asked for, not connected, or no sign of life
  tracking,  // the server tells of changes
  max_age,   // it does not: NearCacheOptions::max_age bounds how stale a hit may be
};
VALKEYCACHE_API const char* to_string(NearCoherence coherence) noexcept;

// Counters since opening; read one by one, so not a consistent cut.
struct ValkeyCacheStats {
  std::uint64_t gets = 0;  // keys asked for
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t sets = 0;    // stored, as the server confirmed; CachedLlm's leases, too
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
  // The near cache. Its hits are among gets and hits, too.
  std::uint64_t near_hits = 0;
  std::uint64_t near_misses = 0;         // single gets that it was asked for in vain
  std::uint64_t near_entries = 0;        // now
  std::uint64_t near_bytes = 0;          // now; never more than NearCacheOptions::max_bytes
  std::uint64_t near_evictions = 0;      // for want of room
  std::uint64_t near_invalidations = 0;  // entries dropped because they might be stale
  NearCoherence near_coherence = NearCoherence::off;
};

struct KeyValue {
  CacheKey key;
  std::string value;
  Ttl ttl = {};
};

namespace detail {
class CacheHandle;
class NearEntry;
struct CacheAccess;
// Its address names the type.
template <class T>
inline constexpr char type_mark = 0;
}  // namespace detail

// What the near cache has under a key: the value's bytes and, once somebody has kept one there, an
// object made of them, so that they are parsed once and not at every hit. Stays readable for as
// long as it is held; thread-safe.
class VALKEYCACHE_API NearHit {
 public:
  // No hit.
  NearHit() noexcept = default;
  explicit operator bool() const noexcept { return entry_ != nullptr; }
  // Of a hit only. As it was set.
  [[nodiscard]] const std::string& value() const noexcept;
  // Of a hit only. What its entry has left to live; Ttl::none(): it does not expire.
  [[nodiscard]] Ttl ttl() const noexcept;
  // Of a hit only. What ValkeyCache::keep() was given, if that was a T; null otherwise. Lives as
  // long as this handle.
  template <class T>
  [[nodiscard]] const T* object() const noexcept {
    return static_cast<const T*>(object_of(&detail::type_mark<T>));
  }

 private:
  friend class ValkeyCache;
  explicit NearHit(std::shared_ptr<detail::NearEntry> entry) noexcept : entry_(std::move(entry)) {}
  [[nodiscard]] const void* object_of(const void* type) const noexcept;
  std::shared_ptr<detail::NearEntry> entry_;
};

class VALKEYCACHE_API ValkeyCache {
 public:
  // valkey://[user[:password]@]host[:port][/database], redis://…, the same with TLS as valkeys://…
  // and rediss://…; valkey+cluster://host[:port][,host[:port]…], +replicated likewise, and
  // valkey+sentinel://host[:port][,…]/name, each with the other schemes, too; unix:///path[?db=n],
  // and memory://name for an in-process store without a server, shared by all who open that name.
  // With `tls.enabled` valkey:// is TLS, too: there is no way back to plain text. User, password
  // and path are percent-decoded; a user without a password needs a password_provider. Errors:
  // invalid_uri, invalid_argument.
  static Result<ValkeyCache> open(std::string_view uri, ValkeyCacheOptions options = {});
  static Result<ValkeyCache> open(ValkeyCacheOptions options);

  // GET. The value's bytes as they were set; nullopt: no such entry. An empty value is a hit. With
  // a near cache: at once what that has, else GET and PTTL, which fill it.
  Future<std::optional<std::string>> get(const CacheKey& key, CallOptions options = {}) const;
  // MGET, at most 512 keys each. Results in the order of the keys, each with its own success. An
  // empty list does no I/O. With a near cache: what that has, and MGET of the rest, which does not
  // fill it.
  Future<std::vector<Result<std::optional<std::string>>>> get(std::vector<CacheKey> keys,
                                                              CallOptions options = {}) const;

  // The near cache alone: no I/O, no waiting. A hit counts as a get; a miss does not, since the
  // get() that follows counts it. By the key, or by its path() where the key itself is not at hand.
  [[nodiscard]] NearHit find_near(const CacheKey& key) const { return find_near(key.path()); }
  [[nodiscard]] NearHit find_near(std::string_view path) const;
  // Keeps an object made of the hit's value with it, for later hits. `bytes` is what it takes of
  // NearCacheOptions::max_bytes. False when it is not kept: there is one already, the entry has
  // gone, or it is too large.
  template <class T>
  bool keep(const NearHit& hit, std::shared_ptr<const T> object, std::size_t bytes) const {
    return keep_object(hit, std::move(object), &detail::type_mark<T>, bytes);
  }

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
  // Likewise: stores `value` in its place, with a TTL as set() has it.
  Future<bool> replace_if(const CacheKey& key, std::string expected, std::string value,
                          Ttl ttl = {}, CallOptions options = {}) const;

  // DEL: true when there was one.
  Future<bool> erase(const CacheKey& key, CallOptions options = {}) const;
  // EXPIRE (PEXPIRE for a fraction): true when there was one. The TTL must be finite.
  Future<bool> touch(const CacheKey& key, Ttl ttl, CallOptions options = {}) const;
  // PTTL: the time left, Ttl::none() for an entry that does not expire, nullopt for no entry.
  Future<std::optional<Ttl>> ttl(const CacheKey& key, CallOptions options = {}) const;

  // Removes all entries under the prefix, or under prefix + namespaces ("a" is "a/…", not "ab/…"):
  // SCAN and DEL, pipelined; never KEYS. Gives the number removed; leases
  // (CachedLlmAdvanced::lease: keys that end in ":lease") go too, uncounted. No barrier to stores
  // in flight; for that there is KeyOptions::epoch.
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
  // There is a near cache: asked for, and not memory://. What it does just now is in stats().
  [[nodiscard]] bool has_near_cache() const noexcept;
  // The key as it stands in Valkey.
  [[nodiscard]] std::string wire_key(const CacheKey& key) const;
  // As of now; a hint, for the next moment may differ.
  [[nodiscard]] bool connected() const noexcept;

 private:
  friend struct detail::CacheAccess;
  bool keep_object(const NearHit& hit, std::shared_ptr<const void> object, const void* type,
                   std::size_t bytes) const;
  explicit ValkeyCache(std::shared_ptr<detail::CacheHandle> handle) noexcept
      : handle_(std::move(handle)) {}
  // Destroying the last copy ends pending gets with ErrorCode::closed and gives pending stores up
  // to close_timeout; from a continuation on the I/O thread it returns at once.
  std::shared_ptr<detail::CacheHandle> handle_;
};

}  // namespace valkeycache::inline v0
