// One of several processes that ask the same at the same time.
//
//   cached_lease_caller <port> <callers> <lease in ms> <stop reason>
//
// It begins once the key "start" is there. Its model notes in the list "asked" by whom it is asked,
// and answers once the key "go" is there, in words that name the process.
#include <valkeycache/cached_llm.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <unistd.h>

#include "support/valkey/resp_client.hpp"
#include "support/valkey/wait.hpp"

using namespace valkeycache;

namespace {

bool comes(test::RespClient& client, const std::string& key) {
  return test::wait_until([&] { return client.command({"EXISTS", key}).integer == 1; });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto port = static_cast<std::uint16_t>(std::stoi(argv[1]));
  const std::string reason = argv[4];
  const auto me = std::to_string(getpid());
  const auto model =
      make_llm({.model = "m", .scope = "s"}, [&](const ChatRequest&) -> Result<Completion> {
        auto client = test::RespClient::tcp(port);
        client.command({"RPUSH", "asked", me});
        if (!comes(client, "go")) return Error{};
        return Completion{.text = "by " + me, .stop_reason = reason};
      });
  const auto cache = ValkeyCache::open("valkey://127.0.0.1:" + std::string(argv[1])).value();
  CachedLlmOptions options;
  options.advanced.command_timeout = options.advanced.store_timeout = test::patience;
  options.advanced.breaker_failures = 0;
  options.advanced.lease = std::chrono::milliseconds(std::stoi(argv[3]));
  const CachedLlm llm(cache, model, options);

  auto client = test::RespClient::tcp(port);
  if (!cache.ping({.timeout = test::patience}).get() || !comes(client, "start")) return 3;
  std::vector<Future<CachedAnswer>> answers(static_cast<std::size_t>(std::stoi(argv[2])));
  for (auto& answer : answers) answer = llm.ask("x");
  client.command({"INCR", "launched"});
  std::string said;
  for (auto& answer : answers) {
    const auto result = answer.get(2 * test::patience);
    if (!result) {
      std::puts(result.error().message.c_str());
      return 4;
    }
    if (!said.empty() && result->response != said) {
      std::printf("%s after %s\n", result->response.c_str(), said.c_str());
      return 6;
    }
    said = result->response;
  }
  if (!cache.flush(test::patience).get()) return 5;
  std::puts(said.c_str());
}
