// The cache-aside call over a model of the program's own: ValkeyCache::llm.
#include <valkeycache/cached_llm.hpp>

#include <cstdio>
#include <string>

int main() {
  using namespace valkeycache;
  int calls = 0;
  const auto model = make_text_llm({.model = "echo", .scope = "consumer"}, [&](const ChatRequest&) {
    ++calls;
    return std::string("an answer");
  });
  const auto cache = ValkeyCache::open("memory://own_model").value();
  const CachedLlm llm(cache, model);

  const auto first = llm.ask("A question").get().value();
  cache.flush(std::chrono::seconds{5}).get().value();
  const auto second = llm.ask("  A question\n").get().value();
  if (first.cached || !second.cached || calls != 1) return 1;
  if (second.response != "an answer") return 1;
  std::puts(VALKEYCACHE_VERSION_STRING);
}
