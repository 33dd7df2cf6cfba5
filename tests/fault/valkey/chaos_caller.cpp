#include "chaos_caller.hpp"

#include <utility>
#include <vector>

#include "chaos_canceller.hpp"

namespace valkeycache::test {
namespace {

using namespace std::chrono_literals;

CacheKey shared(std::size_t number) {
  return key_of(ChaosJudge::shared_key(number));
}

// By value all: it outlives its caller.
Future<void> set_and_get(ValkeyCache cache, ChaosJudge& judge, std::size_t number,
                         CallOptions options, SteadyClock::time_point by) {
  const auto set = co_await cache.set(shared(number), judge.next_value(number), {}, options);
  judge.stored(number, set);
  const bool was_there = judge.is_there(number);
  judge.got(number, was_there, co_await cache.get(shared(number), options));
  judge.ended(by);
}

}  // namespace

struct ChaosCaller::Asked {
  std::size_t number;
  bool was_there;
  Future<Found> found;
  SteadyClock::time_point by;
};

ChaosCaller::ChaosCaller(ValkeyCache cache, ChaosJudge& judge, Canceller& canceller,
                         unsigned number, std::uint64_t seed)
    : cache_(std::move(cache)),
      judge_(judge),
      canceller_(canceller),
      random_(seed + number),
      own_name_("own-" + std::to_string(number) + "-") {}

void ChaosCaller::run() {
  for (;;) {
    stop_ = std::stop_source();
    if (below(4) == 0) canceller_.cancel(stop_);
    const auto style = below(16);
    const std::uint64_t calls = style < 6 ? 64 : 32;
    if (!judge_.begin(calls)) return;
    switch (style) {
      case 0:
        one_by_one();
        break;
      case 6:
        impatient();
        break;
      case 7:
      case 8:
        continued();
        break;
      case 9:
      case 10:
        awaited();
        break;
      case 11:
        dropped();
        break;
      case 12:
      case 13:
        lists();
        break;
      case 14:
        own_key();
        break;
      default:
        many_at_once();
        break;
    }
  }
}

ChaosCaller::Call ChaosCaller::some_call() {
  Call call;
  auto timeout = ChaosJudge::usual_timeout;
  switch (below(12)) {
    case 0:
      timeout = std::chrono::milliseconds(below(5));
      call.options.timeout = timeout;
      break;
    case 1:
      timeout = std::chrono::milliseconds(5 + below(50));
      call.options.timeout = timeout;
      break;
    default:
      break;
  }
  if (below(3) == 0) call.options.stop_token = stop_.get_token();
  call.by = SteadyClock::now() + timeout;
  return call;
}

ChaosCaller::Asked ChaosCaller::ask() {
  const auto number = below(ChaosJudge::shared_keys);
  const bool was_there = judge_.is_there(number);
  const auto call = some_call();
  return {number, was_there, cache_.get(shared(number), call.options), call.by};
}

void ChaosCaller::one_by_one() {
  for (int i = 0; i < 64; ++i) {
    auto asked = ask();
    judge_.got(asked.number, asked.was_there, asked.found.get());
    judge_.ended(asked.by);
  }
}

void ChaosCaller::many_at_once() {
  std::vector<Asked> gets;
  std::vector<std::pair<std::size_t, Future<void>>> sets;
  auto by = SteadyClock::time_point::min();
  for (int i = 0; i < 64; ++i) {
    if (below(4) == 0) {
      const auto number = below(ChaosJudge::shared_keys);
      const auto call = some_call();
      by = std::max(by, call.by);
      sets.emplace_back(number,
                        cache_.set(shared(number), judge_.next_value(number), {}, call.options));
    } else {
      gets.push_back(ask());
      by = std::max(by, gets.back().by);
    }
    if (i == 40 && below(6) == 0) stop_.request_stop();
  }
  for (auto& asked : gets) {
    judge_.got(asked.number, asked.was_there, asked.found.get());
    judge_.ended(by);
  }
  for (auto& [number, set] : sets) {
    judge_.stored(number, set.get());
    judge_.ended(by);
  }
}

// Waits a little, and a little more, and then loses interest in some.
void ChaosCaller::impatient() {
  std::vector<Asked> gets;
  for (int i = 0; i < 32; ++i) gets.push_back(ask());
  for (auto& asked : gets) {
    for (int patience_left = below(2) == 0 ? 3 : 1'000'000; patience_left > 0; --patience_left) {
      const auto found = asked.found.get(std::chrono::microseconds(below(2000)));
      if (!found && found.error().code == ErrorCode::not_ready) continue;
      judge_.got(asked.number, asked.was_there, found);
      break;
    }
    if (below(8) == 0) stop_.request_stop();
  }
}

void ChaosCaller::continued() {
  for (int i = 0; i < 32; ++i) {
    auto asked = ask();
    (void)asked.found.then([this_judge = &judge_, number = asked.number, by = asked.by,
                            was_there = asked.was_there](const Result<Found>& found) {
      this_judge->got(number, was_there, found);
      this_judge->ended(by);
    });
  }
}

void ChaosCaller::awaited() {
  for (int i = 0; i < 16; ++i) {
    const auto call = some_call();
    // Two calls, one after the other.
    const auto by = call.by + (call.by - SteadyClock::now());
    (void)set_and_get(cache_, judge_, below(ChaosJudge::shared_keys), call.options, by);
  }
}

void ChaosCaller::dropped() {
  for (int i = 0; i < 16; ++i) {
    (void)ask();
    const auto number = below(ChaosJudge::shared_keys);
    (void)cache_.set(shared(number), judge_.next_value(number), {}, some_call().options);
  }
  if (below(2) == 0) stop_.request_stop();
}

void ChaosCaller::lists() {
  std::vector<std::size_t> numbers;
  std::vector<bool> were_there;
  std::vector<CacheKey> keys;
  for (int i = 0; i < 24; ++i) {
    numbers.push_back(below(ChaosJudge::shared_keys));
    were_there.push_back(judge_.is_there(numbers.back()));
    keys.push_back(shared(numbers.back()));
  }
  keys.push_back(key_of("missing"));
  const auto call = some_call();
  auto gets = cache_.get(std::move(keys), call.options);
  std::vector<KeyValue> entries;
  for (int i = 0; i < 8; ++i) {
    const auto number = numbers[static_cast<std::size_t>(i)];
    entries.push_back({shared(number), judge_.next_value(number)});
  }
  auto sets = cache_.set(std::move(entries), call.options);
  const auto found = gets.get();
  if (found) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      judge_.got(numbers[i], were_there[i], (*found)[i]);
    }
    judge_.got_exactly("missing", std::nullopt, found->back());
  } else {
    judge_.failed(found.error());
  }
  judge_.ended(call.by);
  const auto stored = sets.get();
  if (stored) {
    for (std::size_t i = 0; i < stored->size(); ++i) judge_.stored(numbers[i], (*stored)[i]);
  } else {
    judge_.failed(stored.error());
  }
  judge_.ended(call.by);
}

// What this thread stored for certain it must read, not only something that was stored once.
void ChaosCaller::own_key() {
  for (int i = 0; i < 16; ++i) {
    const std::string name = own_name_ + std::to_string(own_keys_);
    const auto key = key_of(name);
    const auto version = own_version_++;
    const auto call = some_call();
    Found right;
    bool certain = false;
    if (below(5) == 0) {
      const auto erased = cache_.erase(key, call.options).get();
      certain = erased.has_value();
      if (!certain) judge_.failed(erased.error());
    } else {
      right = chaos_value(name, version);
      const auto set = cache_.set(key, *right, {}, call.options).get();
      certain = set.has_value();
      if (!certain) judge_.failed(set.error());
    }
    judge_.ended(call.by);
    if (!certain) {  // it may be applied at any later time
      ++own_keys_;
      continue;
    }
    const auto again = some_call();
    judge_.got_exactly(name, right, cache_.get(key, again.options).get());
    judge_.ended(again.by);
  }
}

}  // namespace valkeycache::test
