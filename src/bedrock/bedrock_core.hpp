// What the copies of a BedrockClient share: the configuration and the life of the thread.
#pragma once

#include <valkeycache/bedrock_client.hpp>

#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>

#include "aws/environment.hpp"
#include "bedrock/bedrock_config.hpp"
#include "bedrock/bedrock_loop.hpp"
#include "bedrock/stream_delivery.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class BedrockCore {
 public:
  static Result<std::shared_ptr<BedrockCore>> create(BedrockOptions options,
                                                     const Environment& environment,
                                                     BedrockSeams seams = {});

  // Ends all calls with ErrorCode::closed. Waits for the threads, but no longer than five seconds,
  // and not at all on a thread that completes futures (one of these, say); they then end by
  // themselves. In the child of a fork() it does nothing.
  ~BedrockCore();
  BedrockCore(const BedrockCore&) = delete;
  BedrockCore& operator=(const BedrockCore&) = delete;

  // Converse or InvokeModel, as the request says. Thread-safe, never blocks; stream() likewise.
  Future<Completion> complete(const ChatRequest& request, CallOptions options);
  Future<Completion> stream(const ChatRequest& request, StreamHandler on_event,
                            CallOptions options);
  [[nodiscard]] const BedrockConfig& config() const noexcept { return *config_; }

 private:
  BedrockCore(std::shared_ptr<const BedrockConfig> config, std::shared_ptr<BedrockLoop> loop);
  Result<std::shared_ptr<BedrockCall>> make_call(const ChatRequest& request,
                                                 std::string_view operation,
                                                 const CallOptions& options) const;
  void submit(const std::shared_ptr<BedrockCall>& call);

  std::shared_ptr<const BedrockConfig> config_;
  std::shared_ptr<BedrockLoop> loop_;
  std::shared_ptr<StreamDelivery> delivery_;
  std::unique_ptr<std::thread> thread_;
  std::uint64_t generation_;
};

// Makes a client around a core, for tests that bring an environment and seams of their own.
struct BedrockClientAccess {
  static BedrockClient make(std::shared_ptr<BedrockCore> core) noexcept {
    return BedrockClient(std::move(core));
  }
};

}  // namespace detail
}  // namespace valkeycache::inline v0
