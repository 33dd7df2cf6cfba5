// export_entries() and import_entries(): a cache's entries to a file and back, so that they can be
// kept, moved to another server, or played to a test that asks with cache_only.
//
// The file is NDJSON: a head, a line for each entry, an end. Values come back byte for byte; those
// that are JSON or UTF-8 stay readable. docs/transfer.md
#pragma once

#include <valkeycache/result.hpp>
#include <valkeycache/ttl.hpp>
#include <valkeycache/valkey_cache.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {

// --- to a file ---

struct ExportReport {
  std::uint64_t entries = 0;  // in the file
  std::uint64_t bytes = 0;    // of the file, so far
  // Found under the prefix and left out:
  std::uint64_t gone = 0;       // expired or erased before they could be read
  std::uint64_t leases = 0;     // of CachedLlm: they mean nothing elsewhere
  std::uint64_t foreign = 0;    // no strings, or under names that no CacheKey has
  std::uint64_t too_large = 0;  // over ExportOptions::max_line_bytes or the cache's max_value_bytes
  std::chrono::nanoseconds elapsed{0};
};

struct ExportOptions {
  // Only what is under them, as ValkeyCache::clear() has it. Empty: all under the prefix.
  std::vector<std::string> namespaces = {};
  // Each line carries an HMAC under it, which binds the line to this file and prefix. At least 16
  // bytes. Unset: whoever imports the file has to trust it.
  std::optional<std::string> secret = {};
  // A longer line is left out. An entry's line is at most six times as long as its value.
  std::size_t max_line_bytes = std::size_t{8} << 20;
  // Triggered: no file, ErrorCode::cancelled.
  std::stop_token stop_token = {};
  // Called on the thread that called export_entries(), after each page of keys. What it throws is
  // ignored; the log says so.
  std::function<void(const ExportReport&)> progress = {};
};

// Blocks until the file is there, whole and synced to disk, for its owner's eyes alone (0600). It
// is written under another name beside it and renamed at the end: what stood at `path`, a symbolic
// link too, is replaced then, and left as it was by an export that fails or is killed (the other
// name, path + ".partial-" and six characters, may remain then).
//
// Every entry that is there from begin to end is in the file, in a cluster those of all primaries;
// what is stored or erased meanwhile may be. Memory: some 64 entries, and 16 bytes for each key
// seen. Goes past the near cache and the counters of gets.
//
// Errors: file_failed; invalid_argument (a namespace, a secret too short); cancelled;
// would_deadlock on a thread that completes futures; closed, forked; and what the server says.
VALKEYCACHE_API Result<ExportReport> export_entries(const ValkeyCache& cache,
                                                    const std::string& path,
                                                    const ExportOptions& options = {});

// --- and back ---

// Why a line was not imported.
enum class LineFault : std::uint8_t {
  malformed,  // no line of an export
  forged,     // its MAC is wrong or missing: changed, or from another file, prefix or secret
  bad_key,    // names no key that a CacheKey could have
  outside,    // not under ImportOptions::namespaces
  too_large,  // over ImportOptions::max_line_bytes, or more than the cache takes
  duplicate,  // its key came before
};
VALKEYCACHE_API const char* to_string(LineFault fault) noexcept;

struct RejectedLine {
  std::uint64_t line = 0;  // in the file, from 1
  LineFault fault = LineFault::malformed;
};

// entries = stored + present + rejected + failed
struct ImportReport {
  std::uint64_t entries = 0;  // lines read, but for the head and the end
  std::uint64_t bytes = 0;    // read
  std::uint64_t stored = 0;
  std::uint64_t present = 0;   // their key had an entry, which was left as it is
  std::uint64_t rejected = 0;  // by the rules below; the others went on
  std::uint64_t failed = 0;    // under way when the server failed, or it was cancelled
  // By reason, in the order of their first occurrence.
  std::vector<std::pair<LineFault, std::uint64_t>> faults = {};
  // The first ImportOptions::max_rejected of them.
  std::vector<RejectedLine> rejected_lines = {};
  // The file's end was reached, and as many entries were read as the export had written. False:
  // the file was cut short, or lines were taken from it or put into it.
  bool complete = false;
  // Why it was not read to its end: cancelled, too_large (max_entries, max_bytes), file_failed, or
  // what the server said.
  std::optional<ErrorCode> stopped = {};
  std::chrono::nanoseconds elapsed{0};
};

struct ImportOptions {
  // The secret of the export: lines without its MAC are rejected. Goes before `trust`.
  std::optional<std::string> secret = {};
  // Takes the file's word for it, as one's own. One of the two is needed: whoever can write to an
  // imported file decides what the cache answers.
  bool trust = false;
  // The prefix that the file has to be of; the entries go under the cache's own. Empty: that one.
  std::string from_prefix = {};
  // Takes only what is under them.
  std::vector<std::string> namespaces = {};
  // What is there already is replaced; default: kept.
  bool overwrite = false;
  // An entry lives for what it had left when it was exported, and no longer than this; one without
  // a TTL for this. Ttl::none(): no bound.
  Ttl max_ttl = std::chrono::hours(24 * 30);
  // Bounds on the file. A longer line is rejected; more entries or bytes end the import.
  std::size_t max_line_bytes = std::size_t{8} << 20;
  std::uint64_t max_entries = 1'000'000;
  std::uint64_t max_bytes = std::uint64_t{4} << 30;
  std::size_t max_rejected = 100;
  // Triggered: nothing more is read, and the report is returned.
  std::stop_token stop_token = {};
  // Called on the thread that called import_entries(), now and then and at the end. What it throws
  // is ignored; the log says so.
  std::function<void(const ImportReport&)> progress = {};
};

// Blocks until the file's entries are stored, under the cache's prefix and nowhere else. Checks
// each line before it stores it and goes on after one that it rejects; what was stored before the
// import stopped stays. Memory: some 256 entries or 16 MiB of them, whichever is less but for one
// line, and 16 bytes for each key.
//
// Errors, before anything is stored: file_failed; file_refused (no export, another prefix, a head
// without the secret's MAC); invalid_argument (neither secret nor trust, an option out of range);
// would_deadlock on a thread that completes futures; closed, forked.
VALKEYCACHE_API Result<ImportReport> import_entries(const ValkeyCache& cache,
                                                    const std::string& path,
                                                    const ImportOptions& options = {});

}  // namespace valkeycache::inline v0
