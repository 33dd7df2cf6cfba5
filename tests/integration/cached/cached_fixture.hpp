// A CachedLlm over a real Valkey and the simulated Bedrock.
#pragma once

#include <valkeycache/valkeycache.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "support/bedrock/simulated_bedrock.hpp"
#include "support/valkey/expect.hpp"
#include "support/valkey/valkey_server.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::test {

using namespace std::chrono_literals;

inline constexpr const char* guide_question = "What is Amazon ElastiCache for Valkey?";
inline constexpr const char* guide_wire_key = "llm_cache:llm_responses/7f6586356a4bc54a";
inline constexpr const char* sonnet = "us.anthropic.claude-sonnet-4-20250514-v1:0";

class CachedTest : public ::testing::Test {
 protected:
  // The simulation is shared by all tests of a suite, which count the calls from where they find
  // them. (Not a static object: its thread would outlive OpenSSL.)
  static void SetUpTestSuite() { simulation_ = std::make_unique<SimulatedBedrock>(); }
  static void TearDownTestSuite() { simulation_.reset(); }
  static SimulatedBedrock& bedrock() { return *simulation_; }

  static BedrockClient claude() {
    return BedrockClient::create(
               {.model = sonnet,
                .region = "us-west-2",
                .endpoint = bedrock().url(),
                .auth = BedrockAuth::sigv4,
                .credentials = AwsCredentials{simulated_access_key, simulated_secret_key}})
        .value();
  }

  // The guide's cache. Reconnects at once, so that tests need not wait for it.
  static ValkeyCacheOptions guide_cache() {
    ValkeyCacheOptions options;
    options.ttl = 1h;
    options.reconnect_base = 1ms;
    options.reconnect_cap = 20ms;
    return options;
  }

  // The guide's key, and lookups that no busy machine can time out.
  static CachedLlmOptions guide_options() {
    CachedLlmOptions options;
    options.advanced.key.key_model = "claude-sonnet";
    options.advanced.command_timeout = patience;
    options.advanced.store_timeout = patience;
    return options;
  }

  static bool settled(const ValkeyCache& cache) { return cache.flush(patience).get().has_value(); }

  // Model calls since the test began.
  [[nodiscard]] std::size_t model_calls() const { return bedrock().calls() - calls_before_; }

 private:
  static inline std::unique_ptr<SimulatedBedrock> simulation_;
  std::size_t calls_before_ = bedrock().calls();
};

}  // namespace valkeycache::test
