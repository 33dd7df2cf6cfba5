// Uses ValkeyCache::cache and nothing else: it must not need libcurl.
#include <valkeycache/valkey_cache.hpp>

#include <chrono>
#include <cstdio>

int main() {
  using namespace std::chrono_literals;
  const auto cache = valkeycache::ValkeyCache::open("memory://consumer").value();
  const auto key = valkeycache::CacheKey::raw({"tools"}, "question").value();
  cache.set(key, "42", 1min).get().value();
  const auto found = cache.get(key).get().value();
  if (!found || *found != "42") return 1;
  std::puts(VALKEYCACHE_VERSION_STRING);
}
