// One call under way: what it asks for, and where it stands.
#pragma once

#include <valkeycache/bedrock_client.hpp>
#include <valkeycache/future.hpp>

#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "bedrock/bedrock_stream.hpp"
#include "bedrock/credentials_cache.hpp"
#include "bedrock/http_engine.hpp"
#include "bedrock/retry_policy.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct BedrockCall : std::enable_shared_from_this<BedrockCall> {
  using SteadyTime = std::chrono::steady_clock::time_point;
  using OnStop = std::stop_callback<std::function<void()>>;
  using Timers = std::multimap<SteadyTime, std::shared_ptr<BedrockCall>>;
  using Line = std::list<std::shared_ptr<BedrockCall>>;

  explicit BedrockCall(std::shared_ptr<const CallbackContext> context)
      : promise(std::move(context)) {}

  // Set by the caller and constant from then on.
  bool invoke = false;  // InvokeModel, else Converse
  Promise<Completion> promise;
  std::string target;  // path on the wire
  std::string body;
  SteadyTime deadline{};
  std::chrono::milliseconds timeout{0};
  std::stop_token stop;
  std::optional<OnStop> on_stop;
  // Of a streamed answer; it has the promise then.
  std::shared_ptr<BedrockStream> stream;

  // The loop's own.
  enum class Stage : std::uint8_t {
    submitted,
    queued,
    starting,
    fetching_credentials,
    running,
    backing_off,
    over,
  };
  Stage stage = Stage::submitted;
  CallRetries retries;
  HttpExchange* exchange = nullptr;
  Line::iterator place{};  // while queued or fetching_credentials
  Timers::iterator deadline_timer{};
  Timers::iterator retry_timer{};
  std::optional<Timers::iterator> silence_timer;  // while there is an exchange, perhaps
  // Of the attempt under way.
  CredentialsCache::Credentials credentials;
  std::chrono::seconds clock_offset{0};
  bool maybe_applied = false;  // by this attempt or an earlier one
  bool renewed_credentials = false;
  bool corrected_clock = false;
  std::optional<Error> last_error;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
