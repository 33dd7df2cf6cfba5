#include "bench/stage.hpp"

namespace valkeycache::bench {

Entries::Entries(const ValkeyCache& cache, std::size_t count, std::size_t bytes) : bytes_(bytes) {
  std::vector<KeyValue> entries;
  for (std::size_t i = 0; i < count; ++i) {
    keys_.push_back(CacheKey::builder()
                        .model("claude-sonnet")
                        .temperature(0.7)
                        .prompt("question " + std::to_string(i))
                        .build()
                        .value());
    wire_keys_.push_back(cache.wire_key(keys_.back()));
    entries.push_back({keys_.back(), std::string(bytes, static_cast<char>('a' + i % 26))});
    if (entries.size() * bytes > (1U << 22) || i + 1 == count) {
      for (const auto& stored : cache.set(std::move(entries)).get().value()) {
        if (!stored.has_value()) throw std::runtime_error("set: " + stored.error().message);
      }
      entries.clear();
    }
  }
  // The names do not move any more.
  for (const auto& name : wire_keys_) gets_.push_back(RawCommand({"GET"}).add(name));
}

void Entries::fail(const Result<std::optional<std::string>>& result) {
  throw std::runtime_error(
      "get: " + (result.has_value() ? std::string("not the value") : result.error().message));
}

ValkeyCache Stage::open(ValkeyCacheOptions options) const {
  auto cache = ValkeyCache::open(server_.uri(), std::move(options)).value();
  static_cast<void>(cache.ping().get().value());
  return cache;
}

}  // namespace valkeycache::bench
