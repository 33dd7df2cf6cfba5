#include <valkeycache/transfer.hpp>

#include <deque>
#include <string_view>

#include "base/crypto.hpp"
#include "base/unix_time.hpp"
#include "key/lease_name.hpp"
#include "transfer/checks.hpp"
#include "transfer/key_path.hpp"
#include "transfer/key_set.hpp"
#include "transfer/line.hpp"
#include "transfer/line_seal.hpp"
#include "transfer/private_file.hpp"
#include "transfer/progress.hpp"
#include "valkey/cache_access.hpp"
#include "valkey/decode.hpp"
#include "valkey/scan.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_under_way = 64;  // entries on their way

// GET, which is nobody's hit or miss.
Result<Value> decode_fetched(Reply&& reply, Counters& /*counters*/) {
  if (reply.type == Reply::Type::string) return Value(std::move(reply.text));
  if (reply.type == Reply::Type::nil) return Value();
  return reply_error("GET", reply);
}

// Asked for its TTL first: an entry that is replaced in between lives shorter, not longer, than its
// value should.
struct Fetch {
  std::string path;
  Future<std::optional<Ttl>> ttl;
  Future<Value> value;
};

class Export {
 public:
  Export(CacheCore& core, const ExportOptions& options, PrivateFile file, std::string path_prefix)
      : core_(core),
        options_(options),
        prefix_(core.options().prefix),
        id_(random_hex()),
        seal_(options.secret, prefix_, id_),
        file_(std::move(file)),
        walk_(core, prefix_ + path_prefix, options.stop_token) {}

  Result<ExportReport> run() {
    auto done =
        write(write_line(ExportHead{.id = id_, .prefix = prefix_, .created_ms = unix_time_ms()}));
    while (done) {
      if (options_.stop_token.stop_requested()) return error_cancelled();
      while (done && walk_.pass_ended() && !under_way_.empty()) done = take_oldest();
      if (!done) break;
      auto keys = walk_.next();
      if (!keys) return std::move(keys).error();
      if (!*keys) break;
      done = take(**keys);
      tell();
    }
    while (done && !under_way_.empty()) done = take_oldest();
    if (done) done = write(write_line(ExportEnd{report_.entries}));
    if (done) done = file_.commit();
    if (!done) return std::move(done).error();
    tell();
    return report_;
  }

 private:
  Result<void> take(const std::vector<std::string>& keys) {
    for (const auto& key : keys) {
      if (options_.stop_token.stop_requested()) return error_cancelled();
      if (!seen_.insert(key)) continue;
      walk_.progressed();
      const auto path = std::string_view(key).substr(prefix_.size());
      if (!key_of_path(path)) {
        ++report_.foreign;
      } else if (path.ends_with(lease_suffix)) {
        ++report_.leases;
      } else {
        fetch(key, std::string(path));
        if (under_way_.size() < most_under_way) continue;
        if (auto taken = take_oldest(); !taken) return taken;
      }
    }
    return {};
  }

  void fetch(const std::string& key, std::string path) {
    const auto deadline = step_deadline(core_);
    const auto& token = options_.stop_token;
    auto ttl =
        ask<std::optional<Ttl>>(core_, make_request({"PTTL", key}), &decode_ttl, deadline, token);
    auto value = ask<Value>(core_, make_request({"GET", key}), &decode_fetched, deadline, token);
    under_way_.push_back({std::move(path), std::move(ttl), std::move(value)});
  }

  Result<void> take_oldest() {
    auto fetched = std::move(under_way_.front());
    under_way_.pop_front();
    auto value = fetched.value.get();
    auto ttl = fetched.ttl.get();
    if (!value && value.error().code == ErrorCode::too_large) return count(report_.too_large);
    if (!value && value.error().server_code == "WRONGTYPE") return count(report_.foreign);
    if (!value) return std::move(value).error();
    if (!ttl) return std::move(ttl).error();
    if (!*value || !*ttl) return count(report_.gone);
    auto line = write_line(ExportedEntry{
        .path = std::move(fetched.path),
        .value = **std::move(value),
        .ttl_ms = (*ttl)->is_finite() ? (*ttl)->duration().count() : 0,
    });
    return write(std::move(line), &report_.entries);
  }

  static Result<void> count(std::uint64_t& of) {
    ++of;
    return {};
  }

  Result<void> write(std::string line, std::uint64_t* counted = nullptr) {
    seal_.seal(line);
    if (counted) {
      if (line.size() > options_.max_line_bytes) return count(report_.too_large);
      ++*counted;
    }
    line += '\n';
    auto written = file_.append(line);
    report_.bytes = file_.size();
    return written;
  }

  void tell() {
    report_.elapsed = Clock::now() - began_;
    tell_progress(options_.progress, report_, core_, "export_entries()");
  }

  CacheCore& core_;
  const ExportOptions& options_;
  const std::string& prefix_;
  const std::string id_;
  const LineSeal seal_;
  const Clock::time_point began_ = Clock::now();
  PrivateFile file_;
  KeyWalk walk_;
  KeySet seen_;
  std::deque<Fetch> under_way_;
  ExportReport report_;
};

}  // namespace
}  // namespace detail

Result<ExportReport> export_entries(const ValkeyCache& cache, const std::string& path,
                                    const ExportOptions& options) {
  auto& core = detail::CacheAccess::core(cache);
  if (auto error = detail::cannot_begin(core, options.secret)) return *std::move(error);
  auto path_prefix = detail::path_prefix(options.namespaces);
  if (!path_prefix) return std::move(path_prefix).error();
  auto file = detail::PrivateFile::create(path);
  if (!file) return std::move(file).error();
  return detail::Export(core, options, *std::move(file), *std::move(path_prefix)).run();
}

}  // namespace valkeycache::inline v0
