// A prompt on each line of standard input; after each answer, where it came from. Stop Valkey in
// between and ask again: there is still an answer.
#include <valkeycache/valkeycache.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

using namespace valkeycache;
using namespace std::chrono_literals;

int main() {
  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "valkey://localhost:6379", {.ttl = 1h}).value();
  const auto claude = BedrockClient::create({.model = "us.anthropic.claude-sonnet-4-20250514-v1:0",
                                             .region = "us-west-2"})
                          .value();
  const CachedLlm llm{cache, claude};

  for (std::string prompt; std::getline(std::cin, prompt);) {
    const auto answer = llm.ask(prompt).get();
    if (!answer) {
      std::cout << "[failed, " << to_string(answer.error().code) << ": " << answer.error().message
                << "]" << std::endl;
      continue;
    }
    std::cout << answer->response << "\n[" << to_string(answer->cache_status) << ", "
              << to_string(answer->source) << ", " << answer->total_ms << " ms";
    if (answer->cache_error) std::cout << "; " << to_string(answer->cache_error->code);
    std::cout << "]" << std::endl;
  }
}
