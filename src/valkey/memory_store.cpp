#include "valkey/memory_store.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <utility>

#include "base/fork.hpp"
#include "valkey/glob.hpp"
#include "valkey/scripts.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// Abandoned scans leave their cursor behind; the oldest ones go first.
constexpr std::size_t cursors_kept = 1024;
// One in so many stores looks for what has expired.
constexpr std::uint64_t sweep_interval = 4096;

Reply nil() {
  return {};
}
Reply integer(std::int64_t value) {
  return {.type = Reply::Type::integer, .integer = value};
}
Reply string(std::string text) {
  return {.type = Reply::Type::string, .text = std::move(text)};
}
Reply status(std::string text) {
  return {.type = Reply::Type::status, .text = std::move(text)};
}
Reply error(std::string text) {
  return {.type = Reply::Type::error, .text = std::move(text)};
}

std::int64_t to_number(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Of requests that this library wrote itself (wire.hpp).
std::vector<std::string_view> split(std::string_view request) {
  const auto header = [&](char mark) {
    const auto end = request.find("\r\n");
    if (request.empty() || request.front() != mark || end == std::string_view::npos) return -1L;
    const auto number = static_cast<long>(to_number(request.substr(1, end - 1)));
    request.remove_prefix(end + 2);
    return number;
  };
  std::vector<std::string_view> arguments;
  for (auto left = header('*'); left > 0; --left) {
    const auto size = header('$');
    if (size < 0 || request.size() < static_cast<std::size_t>(size) + 2) return {};
    arguments.push_back(request.substr(0, static_cast<std::size_t>(size)));
    request.remove_prefix(static_cast<std::size_t>(size) + 2);
  }
  return arguments;
}

// Far beyond any clock is for ever.
SteadyTime after(SteadyTime now, std::int64_t count, std::chrono::milliseconds unit) {
  const auto longest =
      std::chrono::duration_cast<std::chrono::milliseconds>(SteadyTime::max() - now);
  if (count >= longest / unit) return SteadyTime::max();
  return now + unit * count;
}

struct Registry {
  const std::uint64_t generation = fork_generation();
  Registry* const before;  // kept
  std::mutex mutex = {};
  std::map<std::string, std::weak_ptr<MemoryStore>> stores = {};
};

// A process's own: after a fork() a thread of the parent's may hold the old one's lock, or that of
// a store in it, for ever.
Registry& registry() {
  static std::atomic<Registry*> current{nullptr};
  auto* known = current.load(std::memory_order_acquire);
  while (!known || known->generation != fork_generation()) {
    std::unique_ptr<Registry> made(new Registry{.before = known});
    if (current.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel)) {
      known = made.release();
    }
  }
  return *known;
}

}  // namespace

std::shared_ptr<MemoryStore> MemoryStore::named(const std::string& name, Clock clock) {
  auto& all = registry();
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.stores, [](const auto& entry) { return entry.second.expired(); });
  auto& known = all.stores[name];
  auto store = known.lock();
  if (!store) {
    if (!clock) clock = &SteadyTime::clock::now;
    store = std::make_shared<MemoryStore>(std::move(clock));
    known = store;
  }
  return store;
}

Reply MemoryStore::execute(std::string_view request) {
  const auto arguments = split(request);
  if (arguments.empty()) return error("ERR malformed request");
  const std::lock_guard lock(mutex_);
  return run(arguments);
}

Reply MemoryStore::run(const Arguments& arguments) {
  const auto name = arguments[0];
  if (name == "PING") return status("PONG");
  if (arguments.size() < 2) return error("ERR wrong number of arguments");
  if (name == "GET") return get(arguments[1]);
  if (name == "MGET") {
    Reply all{.type = Reply::Type::array};
    for (std::size_t i = 1; i < arguments.size(); ++i) all.elements.push_back(get(arguments[i]));
    return all;
  }
  if (name == "DEL") return erase(arguments);
  if (name == "PTTL") return time_to_live(arguments[1]);
  if (name == "SCAN") return scan(arguments);
  if (arguments.size() < 3) return error("ERR wrong number of arguments");
  if (name == "SET") return set(arguments);
  if (name == "EXPIRE") {
    return expire(arguments[1], to_number(arguments[2]), std::chrono::seconds(1));
  }
  if (name == "PEXPIRE") {
    return expire(arguments[1], to_number(arguments[2]), std::chrono::milliseconds(1));
  }
  if (name == "EVAL") return evaluate(arguments);
  return error("ERR unknown command");
}

MemoryStore::Item* MemoryStore::find(std::string_view key) {
  const auto at = items_.find(key);
  if (at == items_.end()) return nullptr;
  if (at->second.expires && *at->second.expires <= clock_()) {
    items_.erase(at);
    return nullptr;
  }
  return &at->second;
}

