// ChatRequest, Completion and Llm: a request to a model, its answer, and the interface of any
// model.
#pragma once

#include <valkeycache/content.hpp>
#include <valkeycache/future.hpp>
#include <valkeycache/hooks.hpp>
#include <valkeycache/result.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {

struct Completion;

// A request in the terms of Amazon Bedrock's Converse API, held as canonical JSON: members sorted,
// number tokens as they were given, strings in one escaping. Each typed setter writes into that
// JSON, so whatever is in the request is in its cache key, and what is sent is the text that was
// hashed.
//
//   auto request = ChatRequest("What is Valkey?").temperature(0.2).max_tokens(300);
//
// A setter that gets something unusable (invalid UTF-8, NaN, malformed JSON, a duplicate member)
// remembers the first such error; error() tells it, and every call made with the request answers
// with it. The order of setter calls does not matter, except that messages, system blocks and tools
// are kept in the order in which they were added.
//
// A request made by invoke() is of another kind: a model's own JSON, for InvokeModel.
//
// An ordinary value: copy it freely; concurrent reads are safe.
class VALKEYCACHE_API ChatRequest {
 public:
  ChatRequest() noexcept;
  // One user message.
  explicit ChatRequest(std::string_view prompt);
  ChatRequest(const ChatRequest& other);
  // What is moved from is as if nothing had been set.
  ChatRequest(ChatRequest&& other) noexcept;
  ChatRequest& operator=(const ChatRequest& other);
  ChatRequest& operator=(ChatRequest&& other) noexcept;
  ~ChatRequest();

  // A Converse request body as AWS documents it, with an optional member "modelId" (which Converse
  // has in its URL). Unknown members are kept. Duplicate members, invalid UTF-8, lone surrogates,
  // nesting over 128 levels and anything that is not one JSON object are errors.
  static Result<ChatRequest> from_converse_json(std::string_view json);

  // A request for InvokeModel: the body is a JSON object as the model's maker documents it. For
  // models without Converse, embeddings, and what Converse does not show. It is sent, and hashed,
  // as canonical JSON, under keys of its own that no Converse request has. An empty model: the
  // client's own. Only model() may be set beside it; any other setter is an error.
  static ChatRequest invoke(std::string_view model, std::string_view body);
  [[nodiscard]] bool is_invoke() const noexcept;

  // Model id, inference profile or ARN, as given to Bedrock. Unset: the client's own model.
  ChatRequest& model(std::string_view id);
  ChatRequest& user(std::string_view text);
  ChatRequest& assistant(std::string_view text);
  // A message of several blocks. Without any it is an error.
  ChatRequest& user(const std::vector<Content>& content);
  ChatRequest& assistant(const std::vector<Content>& content);
  ChatRequest& message(const Message& message);
  // A model's answer put back into the conversation, all of its blocks: a tool's result belongs
  // after that. For a CachedAnswer: assistant(content_of(answer)).
  ChatRequest& assistant(const Completion& answer);
  // A message or system block as Converse JSON, for what the typed setters do not cover.
  ChatRequest& message_json(std::string_view json);
  ChatRequest& system_json(std::string_view json);
  ChatRequest& system(std::string_view text);
  // Text, guard text or a cache point.
  ChatRequest& system(const Content& block);
  // Printed as Python's repr prints it: 0.7, 1.0, 1e-05; an int prints without a fraction.
  ChatRequest& temperature(double value);
  ChatRequest& temperature(int value);
  ChatRequest& top_p(double value);
  ChatRequest& max_tokens(std::int64_t count);
  ChatRequest& stop_sequences(const std::vector<std::string>& sequences);

  // A tool that the model may call; and one in Converse JSON ({"cachePoint":...}, say).
  ChatRequest& tool(const ToolSpec& tool);
  ChatRequest& tool_json(std::string_view json);
  // Unset: the service's default, which is automatic. The second names the one tool to call.
  ChatRequest& tool_choice(ToolChoice choice);
  ChatRequest& tool_choice(std::string_view name);

  // The guardrail that judges prompt and answer. trace: "enabled", "enabled_full", "disabled" or
  // unset. Version "DRAFT" can change at any time: a CachedLlm neither looks up nor stores then.
  ChatRequest& guardrail(std::string_view id, std::string_view version,
                         std::string_view trace = {});

  // Sets any member of the request, e.g. extra("additionalModelRequestFields", R"({"top_k":5})").
  // A member that typed setters write into ("messages", "system", "inferenceConfig", "modelId") is
  // replaced, and so is what they wrote until then; it must be of the type that Converse gives it.
  ChatRequest& extra(std::string_view member, std::string_view json);

  // The first thing that a setter could not use; nullptr when there was none.
  [[nodiscard]] const Error* error() const noexcept;

  [[nodiscard]] const std::string& model() const noexcept;
  // The canonical body: everything but the model. This text is hashed and sent.
  [[nodiscard]] std::string to_json() const;
  // The part of it that a complete key hashes: all but the members that cannot change the answer
  // (requestMetadata).
  [[nodiscard]] std::string to_hashed_json() const;

  // Canonical JSON of the temperature if one is set, "0.7".
  [[nodiscard]] std::optional<std::string> temperature_text() const;
  [[nodiscard]] bool has_member(std::string_view member) const;

  // The request as the triple (model, temperature, one user prompt), when it is no more than that:
  // then the guide's simple key applies to it.
  struct Triple {
    std::string temperature;  // as Python's repr prints it
    std::string prompt;       // stripped as Python's str.strip() does
  };
  [[nodiscard]] std::optional<Triple> as_triple() const;
  // A triple back as a request, exactly as it is sent.
  static ChatRequest from_triple(std::string_view model, const Triple& triple);
  // What is sent under a simple key, which is what was hashed: the prompt stripped and the
  // temperature printed as in the triple, all else as it is (requestMetadata, say). A request that
  // is no triple comes back unchanged.
  [[nodiscard]] ChatRequest normalized() const;

