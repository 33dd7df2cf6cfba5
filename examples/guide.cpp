// The Python guide, step by step: connect, name the key, ask with the cache in front, measure, and
// decide how long answers live.
//
//   guide [valkey-uri [bedrock-endpoint [prefix]]]
//
// What Valkey sees: GET, SET … EX 3600 and GET for the two calls; PTTL, SET … EX 300 and PTTL for
// the TTLs; SCAN and DEL to clear.
#include <valkeycache/valkeycache.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

using namespace valkeycache;
using namespace std::chrono_literals;

namespace {

std::string argument_or(int argc, char** argv, int index, const char* variable,
                        const char* otherwise) {
  if (argc > index) return argv[index];
  const char* set = std::getenv(variable);
  return set ? set : otherwise;
}

void run(const std::string& uri, const std::string& endpoint, const std::string& prefix) {
  // Step 1: connect. An entry lives for an hour unless its call says otherwise.
  const auto cache = ValkeyCache::open(uri, {.prefix = prefix, .ttl = 1h}).value();
  const auto claude = BedrockClient::create({.model = "us.anthropic.claude-sonnet-4-20250514-v1:0",
                                             .region = "us-west-2",
                                             .endpoint = endpoint})
                          .value();

  // Step 2: name the key. The guide hashes the short name "claude-sonnet", so this does, too.
  CachedLlmOptions options;
  options.advanced.key.key_model = "claude-sonnet";
  const CachedLlm llm(cache, claude, options);
  const std::string prompt = "What is Amazon ElastiCache for Valkey?";
  const auto key = llm.key_of(prompt).value();
  std::printf("Prompt: %s\n", prompt.c_str());
  std::printf("Hashed: %s\n", key.explain().c_str());
  std::printf("Key:    %s\n\n", cache.wire_key(key).c_str());

  // Step 3: ask, with the cache in front of the model.
  const auto first = llm.ask(prompt).get().value();
  // A store is not waited for. Only a program that is about to measure a hit has to.
  cache.flush(5s).get().value();
  const auto second = llm.ask(prompt).get().value();
  std::printf("%s\n\n", first.response.c_str());

  // Step 4: what it brings.
  std::printf("❌ Cache MISS: %.1fms\n", first.latency_ms);
  std::printf("✅ Cache HIT:  %.2fms\n", second.latency_ms);
  std::printf("🚀 Speedup:   %.0fx faster\n", first.latency_ms / second.latency_ms);
  std::printf("Same answer:  %s\n", first.response == second.response ? "yes" : "no");
  std::printf("Model calls:  %llu\n\n", static_cast<unsigned long long>(llm.stats().model_calls));
  if (first.cached || !second.cached) std::printf("(expected a miss, then a hit)\n\n");

  // Step 5: how long answers live. The cache's default, one of an entry's own, and the end of all.
  const auto seconds_left = [&](const CacheKey& of) {
    const auto left = cache.ttl(of).get().value();
    if (!left || !left->is_finite()) return 0LL;
    return static_cast<long long>(
        std::chrono::ceil<std::chrono::seconds>(left->duration()).count());
  };
  std::printf("TTL by default: %lld s\n", seconds_left(key));
  const auto news = CacheKey::raw({"llm_responses"}, "news-of-the-day").value();
  cache.set(news, R"({"response":"changes soon"})", 300s).get().value();
  std::printf("TTL of its own: %lld s\n", seconds_left(news));
  std::printf("Cleared:        %llu entries\n",
              static_cast<unsigned long long>(cache.clear().get().value()));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argument_or(argc, argv, 1, "VALKEY_URI", "valkey://localhost:6379"),
        argument_or(argc, argv, 2, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", ""),
        argument_or(argc, argv, 3, "VALKEY_PREFIX", "llm_cache:"));
    return 0;
  } catch (const BadResult& error) {
    std::fprintf(stderr, "guide: %s\n", error.what());
    return 1;
  }
}
