// All of the library through its umbrella header: ValkeyCache::valkeycache, which needs libcurl.
#include <valkeycache/valkeycache.hpp>

#include <cstdio>

int main() {
  using namespace valkeycache;
  const auto cache = ValkeyCache::open("memory://everything").value();
  const auto claude = BedrockClient::create(
                          {.model = "some.model", .region = "us-west-2", .auth = BedrockAuth::none})
                          .value();
  const CachedLlm llm(cache, claude);
  if (llm.key_of("A question").value().text().size() != 16) return 1;
  if (llm.stats().calls != 0) return 1;
  std::puts(VALKEYCACHE_VERSION_STRING);
}