 private:
  struct Parts;
  // Made when there is something to keep.
  [[nodiscard]] Parts& parts();
  [[nodiscard]] const Parts& parts() const noexcept;
  void fail(std::string message);
  void set_inference(std::string_view member, std::string json);
  void set_member(std::string_view member, std::string canonical);
  // True, and an error, for a request of the other kind.
  bool refuse_on_invoke(const char* what);
  void add_message(const char* role, const std::vector<Content>& content);
  void add_text(const char* role, std::string_view text);
  void set_tool_config(std::string_view member, std::string canonical);
  void add_tool(std::string canonical);
  [[nodiscard]] std::string to_json_if(bool (*wanted)(std::string_view)) const;

  // Empty: nothing was set, or it was moved from, which is the same.
  std::unique_ptr<Parts> parts_;
};

// Tokens as the model's service counts them. total need not be the sum of the others.
struct Usage {
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t total_tokens = 0;
  std::int64_t cache_read_tokens = 0;
  std::int64_t cache_write_tokens = 0;

  friend bool operator==(const Usage&, const Usage&) = default;
};

// A whole answer of a model.
struct Completion {
  // The text blocks, joined. Of an InvokeModel request: the response's body as it came, JSON.
  std::string text = {};
  std::string content =
      {};  // all content blocks: a JSON array as Converse has it; empty: only text
  std::string stop_reason = {};  // "end_turn", "max_tokens", ... as the service says it
  Usage usage = {};
  std::chrono::milliseconds model_latency{0};  // the service's own figure
  std::string request_id = {};
  // Members of the response beside output, stopReason, usage and metrics ("trace",
  // "additionalModelResponseFields", ...), and what is in these beside what stands above, in
  // objects of their names ({"usage":{"cacheDetails":[]}}): a JSON object or empty.
  std::string extra = {};
};

// The tools that the model asks for; empty when it asks for none.
VALKEYCACHE_API std::vector<ToolUse> tool_uses(const Completion& answer);
// The answer's blocks, as they go back into a conversation.
VALKEYCACHE_API std::vector<Content> content_of(const Completion& answer);

// One event of a streamed answer.
struct StreamEvent {
  enum class Type : std::uint8_t {
    message_start,    // text: the role
    block_start,      // json: the block's start, e.g. {"toolUse":{...}}
    text_delta,       // text
    reasoning_delta,  // text
    tool_delta,       // text: a piece of the tool input's JSON
    block_stop,
    message_stop,  // text: the stop reason; json: further members, if there are any
    usage,         // usage; json: what else came with it (metrics, trace, ...), if anything
    other_delta,   // json: a delta without a type of its own, e.g. {"citation":{...}} or a
                   // reasoning's signature
  };
  Type type = Type::text_delta;
  int block = 0;  // contentBlockIndex
  std::string text = {};
  std::string json = {};
  Usage usage = {};
};

// Called for each event in order, never concurrently for one stream. What it throws ends the stream
// with ErrorCode::callback_failed. To stop a stream, trigger the call's stop_token.
using StreamHandler = std::function<void(const StreamEvent&)>;

// What, beside the request, decides an answer.
struct CacheIdentity {
  // The model used when a request names none.
  std::string model = {};
  // Hashed into complete keys: API, region, custom endpoint; whatever makes two clients that are
  // given the same request answer differently.
  std::string scope = {};
  // The same for requests made by ChatRequest::invoke(). Empty: scope.
  std::string invoke_scope = {};
};

// Any model. Implementations are thread-safe; a handle class derived from Llm shares its core
// between copies.
class VALKEYCACHE_API Llm {
 public:
  virtual ~Llm();

  // Answers the request. Must not block; the future may become ready on any thread.
  virtual Future<Completion> complete(const ChatRequest& request, CallOptions options) = 0;

  // The same with events as they arrive. By default complete(), then its parts as events.
  virtual Future<Completion> stream(const ChatRequest& request, StreamHandler on_event,
                                    CallOptions options);

  // Constant over the object's life.
  [[nodiscard]] virtual CacheIdentity cache_identity() const = 0;

 protected:
  Llm() = default;
  Llm(const Llm&) = default;
  Llm& operator=(const Llm&) = default;
};

// A model from a function that may block: each call runs on a thread of a small shared pool (at
// most 64 threads, made as needed; at most 65,536 calls waiting, then ErrorCode::overloaded).
// Exceptions become ErrorCode::callback_failed. Deadline and stop_token end a call at once while
// its function goes on unheard. Destroying the model ends its calls with ErrorCode::closed and
// waits for functions that still run, so that they may refer to what lives longer than the model;
// on a thread of the library's own it does not wait.
VALKEYCACHE_API std::shared_ptr<Llm> make_llm(
    CacheIdentity identity, std::function<Result<Completion>(const ChatRequest&)> function);
// The same from the bare text of an answer, with stop reason "end_turn".
VALKEYCACHE_API std::shared_ptr<Llm> make_text_llm(
    CacheIdentity identity, std::function<std::string(const ChatRequest&)> function);
// From a function that is asynchronous by itself.
VALKEYCACHE_API std::shared_ptr<Llm> make_async_llm(
    CacheIdentity identity,
    std::function<Future<Completion>(const ChatRequest&, CallOptions)> function);

}  // namespace valkeycache::inline v0
