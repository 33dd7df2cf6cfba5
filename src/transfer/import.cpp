#include <valkeycache/transfer.hpp>

#include <algorithm>
#include <deque>
#include <string_view>
#include <variant>

#include "base/errors.hpp"
#include "key/lease_name.hpp"
#include "transfer/checks.hpp"
#include "transfer/key_path.hpp"
#include "transfer/key_set.hpp"
#include "transfer/line.hpp"
#include "transfer/line_reader.hpp"
#include "transfer/line_seal.hpp"
#include "transfer/progress.hpp"
#include "valkey/cache_access.hpp"
#include "valkey/scan.hpp"

namespace valkeycache::inline v0 {

const char* to_string(LineFault fault) noexcept {
  switch (fault) {
    case LineFault::malformed:
      return "malformed";
    case LineFault::forged:
      return "forged";
    case LineFault::bad_key:
      return "bad_key";
    case LineFault::outside:
      return "outside";
    case LineFault::too_large:
      return "too_large";
    case LineFault::duplicate:
      return "duplicate";
  }
  return "unknown";
}

namespace detail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t window = 256;  // entries on their way
constexpr std::size_t window_bytes = std::size_t{16} << 20;
constexpr std::uint64_t lines_between_news = 1000;

Error refused(const char* why) {
  return {.code = ErrorCode::file_refused, .message = why};
}

// A store on its way.
struct Store {
  std::uint64_t line;
  std::size_t bytes;
  Future<bool> stored;  // false: there was one
};

class Import {
 public:
  Import(const ValkeyCache& cache, CacheCore& core, const ImportOptions& options, LineReader reader,
         std::string path_prefix)
      : cache_(cache),
        core_(core),
        options_(options),
        path_prefix_(std::move(path_prefix)),
        reader_(std::move(reader)),
        seal_(options.secret, options.from_prefix.empty() ? cache.prefix() : options.from_prefix,
              {}) {}

  Result<ImportReport> run() {
    if (auto error = read_head()) return *std::move(error);
    while (!report_.stopped && read_one()) {
      while (under_way_.size() >= window || under_way_bytes_ > window_bytes) take_oldest();
      if (line_ % lines_between_news == 0) tell();
    }
    while (!under_way_.empty()) take_oldest();
    report_.complete = !report_.stopped && end_ && *end_ == accepted_;
    tell();
    return std::move(report_);
  }

 private:
  std::optional<Error> read_head() {
    std::string_view text;
    switch (reader_.next(text)) {
      case LineReader::Next::failed:
        return Error{.code = ErrorCode::file_failed, .message = "the file cannot be read"};
      case LineReader::Next::line:
        break;
      default:
        return refused("the file is no export");
    }
    ++line_;
    const auto line = read_line(text);
    const auto* head = std::get_if<ExportHead>(&line);
    if (!head) return refused("the file is no export, or one of a later version");
    const auto& prefix = options_.from_prefix.empty() ? cache_.prefix() : options_.from_prefix;
    if (head->prefix != prefix) {
      return refused("the file is of another prefix; ImportOptions::from_prefix can name it");
    }
    seal_ = LineSeal(options_.secret, prefix, head->id);
    if (!seal_.holds(text)) return refused("the file was not made with this secret");
    return std::nullopt;
  }

  // False: that was all.
  bool read_one() {
    if (options_.stop_token.stop_requested()) return stop(ErrorCode::cancelled);
    std::string_view text;
    const auto next = reader_.next(text);
    if (next == LineReader::Next::end) return false;
    if (next == LineReader::Next::failed) return stop(ErrorCode::file_failed);
    if (reader_.bytes() > options_.max_bytes) return stop(ErrorCode::too_large);
    if (next == LineReader::Next::skipping) return true;
    ++line_;
    if (next == LineReader::Next::too_long) return reject_line(LineFault::too_large);
    auto line = read_line(text);
    if (!seal_.holds(text)) {
      const bool readable = !std::holds_alternative<std::monostate>(line);
      return reject_line(readable ? LineFault::forged : LineFault::malformed);
    }
    // Nothing comes behind the end.
    if (const auto* end = std::get_if<ExportEnd>(&line); end && !end_) {
      end_ = end->entries;
      return true;
    }
    auto* entry = std::get_if<ExportedEntry>(&line);
    if (!entry || end_) return reject_line(LineFault::malformed);
    if (report_.entries >= options_.max_entries) return stop(ErrorCode::too_large);
    ++report_.entries;
    import(std::move(*entry));
    return true;
  }

