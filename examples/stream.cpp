// An answer that is printed as it arrives; Ctrl-C ends it.
//
//   stream ["What to ask"]
#include <valkeycache/valkeycache.hpp>

#include <chrono>
#include <csignal>
#include <iostream>
#include <stop_token>

using namespace valkeycache;

namespace {

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

int main(int argc, char** argv) {
  auto claude = BedrockClient::create(
                    {.model = "us.anthropic.claude-sonnet-4-20250514-v1:0", .region = "us-west-2"})
                    .value();
  const auto request =
      ChatRequest(argc > 1 ? argv[1] : "What is Amazon ElastiCache for Valkey?").max_tokens(500);

  // Called for one event after another, on a thread of the client's.
  const auto print = [](const StreamEvent& event) {
    if (event.type == StreamEvent::Type::text_delta) std::cout << event.text << std::flush;
  };

  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::stop_source stop;
  auto future = claude.stream(request, print, {.stop_token = stop.get_token()});
  auto answer = future.get(std::chrono::milliseconds(50));
  while (!answer && answer.error().code == ErrorCode::not_ready) {
    if (interrupted != 0) stop.request_stop();
    answer = future.get(std::chrono::milliseconds(50));
  }

  // By now the handler has returned for the last time.
  if (!answer) {
    std::cout << "\n[" << to_string(answer.error().code) << ": " << answer.error().message << "]\n";
    return 1;
  }
  std::cout << "\n[" << answer->stop_reason << ", " << answer->usage.output_tokens
            << " tokens of output]\n";
}