Reply MemoryStore::get(std::string_view key) {
  const auto* item = find(key);
  return item ? string(item->value) : nil();
}

Reply MemoryStore::set(const Arguments& arguments) {
  bool only_if_absent = false;
  std::optional<SteadyTime> expires;
  for (std::size_t i = 3; i < arguments.size(); ++i) {
    if (arguments[i] == "NX") {
      only_if_absent = true;
    } else if ((arguments[i] == "EX" || arguments[i] == "PX") && i + 1 < arguments.size()) {
      const auto unit =
          arguments[i] == "EX" ? std::chrono::milliseconds(1000) : std::chrono::milliseconds(1);
      expires = after(clock_(), to_number(arguments[++i]), unit);
    } else {
      return error("ERR syntax error");
    }
  }
  if (only_if_absent && find(arguments[1])) return nil();
  items_.insert_or_assign(std::string(arguments[1]),
                          Item{.value = std::string(arguments[2]), .expires = expires});
  if (++sets_ % sweep_interval == 0) sweep();
  return status("OK");
}

Reply MemoryStore::erase(const Arguments& arguments) {
  std::int64_t erased = 0;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (!find(arguments[i])) continue;
    items_.erase(items_.find(arguments[i]));
    ++erased;
  }
  return integer(erased);
}

Reply MemoryStore::expire(std::string_view key, std::int64_t count,
                          std::chrono::milliseconds unit) {
  auto* item = find(key);
  if (!item) return integer(0);
  item->expires = after(clock_(), count, unit);
  return integer(1);
}

Reply MemoryStore::time_to_live(std::string_view key) {
  const auto* item = find(key);
  if (!item) return integer(-2);
  if (!item->expires) return integer(-1);
  return integer(std::chrono::ceil<std::chrono::milliseconds>(*item->expires - clock_()).count());
}

// SCAN cursor MATCH pattern COUNT n
Reply MemoryStore::scan(const Arguments& arguments) {
  if (arguments.size() != 6) return error("ERR syntax error");
  const auto cursor = static_cast<std::uint64_t>(to_number(arguments[1]));
  const auto pattern = arguments[3];
  auto left = std::max<std::int64_t>(1, to_number(arguments[5]));

  auto at = items_.begin();
  if (cursor != 0) {
    const auto known = cursors_.find(cursor);
    if (known == cursors_.end()) return error("ERR invalid cursor");
    at = items_.upper_bound(known->second);
    cursors_.erase(known);
  }
  const auto now = clock_();
  Reply keys{.type = Reply::Type::array};
  for (; at != items_.end() && left > 0; ++at, --left) {
    const bool alive = !at->second.expires || *at->second.expires > now;
    if (alive && glob_matches(pattern, at->first)) keys.elements.push_back(string(at->first));
  }
  std::uint64_t next = 0;
  if (at != items_.end()) {
    next = next_cursor_++;
    cursors_.emplace(next, std::prev(at)->first);
    if (cursors_.size() > cursors_kept) cursors_.erase(cursors_.begin());
  }
  Reply page{.type = Reply::Type::array};
  page.elements.push_back(string(std::to_string(next)));
  page.elements.push_back(std::move(keys));
  return page;
}

// EVAL script 1 key value […]: the scripts that this library sends.
Reply MemoryStore::evaluate(const Arguments& arguments) {
  if (arguments.size() < 5 || arguments[2] != "1") return error("ERR wrong number of arguments");
  const auto key = arguments[3];
  const auto* item = find(key);
  if (!item || item->value != arguments[4]) return integer(0);
  if (arguments[1] == erase_if_script) {
    items_.erase(items_.find(key));
    return integer(1);
  }
  if (arguments[1] == expire_if_script && arguments.size() == 6) {
    return expire(key, to_number(arguments[5]), std::chrono::milliseconds(1));
  }
  if (arguments[1] == replace_if_script && arguments.size() == 7) {
    const auto milliseconds = to_number(arguments[6]);
    std::optional<SteadyTime> expires;
    if (milliseconds != 0) {
      expires = after(clock_(), milliseconds, std::chrono::milliseconds(1));
    }
    items_.insert_or_assign(std::string(key),
                            Item{.value = std::string(arguments[5]), .expires = expires});
    return integer(1);
  }
  return error("ERR unknown script");
}

void MemoryStore::sweep() {
  const auto now = clock_();
  std::erase_if(items_, [&](const auto& entry) {
    return entry.second.expires && *entry.second.expires <= now;
  });
}

}  // namespace detail
}  // namespace valkeycache::inline v0
