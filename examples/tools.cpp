// A tool's round trip: the model asks for the weather, the program looks it up, the model answers.
//
// Both of its answers are kept, the call of the tool by choice (store_tool_use): run it twice, and
// nothing is asked the second time. What the tool says is part of the second question, so other
// weather makes another answer. VALKEY_URI and AWS's own variables as in quickstart.
#include <valkeycache/valkeycache.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

using namespace valkeycache;
using namespace std::chrono_literals;

namespace {

// The program's own part. The input is JSON that the model wrote to the schema below.
Content call(const ToolUse& use) {
  std::cout << "  " << use.name << ' ' << use.input << '\n';
  if (use.name != "get_weather") {
    return Content::tool_result(use.id, "there is no such tool", ToolStatus::error);
  }
  return Content::tool_result(use.id, {Content::json(R"({"sky": "clear", "celsius": 21})")});
}

}  // namespace

int main() {
  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "valkey://localhost:6379", {.ttl = 1h}).value();
  const auto claude = BedrockClient::create({.model = "us.anthropic.claude-sonnet-4-20250514-v1:0",
                                             .region = "us-west-2"})
                          .value();
  const CachedLlm llm{cache, claude, {.advanced = {.store_tool_use = true}}};

  auto request = ChatRequest("What is the weather in Turku?")
                     .temperature(0)
                     .max_tokens(500)
                     .tool({.name = "get_weather",
                            .description = "The weather of a city, now.",
                            .input_schema = R"({
                              "type": "object",
                              "properties": {"city": {"type": "string"}},
                              "required": ["city"]
                            })"});

  constexpr int most_rounds = 5;
  for (int round = 0; round < most_rounds; ++round) {
    const auto answer = llm.ask(request).get();
    if (!answer) {
      std::cerr << "tools: " << answer.error().message << '\n';
      return 1;
    }
    std::cout << (answer->cached ? "HIT  " : "MISS ") << answer->response << '\n';
    if (answer->stop_reason != "tool_use") return 0;

    // All results in one message, right after the model's own.
    std::vector<Content> results;
    for (const auto& use : tool_uses(*answer)) results.push_back(call(use));
    request.assistant(content_of(*answer)).user(results);
  }
  std::cerr << "tools: the model goes on asking for tools\n";
  return 1;
}
