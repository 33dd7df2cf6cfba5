// A client against the simulated Bedrock, with an environment, a clock and chance of its own.
#pragma once

#include <valkeycache/bedrock_client.hpp>

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bedrock/bedrock_core.hpp"
#include "support/bedrock/simulated_bedrock.hpp"
#include "support/valkey/expect.hpp"
#include "support/valkey/gate.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::test {

using namespace std::chrono_literals;

inline constexpr const char* guide_question = "What is Amazon ElastiCache for Valkey?";
inline constexpr const char* sonnet = "us.anthropic.claude-sonnet-4-20250514-v1:0";

// Collects what a client logs.
class LogLines {
 public:
  [[nodiscard]] LogHook hook() {
    return [this](const LogRecord& record) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(record.message);
    };
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  // How many lines hold the text.
  [[nodiscard]] std::size_t count(const std::string& text) const {
    std::size_t found = 0;
    for (const auto& line : lines()) found += line.find(text) != std::string::npos;
    return found;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// Answers when its gate is opened.
class SlowProvider : public AwsCredentialsProvider {
 public:
  Result<AwsCredentials> credentials() override {
    asked.open();
    gate.wait();
    return AwsCredentials{.access_key_id = simulated_access_key,
                          .secret_access_key = simulated_secret_key};
  }
  Gate asked;
  Gate gate;
};

class BedrockTest : public testing::Test {
 protected:
  explicit BedrockTest(SimulatedBedrockOptions options = {}) : server_(std::move(options)) {}

  // Options that work; tests change what they are about.
  [[nodiscard]] BedrockOptions options() {
    return {.model = sonnet,
            .region = "us-west-2",
            .endpoint = server_.url(),
            .credentials = AwsCredentials{.access_key_id = simulated_access_key,
                                          .secret_access_key = simulated_secret_key},
            .log = log_.hook()};
  }
  [[nodiscard]] Result<BedrockClient> try_client(BedrockOptions options) {
    auto core = detail::BedrockCore::create(
        std::move(options),
        [variables = variables_](std::string_view name) -> std::optional<std::string> {
          const auto found = variables.find(std::string(name));
          if (found == variables.end()) return std::nullopt;
          return found->second;
        },
        {.random = [random = random_] {
          return random;
        }});
    if (!core) return std::move(core).error();
    return detail::BedrockClientAccess::make(*std::move(core));
  }
  [[nodiscard]] BedrockClient client(BedrockOptions options) {
    return try_client(std::move(options)).value();
  }
  [[nodiscard]] BedrockClient client() { return client(options()); }

  Result<Completion> ask(BedrockClient& bedrock, CallOptions call_options = {}) {
    return bedrock.complete(ChatRequest(guide_question).temperature(0.7), std::move(call_options))
        .get();
  }

  SimulatedBedrock server_;
  LogLines log_;
  std::map<std::string, std::string> variables_{{"AWS_EC2_METADATA_DISABLED", "true"}};
  double random_ = 0;  // retries follow at once
};

}  // namespace valkeycache::test
