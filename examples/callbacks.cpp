// Many questions at once, without a thread for each: then() is called with each answer as it
// arrives.
//
// Without an executor that is on a thread of the library's, where others' answers wait behind it:
// a callback does little there, and never blocks.
#include <valkeycache/valkeycache.hpp>

#include <cstdlib>
#include <iostream>
#include <latch>
#include <mutex>
#include <string>
#include <vector>

using namespace valkeycache;
using namespace std::chrono_literals;

int main() {
  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "valkey://localhost:6379", {.ttl = 1h}).value();
  const auto claude = BedrockClient::create({.model = "us.anthropic.claude-sonnet-4-20250514-v1:0",
                                             .region = "us-west-2"})
                          .value();
  const CachedLlm llm{cache, claude};

  const std::vector<std::string> questions = {"What is Valkey?", "What is a cache?",
                                              "What is a TTL?", " "};
  std::latch all(static_cast<std::ptrdiff_t>(questions.size()));
  std::mutex printing;  // the cache's thread and the model's both call back
  for (const auto& question : questions) {
    (void)llm.ask(question, {.timeout = 60s}).then([&](Result<CachedAnswer> answer) {
      {
        const std::lock_guard lock(printing);
        if (answer) {
          std::cout << question << "\n  " << answer->response << '\n';
        } else {
          std::cout << "'" << question << "' failed: " << answer.error().message << '\n';
        }
      }
      all.count_down();
    });
  }
  all.wait();
}
