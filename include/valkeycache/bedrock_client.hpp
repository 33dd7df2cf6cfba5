// BedrockClient: an Llm on Amazon Bedrock Runtime (Converse, ConverseStream, InvokeModel).
//
// One object owns one thread that drives any number of calls over libcurl's multi interface, and
// another one for the handlers of streams, from the first stream on. A thread that is the only one
// to ask, and waits in get(), does the first one's work meanwhile. Copies of the handle share that
// core; all of it is thread-safe and nothing blocks.
#pragma once

#include <valkeycache/future.hpp>
#include <valkeycache/hooks.hpp>
#include <valkeycache/llm.hpp>
#include <valkeycache/result.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {

// Keys for SigV4. Never logged.
struct AwsCredentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token = {};
  // When they end; unset: never.
  std::optional<std::chrono::system_clock::time_point> expires = {};
};

// A source of credentials. Thread-safe; credentials() may block (it is called on a thread of the
// client's own, never on the caller's nor on an I/O thread).
class VALKEYCACHE_API AwsCredentialsProvider {
 public:
  virtual ~AwsCredentialsProvider();
  // ErrorCode::credentials says what was looked for and why there was nothing.
  virtual Result<AwsCredentials> credentials() = 0;

 protected:
  AwsCredentialsProvider() = default;
  AwsCredentialsProvider(const AwsCredentialsProvider&) = default;
  AwsCredentialsProvider& operator=(const AwsCredentialsProvider&) = default;
};

enum class BedrockAuth : std::uint8_t {
  automatic,  // bearer token if there is one in the options; else credentials in the options; else
              // AWS_BEARER_TOKEN_BEDROCK; else the credentials chain
  sigv4,
  bearer,  // never over plain http, loopback excepted
  none,    // for gateways that authenticate by other headers, or not at all
};

struct BedrockOptions {
  // Model id, inference profile or ARN for requests that name none.
  std::string model = {};
  // Empty: AWS_REGION, AWS_DEFAULT_REGION, the profile's region, then the region that EC2's
  // instance metadata name (unless AWS_EC2_METADATA_DISABLED is true). No region is an error.
  std::string region = {};
  // Scheme, host, port and an optional base path, e.g. "https://gateway.example/bedrock". Empty:
  // AWS_ENDPOINT_URL_BEDROCK_RUNTIME, AWS_ENDPOINT_URL, the profile's, else the region's own.
  std::string endpoint = {};
  bool fips = false;
  bool dual_stack = false;

  BedrockAuth auth = BedrockAuth::automatic;
  std::optional<AwsCredentials> credentials = {};
  std::shared_ptr<AwsCredentialsProvider> credentials_provider = {};
  std::string bearer_token = {};
  std::string profile = {};  // empty: AWS_PROFILE, else "default"

  // Sent with each request (unsigned unless x-amz-*), after those of the library. Names and values
  // may not hold CR, LF or NUL.
  std::vector<std::pair<std::string, std::string>> headers = {};
  // Asked before each attempt, on the client's thread or on one that waits for an answer: must not
  // block.
  std::function<std::vector<std::pair<std::string, std::string>>()> header_callback = {};

  // A whole call with its retries; models take minutes for long answers.
  std::chrono::milliseconds timeout{std::chrono::minutes(15)};
  std::chrono::milliseconds connect_timeout{10000};
  // The longest silence while an answer is awaited or read; 0: only `timeout` counts. complete()
  // hears nothing until the whole answer is there, so its limit has to be longer than any answer
  // takes. stream() hears from the model all the time.
  std::chrono::milliseconds read_timeout{0};
  std::chrono::milliseconds stream_read_timeout{std::chrono::minutes(5)};
  // Whether such a silence is tried again (no stream is once it has begun). Each attempt may pay
  // for a whole generation.
  bool retry_read_timeouts = false;
  // Attempts altogether; 0: AWS_MAX_ATTEMPTS, else the profile's max_attempts, else 3. Retried as
  // AWS's standard mode does, whatever AWS_RETRY_MODE says: throttling, 5xx and lost connections
  // with jittered backoff, within `timeout`.
  int max_attempts = 0;
  std::size_t max_response_bytes = std::size_t{32} << 20;
  // Exchanges at a time; further calls queue.
  std::size_t max_concurrent = 256;

  std::string ca_file = {};  // PEM; empty: AWS_CA_BUNDLE, the profile's ca_bundle, the system's
  Executor executor = {};
  LogHook log = {};
};

namespace detail {
class BedrockCore;
struct BedrockClientAccess;
}  // namespace detail

class VALKEYCACHE_API BedrockClient : public Llm {
 public:
  // Errors: invalid_argument for an unusable option (no region, malformed endpoint, a custom
  // endpoint together with fips or dual_stack, bearer over plain http); overloaded where threads or
  // descriptors ran out. Credentials are looked for when they are first needed. Reads the profile
  // files; where nothing names a region, waits a second or two for the instance's metadata.
  static Result<BedrockClient> create(BedrockOptions options);

  BedrockClient(const BedrockClient&);
  BedrockClient(BedrockClient&&) noexcept;
  BedrockClient& operator=(const BedrockClient&);
  BedrockClient& operator=(BedrockClient&&) noexcept;
  // Destroying the last copy ends calls under way with ErrorCode::closed.
  ~BedrockClient() override;

  // POST /model/{id}/converse, or /invoke for a request made by ChatRequest::invoke(). Only a
  // well-formed 200 answer is a value.
  Future<Completion> complete(const ChatRequest& request, CallOptions options = {}) override;

  // InvokeModel: complete(ChatRequest::invoke(model, body), options). The answer's text is the
  // response's JSON object as it came, to be read as the model's maker documents it; its stop
  // reason is the one found there, or empty; its usage comes from the response's head, where the
  // service gives it. An empty model: the client's own.
  Future<Completion> invoke(std::string_view model, std::string_view body,
                            CallOptions options = {});

  // POST /model/{id}/converse-stream. Events come in order and never two at a time, on the executor
  // if the options name one, else on the client's thread for handlers (vkc-stream), where all
  // streams take turns: get() answers ErrorCode::would_deadlock there. An executor that runs tasks
  // at once does so on that thread, too. A handler may do anything else with the client, destroy
  // its last handle too.
  //
  // The value is what complete() would have given for the same answer, and only a stream in which
  // messageStop was seen has one. The future becomes ready when the handler has returned for the
  // last time and is destroyed; where the call itself ended (timeout, cancelled, closed) it is not
  // called any more, otherwise it gets whatever had arrived. A handler that is slow makes the
  // service wait: no more than about 256 KiB wait for it, and up to libcurl's window of 32 MiB
  // where other calls share its HTTP/2 connection. Failures are tried again as those of complete()
  // are, but not once there was an event: then they have maybe_applied. A request made by
  // ChatRequest::invoke() cannot be streamed: ErrorCode::unsupported.
  Future<Completion> stream(const ChatRequest& request, StreamHandler on_event,
                            CallOptions options = {}) override;

  // "converse" ("invoke" in invoke_scope), the region, and the endpoint where it is not AWS's own.
  [[nodiscard]] CacheIdentity cache_identity() const override;

 private:
  friend struct detail::BedrockClientAccess;
  explicit BedrockClient(std::shared_ptr<detail::BedrockCore> core) noexcept;
  std::shared_ptr<detail::BedrockCore> core_;
};

}  // namespace valkeycache::inline v0
