// The whole of it: run it twice, and the second run is a hit.
//
// VALKEY_URI says where Valkey is, if not on this machine; AWS credentials and, for a gateway or a
// simulation, AWS_ENDPOINT_URL_BEDROCK_RUNTIME are taken from where AWS's own tools take them.
#include <valkeycache/valkeycache.hpp>

#include <cstdlib>
#include <iostream>

using namespace valkeycache;
using namespace std::chrono_literals;

int main() {
  const char* uri = std::getenv("VALKEY_URI");
  auto cache =
      ValkeyCache::open(uri ? uri : "valkey://localhost:6379", {.prefix = "llm_cache:", .ttl = 1h})
          .value();
  auto claude = BedrockClient::create(
                    {.model = "us.anthropic.claude-sonnet-4-20250514-v1:0", .region = "us-west-2"})
                    .value();
  CachedLlm llm{cache, claude};

  auto answer = llm.ask("What is Amazon ElastiCache for Valkey?").get().value();
  std::cout << (answer.cached ? "HIT  " : "MISS ") << answer.latency_ms << " ms\n"
            << answer.response << '\n';
}