  void import(ExportedEntry entry) {
    const auto key = key_of_path(entry.path);
    if (!key || entry.path.ends_with(lease_suffix)) return reject(line_, LineFault::bad_key);
    if (!seen_.insert(entry.path)) return reject(line_, LineFault::duplicate);
    ++accepted_;
    if (!entry.path.starts_with(path_prefix_)) return reject(line_, LineFault::outside);
    const auto bytes = entry.value.size();
    under_way_bytes_ += bytes;
    under_way_.push_back({line_, bytes, store(*key, std::move(entry.value), ttl_of(entry.ttl_ms))});
  }

  [[nodiscard]] Ttl ttl_of(std::int64_t milliseconds) const {
    const auto left =
        milliseconds == 0 ? Ttl::none() : Ttl(std::chrono::milliseconds(milliseconds));
    if (options_.max_ttl.is_none()) return left;
    if (left.is_none()) return options_.max_ttl;
    return std::min(left.duration(), options_.max_ttl.duration());
  }

  Future<bool> store(const CacheKey& key, std::string value, Ttl ttl) const {
    const auto patience = std::chrono::ceil<std::chrono::milliseconds>(step_deadline(core_) -
                                                                       SteadyTime::clock::now());
    const CallOptions call{.timeout = patience, .stop_token = options_.stop_token};
    if (!options_.overwrite) return cache_.set_if_absent(key, std::move(value), ttl, call);
    Promise<bool> replaced;
    auto future = replaced.future();
    FutureAccess::on_ready(
        cache_.set(key, std::move(value), ttl, call),
        [replaced = std::move(replaced)](Result<void> result) mutable {
          replaced.set(result ? Result<bool>(true) : Result<bool>(std::move(result).error()));
        });
    return future;
  }

  void take_oldest() {
    auto store = std::move(under_way_.front());
    under_way_.pop_front();
    under_way_bytes_ -= store.bytes;
    const auto stored = store.stored.get();
    if (stored) {
      ++(*stored ? report_.stored : report_.present);
    } else if (stored.error().code == ErrorCode::too_large) {
      reject(store.line, LineFault::too_large);
    } else {
      ++report_.failed;
      stop(stored.error().code);
    }
  }

  // Of a line that is no entry that one could name.
  bool reject_line(LineFault fault) {
    ++report_.entries;
    reject(line_, fault);
    return true;
  }

  void reject(std::uint64_t line, LineFault fault) {
    ++report_.rejected;
    auto& faults = report_.faults;
    const auto known = std::find_if(faults.begin(), faults.end(),
                                    [&](const auto& counted) { return counted.first == fault; });
    if (known == faults.end()) {
      faults.emplace_back(fault, 1);
    } else {
      ++known->second;
    }
    auto& lines = report_.rejected_lines;
    if (lines.size() < options_.max_rejected) lines.push_back({line, fault});
  }

  bool stop(ErrorCode why) {
    if (!report_.stopped) report_.stopped = why;
    return false;
  }

  void tell() {
    report_.bytes = reader_.bytes();
    report_.elapsed = Clock::now() - began_;
    tell_progress(options_.progress, report_, core_, "import_entries()");
  }

  const ValkeyCache& cache_;
  CacheCore& core_;
  const ImportOptions& options_;
  const std::string path_prefix_;
  const Clock::time_point began_ = Clock::now();
  LineReader reader_;
  LineSeal seal_;
  KeySet seen_;
  std::uint64_t line_ = 0;
  std::uint64_t accepted_ = 0;  // entries that the export had written
  std::optional<std::uint64_t> end_;
  std::deque<Store> under_way_;
  std::size_t under_way_bytes_ = 0;
  ImportReport report_;
};

std::optional<Error> unusable(const ImportOptions& options) {
  if (!options.secret && !options.trust) {
    return error_invalid(
        "import_entries() needs ImportOptions::secret, or trust for a file of one's own");
  }
  if (!options.max_ttl.is_none() && !options.max_ttl.is_finite()) {
    return error_invalid("ImportOptions::max_ttl must be a positive time or Ttl::none()");
  }
  return std::nullopt;
}

}  // namespace
}  // namespace detail

Result<ImportReport> import_entries(const ValkeyCache& cache, const std::string& path,
                                    const ImportOptions& options) {
  auto& core = detail::CacheAccess::core(cache);
  if (auto error = detail::cannot_begin(core, options.secret)) return *std::move(error);
  if (auto error = detail::unusable(options)) return *std::move(error);
  auto path_prefix = detail::path_prefix(options.namespaces);
  if (!path_prefix) return std::move(path_prefix).error();
  auto reader = detail::LineReader::open(path, options.max_line_bytes);
  if (!reader) return std::move(reader).error();
  return detail::Import(cache, core, options, *std::move(reader), *std::move(path_prefix)).run();
}

}  // namespace valkeycache::inline v0
