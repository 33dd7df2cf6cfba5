// Entry: an answer and its metadata <-> the bytes that Valkey keeps.
//
// The standard form is a JSON object that reads well in valkey-cli and begins {"response":"…".
// It carries the full digest of the key's content, so an entry that was put or found under the
// wrong key is a miss and never somebody else's answer. A digest is no authentication: who can
// write to Valkey can compute it. With a secret the entry also carries a MAC over wire key, digest
// and answer, and a forged or moved one is a miss.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/llm.hpp>
#include <valkeycache/result.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {

enum class EntryFormat : std::uint8_t {
  standard,   // this library's own
  langgraph,  // what Python's langgraph ValkeyCache reads and writes: shares a prefix with it, and
              // trusts its entries although they carry no digest
};

// Why bytes found under a key are not an answer. All of them are misses.
enum class EntryFault : std::uint8_t {
  none,
  corrupt,         // does not parse, or lacks what an entry must have
  wrong_digest,    // another request's answer
  bad_mac,         // forged, moved, or made with another secret
  foreign_format,  // an entry of the Python original, while the format is standard
  unsupported,     // a value that only Python can hold, or a later version's entry
};
VALKEYCACHE_API const char* to_string(EntryFault fault) noexcept;

struct Entry {
  std::string response;      // the answer's text
  std::string content = {};  // content blocks as a JSON array; empty: only text
  std::string model = {};
  std::string stop_reason = {};
  Usage usage = {};
  std::int64_t created_ms = 0;   // Unix time; informative, never used to judge age
  std::int64_t hard_ttl_ms = 0;  // the TTL it was stored with; 0: none
  std::int64_t soft_ttl_ms = 0;  // stale after this; 0: never
  std::string events = {};       // for replay of a stream: a JSON array; empty: not streamed
  std::string extra = {};        // Completion::extra: a JSON object; empty: none
};

struct EntryCodecOptions {
  EntryFormat format = EntryFormat::standard;
  // Set: entries carry a MAC. At least 16 bytes; a shorter one refuses every entry, both ways.
  std::optional<std::string> secret = {};
  std::size_t max_bytes = std::size_t{1} << 20;  // a longer entry is refused
};

struct DecodedEntry {
  EntryFault fault = EntryFault::none;
  Entry entry = {};  // only without a fault
};

// Stateless but for its options; thread-safe.
class VALKEYCACHE_API EntryCodec {
 public:
  explicit EntryCodec(EntryCodecOptions options = {});

  // Errors: invalid UTF-8, content or events that are no JSON array and an extra that is no JSON
  // object of at most 127 levels, a negative time or count, a secret too short (invalid_argument);
  // over max_bytes (too_large); and in the langgraph format an object with a member "lc" at any
  // depth, which Python's reader would take for code (invalid_argument).
  [[nodiscard]] Result<std::string> encode(const Entry& entry, const CacheKey& key,
                                           std::string_view wire_key) const;
  // Never fails: whatever is wrong with the bytes is a fault, hence a miss.
  [[nodiscard]] DecodedEntry decode(std::string_view bytes, const CacheKey& key,
                                    std::string_view wire_key) const;

 private:
  EntryCodecOptions options_;
};

}  // namespace valkeycache::inline v0
