// A cluster in place of one server: the URI says so, and nothing else differs.
//
//   VALKEY_URI=valkey+cluster://10.0.0.1:6379,10.0.0.2:6379 ./cluster
//
// With valkeys+cluster://user@endpoint:6379 and ELASTICACHE_NAME set it logs in to ElastiCache by
// IAM, as docs/operations.md has it step by step.
#include <valkeycache/valkeycache.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

using namespace valkeycache;
using namespace std::chrono_literals;

namespace {

std::string variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

}  // namespace

int main() {
  ValkeyCacheOptions options;
  options.ttl = 1h;
  if (const auto name = variable("ELASTICACHE_NAME", ""); !name.empty()) {
    options.password_provider =
        elasticache_iam({.cache_name = name,
                         .user = variable("ELASTICACHE_USER", "app"),
                         .serverless = variable("ELASTICACHE_SERVERLESS", "no") == "yes"})
            .value();
  }
  const auto cache =
      ValkeyCache::open(variable("VALKEY_URI", "valkey+cluster://localhost:6379"), options).value();

  // Keys of one batch may live on different nodes: each has its own result.
  std::vector<KeyValue> entries;
  std::vector<CacheKey> keys;
  for (const auto* city : {"Turku", "Marseille", "Seattle", "Nairobi"}) {
    keys.push_back(CacheKey::raw({"weather"}, city).value());
    entries.push_back({keys.back(), std::string("sunny in ") + city});
  }
  for (const auto& stored : cache.set(entries).get().value()) {
    if (!stored) std::cout << "not stored: " << stored.error().message << '\n';
  }
  for (const auto& found : cache.get(keys).get().value()) {
    std::cout << (found && *found ? **found : "not found") << '\n';
  }
  // Of all primaries.
  std::cout << cache.clear({"weather"}).get().value() << " forgotten\n";
}
