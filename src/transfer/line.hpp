// The lines of an export, without their MAC and without the line's end:
//
//   {"valkeycache_export":1,"id":"<32 hex
//   digits>","prefix":"llm_cache:","created_ms":1735689600000}
//   {"key":"llm_responses/7f6586356a4bc54a","ttl_ms":3599000,"json":{"response":"…",…}}
//   {"entries":1}
//
// A value stands as the JSON object that it is, byte for byte ("json"), else as a string ("text"),
// else in Base64 ("base64"). A key or a prefix that is no UTF-8 is a "key_base64", a
// "prefix_base64".
#pragma once

#include <valkeycache/config.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace valkeycache::inline v0 {
namespace detail {

struct ExportHead {
  std::string id;  // of the file: no other has it
  std::string prefix;
  std::int64_t created_ms = 0;  // Unix time; informative
};

struct ExportedEntry {
  std::string path;  // CacheKey::path(), not checked yet
  std::string value;
  std::int64_t ttl_ms = 0;  // left; 0: it does not expire
};

struct ExportEnd {
  std::uint64_t entries = 0;
};

VALKEYCACHE_API std::string write_line(const ExportHead& head);
VALKEYCACHE_API std::string write_line(const ExportedEntry& entry);
VALKEYCACHE_API std::string write_line(const ExportEnd& end);

// Nothing: it is none of these. A member that is not known, comes twice or is missing, and numbers
// that are no natural ones of at most 18 digits, are faults. A member "mac" is not looked at.
using ExportLine = std::variant<std::monostate, ExportHead, ExportedEntry, ExportEnd>;
VALKEYCACHE_API ExportLine read_line(std::string_view text);

}  // namespace detail
}  // namespace valkeycache::inline v0
