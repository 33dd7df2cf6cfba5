// Asks once, tells whether it was a hit, and leaves main at once: the store must arrive all the
// same.
//
//   cached_leave_main <valkey-uri> <bedrock-endpoint> [lease in ms]
#include <valkeycache/valkeycache.hpp>

#include <chrono>
#include <cstdio>
#include <string>

using namespace valkeycache;

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const auto cache =
      ValkeyCache::open(argv[1], {.close_timeout = std::chrono::seconds(30)}).value();
  const auto claude = BedrockClient::create({.model = "claude",
                                             .region = "us-west-2",
                                             .endpoint = argv[2],
                                             .auth = BedrockAuth::sigv4})
                          .value();
  CachedLlmOptions options;
  options.advanced.command_timeout = options.advanced.store_timeout = std::chrono::seconds(30);
  if (argc > 3) options.advanced.lease = std::chrono::milliseconds(std::stoi(argv[3]));
  const CachedLlm llm(cache, claude, options);
  const auto answer = llm.ask("x").get().value();
  std::puts(answer.cached ? "HIT" : "MISS");
}
