// The same futures, awaited: a coroutine that returns Future<T> starts at once and needs nothing
// else to run it.
#include <valkeycache/valkeycache.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

using namespace valkeycache;
using namespace std::chrono_literals;

namespace {

// Two questions, the second made of the first one's answer. Errors go up as values.
Future<std::string> shortened(CachedLlm llm, std::string question) {
  auto answer = co_await llm.ask(question);
  if (!answer) co_return answer.error();
  auto brief = co_await llm.ask("In five words: " + answer->response);
  if (!brief) co_return brief.error();
  co_return brief->response;
}

}  // namespace

int main() {
  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "valkey://localhost:6379", {.ttl = 1h}).value();
  const auto claude = BedrockClient::create({.model = "us.anthropic.claude-sonnet-4-20250514-v1:0",
                                             .region = "us-west-2"})
                          .value();
  const CachedLlm llm{cache, claude};

  auto valkey = shortened(llm, "What is Valkey?");  // both are under way ...
  auto caching = shortened(llm, "What is a cache?");
  std::cout << valkey.get().value() << '\n' << caching.get().value() << '\n';  // ... until here
}
