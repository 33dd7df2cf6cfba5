// Testing a program that uses the cache, without Valkey, without AWS, without waiting: memory://
// has the commands and the TTLs of the real one and a clock that the test turns.
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <string>

using namespace valkeycache;
using namespace std::chrono_literals;

// --- the program under test ---

std::string greeting(const CachedLlm& llm, const std::string& name) {
  const auto answer = llm.ask("Greet " + name).get();
  return answer ? answer->response : "Hello, " + name;
}

// --- its test ---

namespace {

void expect(bool fact, const char* what) {
  std::cout << (fact ? "ok      " : "FAILED  ") << what << '\n';
  if (!fact) std::exit(1);
}

}  // namespace

int main() {
  std::atomic<int> minutes{0};
  const auto cache =
      ValkeyCache::open("memory://test", {.ttl = 1h,
                                          .clock =
                                              [&] {
                                                return std::chrono::steady_clock::time_point(
                                                    std::chrono::minutes(minutes));
                                              }})
          .value();
  std::atomic<int> calls{0};
  const auto model = make_text_llm({.model = "test"}, [&](const ChatRequest&) {
    ++calls;
    return std::string("Good morning!");
  });
  const CachedLlm llm{cache, model};

  expect(greeting(llm, "Ada") == "Good morning!", "it says what the model says");
  cache.flush(5s).get().value();
  expect(greeting(llm, "Ada") == "Good morning!" && calls == 1, "it asks once for a name");
  expect(greeting(llm, "Grace") == "Good morning!" && calls == 2, "it asks for each name");
  minutes = 61;
  expect(greeting(llm, "Ada") == "Good morning!" && calls == 3, "it asks again after an hour");

  const auto broken = make_llm({.model = "broken"}, [](const ChatRequest&) -> Result<Completion> {
    return Error{.code = ErrorCode::model_unavailable, .message = "not today"};
  });
  expect(greeting(CachedLlm{cache, broken}, "Ada") == "Hello, Ada", "it greets without a model");
}
