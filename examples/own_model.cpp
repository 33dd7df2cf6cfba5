// A model of one's own in place of Bedrock: any function from a request to a text.
//
// It links ValkeyCache::llm alone, hence no libcurl. The name and the scope of the identity keep
// its answers apart from those of other models.
#include <valkeycache/cached_llm.hpp>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>

using namespace valkeycache;
using namespace std::chrono_literals;

int main() {
  const auto backwards =
      make_text_llm({.model = "backwards-1", .scope = "local"}, [](const ChatRequest& request) {
        auto text = request.as_triple().value_or(ChatRequest::Triple{}).prompt;
        std::reverse(text.begin(), text.end());
        return text;
      });

  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "valkey://localhost:6379", {.ttl = 1h}).value();
  const CachedLlm llm{cache, backwards};

  for (int i = 0; i < 2; ++i) {
    const auto answer = llm.ask("drawer").get().value();
    std::cout << (answer.cached ? "HIT  " : "MISS ") << answer.response << '\n';
    cache.flush(5s).get().value();
  }
}
