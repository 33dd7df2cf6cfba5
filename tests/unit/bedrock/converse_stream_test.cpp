// ConverseStream put together: AWS's vectors, and what else a stream may bring.
#include "bedrock/converse_stream.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "bedrock/converse.hpp"
#include "support/bedrock/event_frames.hpp"
#include "support/valkey/expect.hpp"
#include "unit/aws/vectors.hpp"

namespace valkeycache {
namespace {

using detail::ConverseStreamAssembler;
using detail::EventStreamDecoder;
using detail::EventStreamFault;
using detail::EventStreamMessage;
using detail::RetryKind;
using detail::ServiceError;
using nlohmann::json;
using test::event_frame;
using test::fails_with;
using test::ok;
using Type = StreamEvent::Type;

struct Assembled {
  std::vector<StreamEvent> events;
  std::optional<ServiceError> error;
  bool whole = false;
  Result<Completion> completion{Error{}};
};

Assembled assemble(std::string_view bytes, const std::vector<std::size_t>& sizes = {}) {
  Assembled out;
  EventStreamDecoder decoder;
  ConverseStreamAssembler assembler("request-1");
  EventStreamMessage message;
  for (std::size_t piece = 0; !bytes.empty(); ++piece) {
    const auto size = sizes.empty() ? bytes.size() : sizes[piece % sizes.size()];
    auto input = bytes.substr(0, size);
    bytes.remove_prefix(input.size());
    while (!out.error && decoder.next(input, message)) {
      out.error = assembler.take(message, out.events);
    }
  }
  out.whole = assembler.whole();
  out.completion = assembler.finish();
  return out;
}

// The content as Converse has it, whichever way it is told.
json json_content(const Completion& completion) {
  if (!completion.content.empty()) return json::parse(completion.content);
  // One text or several: where there is nothing else, they are told as one.
  return json::array({{{"text", completion.text}}});
}

// Frames of one message: between its start and its end, what is given.
std::string message_of(std::string_view frames, std::string_view stop = "end_turn") {
  return event_frame("messageStart", R"({"role":"assistant","p":"abc"})") + std::string(frames) +
         event_frame("messageStop", R"({"stopReason":")" + std::string(stop) + "\"}");
}
std::string delta(std::string_view delta_json, int block = 0) {
  return event_frame("contentBlockDelta", R"({"contentBlockIndex":)" + std::to_string(block) +
                                              R"(,"delta":)" + std::string(delta_json) +
                                              R"(,"p":"abcdefghijkl"})");
}
std::string start(std::string_view start_json, int block = 0) {
  return event_frame("contentBlockStart", R"({"contentBlockIndex":)" + std::to_string(block) +
                                              R"(,"start":)" + std::string(start_json) + "}");
}
std::string stop(int block = 0) {
  return event_frame("contentBlockStop", R"({"contentBlockIndex":)" + std::to_string(block) + "}");
}
const std::string hello = delta(R"({"text":"hello"})") + stop();

TEST(ConverseStreamVectors, AllOfThem) {
  const auto vectors = test::read_json(VALKEYCACHE_TEST_DATA "/converse_stream.json").value();
  ASSERT_EQ(vectors.at("responses").size(), 9u);
  for (const auto& one : vectors.at("responses")) {
    SCOPED_TRACE(one.at("name").get<std::string>());
    const auto body = test::from_base64(one.at("body_base64").get<std::string>());
    const auto& expect = one.at("expect");
    std::vector<std::vector<std::size_t>> cuts{
        {}, {1}, one.at("chunk_sizes").get<std::vector<std::size_t>>()};
    for (unsigned seed = 1; seed <= 10; ++seed) cuts.push_back(test::random_sizes(seed));
    for (const auto& sizes : cuts) {
      const auto got = assemble(body, sizes);
      if (expect.at("complete") == false) {
        ASSERT_TRUE(got.error);
        auto type = expect.at("error").at("type").get<std::string>();
        type[0] = static_cast<char>(type[0] - 'a' + 'A');
        EXPECT_EQ(got.error->error.server_code, type);
        EXPECT_EQ(got.error->error.request_id, "request-1");
        EXPECT_FALSE(got.whole);
        EXPECT_FALSE(got.completion.has_value());
        continue;
      }
      ASSERT_TRUE(ok(got.completion));
      EXPECT_TRUE(got.whole);
      EXPECT_EQ(json_content(*got.completion), expect.at("message").at("content"));
      EXPECT_EQ(got.completion->stop_reason, expect.at("stopReason"));
      EXPECT_EQ(got.completion->request_id, "request-1");
      const auto usage = expect.value("usage", json::object());
      EXPECT_EQ(got.completion->usage,
                (Usage{.input_tokens = usage.value("inputTokens", 0),
                       .output_tokens = usage.value("outputTokens", 0),
                       .total_tokens = usage.value("totalTokens", 0),
                       .cache_read_tokens = usage.value("cacheReadInputTokens", 0),
                       .cache_write_tokens = usage.value("cacheWriteInputTokens", 0)}));
      if (expect.contains("metrics")) {
        EXPECT_EQ(got.completion->model_latency.count(), expect.at("metrics").at("latencyMs"));
      }
      // What the metadata holds beside usage and metrics.
      auto extra = json::object();
      for (const auto& event : one.at("events")) {
        if (event.at("type") == "metadata") extra = event.at("payload");
      }
      for (const auto* known : {"usage", "metrics", "p"}) extra.erase(known);
      EXPECT_EQ(got.completion->extra.empty() ? json::object() : json::parse(got.completion->extra),
                extra);
    }
  }
}

// An answer is whole at messageStop and never before.
TEST(ConverseStreamVectors, TruncatedAnywhereTheyAreNotWhole) {
  const auto vectors = test::read_json(VALKEYCACHE_TEST_DATA "/converse_stream.json").value();
  for (const auto& one : vectors.at("responses")) {
    SCOPED_TRACE(one.at("name").get<std::string>());
    const auto body = test::from_base64(one.at("body_base64").get<std::string>());
    // Where the frame of messageStop ends.
    std::size_t end = 0;
    EventStreamDecoder decoder;
    EventStreamMessage message;
    std::string_view input = body;
    while (decoder.next(input, message)) {
      if (message.string_header(":event-type") == "messageStop") end = body.size() - input.size();
    }
    if (end == 0) end = body.size() + 1;  // there is none
    for (std::size_t size = 0; size <= body.size(); ++size) {
      const auto got = assemble(std::string_view(body).substr(0, size));
      ASSERT_EQ(got.completion.has_value(), size >= end) << size;
      if (size < end && !got.error) {
        ASSERT_TRUE(fails_with(got.completion, ErrorCode::transport));
        EXPECT_TRUE(got.completion.error().maybe_applied);
      }
    }
  }
}

TEST(ConverseStream, EventsTellWhatArrives) {
  const auto got = assemble(message_of(
      delta(R"({"reasoningContent":{"text":"hm"}})") +
          delta(R"({"reasoningContent":{"signature":"c2ln"}})") + stop() +
          start(R"({"toolUse":{"toolUseId":"t1","name":"clock"}})", 1) +
          delta(R"({"toolUse":{"input":"{\"a\":"}})", 1) +
          delta(R"({"toolUse":{"input":"1}"}})", 1) + stop(1) + delta(R"({"text":"so"})", 2) +
          stop(2) + event_frame("metadata", R"({"usage":{"inputTokens":1,"outputTokens":2,
          "totalTokens":3},"metrics":{"latencyMs":4},"trace":{"a":1},"p":"abc"})"),
      "tool_use"));
  ASSERT_TRUE(ok(got.completion));
  struct Want {
    Type type;
    int block;
    std::string text;
    std::string json;
  };
  const std::vector<Want> want{
      {Type::message_start, 0, "assistant", ""},
      {Type::reasoning_delta, 0, "hm", ""},
      {Type::other_delta, 0, "", R"({"reasoningContent":{"signature":"c2ln"}})"},
      {Type::block_stop, 0, "", ""},
      {Type::block_start, 1, "", R"({"toolUse":{"toolUseId":"t1","name":"clock"}})"},
      {Type::tool_delta, 1, R"({"a":)", ""},
      {Type::tool_delta, 1, "1}", ""},
      {Type::block_stop, 1, "", ""},
      {Type::text_delta, 2, "so", ""},
      {Type::block_stop, 2, "", ""},
      {Type::usage, 0, "", R"({"trace":{"a":1},"metrics":{"latencyMs":4}})"},
      {Type::message_stop, 0, "tool_use", ""},
  };
  ASSERT_EQ(got.events.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(got.events[i].type, want[i].type) << i;
    EXPECT_EQ(got.events[i].block, want[i].block) << i;
    EXPECT_EQ(got.events[i].text, want[i].text) << i;
    EXPECT_EQ(got.events[i].json, want[i].json) << i;
  }
  EXPECT_EQ(got.events[10].usage.total_tokens, 3);
  EXPECT_EQ(got.completion->text, "so");
  EXPECT_EQ(got.completion->content,
            R"([{"reasoningContent":{"reasoningText":{"text":"hm","signature":"c2ln"}}},)"
            R"({"toolUse":{"toolUseId":"t1","name":"clock","input":{"a":1}}},{"text":"so"}])");
  EXPECT_EQ(got.completion->extra, R"({"trace":{"a":1}})");
}

// What complete() gives for the same content in a response.
TEST(ConverseStream, GivesWhatAResponseGives) {
  struct Case {
    std::string frames;
    std::string content;
  };
  const Case cases[] = {
      {hello, R"([{"text":"hello"}])"},
      {delta(R"({"text":"hel"})") + delta(R"({"text":"lo"})") + delta(R"({"text":"!"})", 1),
       R"([{"text":"hello"},{"text":"!"}])"},
      {stop(), R"([{"text":""}])"},
      {delta(R"({"text":"\"\\ \u65e5\ud83d\ude00\u0001"})"),
       R"([{"text":"\"\\ \u65e5\ud83d\ude00\u0001"}])"},
      {start(R"({"toolUse":{"toolUseId":"t","name":"n","type":"server_tool_use"}})") + stop(),
       R"([{"toolUse":{"toolUseId":"t","name":"n","type":"server_tool_use","input":{}}}])"},
      {delta(R"({"reasoningContent":{"redactedContent":"YWJj"}})") +
           delta(R"({"reasoningContent":{"redactedContent":"ZA=="}})"),
       R"([{"reasoningContent":{"redactedContent":"YWJjZA=="}}])"},
      {delta(R"({"reasoningContent":{"text":"a","new":[1]}})"),
       R"([{"reasoningContent":{"reasoningText":{"text":"a"},"new":[1]}}])"},
      {delta(R"({"text":"cited"})") + delta(R"({"citation":{"title":"t","location":{}}})"),
       R"([{"citationsContent":{"content":[{"text":"cited"}],)"
       R"("citations":[{"title":"t","location":{}}]}}])"},
      {start(R"({"image":{"format":"png"}})") + delta(R"({"image":{"source":{"bytes":"AA=="}}})"),
       R"([{"image":{"format":"png","source":{"bytes":"AA=="}}}])"},
      {start(R"({"toolResult":{"toolUseId":"t"}})") + delta(R"({"toolResult":[{"text":"x"}]})"),
       R"([{"toolResult":[{"toolUseId":"t"},[{"text":"x"}]]}])"},
      {delta(R"({"new":1})") + delta(R"({"new":{"a":2}})"), R"([{"new":[1,{"a":2}]}])"},
      {delta(R"({"text":"b"})", 7) + delta(R"({"text":"a"})", 3), R"([{"text":"a"},{"text":"b"}])"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.content);
    const auto streamed = assemble(message_of(one.frames));
    detail::HttpResponse response;
    response.status = 200;
    response.content_type = "application/json";
    response.request_id = "request-1";
    response.body = R"({"output":{"message":{"role":"assistant","content":)" + one.content +
                    R"(}},"stopReason":"end_turn"})";
    const auto whole = detail::parse_converse_response(response);
    ASSERT_TRUE(ok(streamed.completion));
    ASSERT_TRUE(ok(whole));
    EXPECT_EQ(streamed.completion->text, whole->text);
    EXPECT_EQ(streamed.completion->content.empty(), whole->content.empty());
    EXPECT_EQ(json_content(*streamed.completion), json_content(*whole));
    EXPECT_EQ(streamed.completion->stop_reason, whole->stop_reason);
    EXPECT_EQ(streamed.completion->request_id, whole->request_id);
  }
}

TEST(ConverseStream, UnknownEventsAndHeadersAreSkipped) {
  const auto got = assemble(event_frame("somethingNew", "not even JSON") + message_of(hello) +
                            event_frame("somethingNewer", R"({"x":1})"));
  ASSERT_TRUE(ok(got.completion));
  EXPECT_EQ(got.completion->text, "hello");
  EXPECT_EQ(got.events.size(), 4u);
}

TEST(ConverseStream, FurtherMembersAreKept) {
  const auto got = assemble(
      event_frame("messageStart", R"({"role":"assistant"})") + hello +
      event_frame("messageStop",
                  R"({"stopReason":"end_turn","additionalModelResponseFields":{"a":[1.0]}})") +
      event_frame("metadata", R"({"usage":{"inputTokens":1,"cacheDetails":[]},"metrics":{"x":1.0},)"
                              R"("serviceTier":{"type":"flex"}})"));
  ASSERT_TRUE(ok(got.completion));
  EXPECT_EQ(got.completion->extra,
            R"({"additionalModelResponseFields":{"a":[1.0]},"serviceTier":{"type":"flex"},)"
            R"("usage":{"cacheDetails":[]},"metrics":{"x":1.0}})");
  EXPECT_EQ(got.completion->usage.input_tokens, 1);
  EXPECT_EQ(got.completion->content, "");
  const auto without = assemble(
      message_of(hello) +
      event_frame("metadata", R"({"usage":null,"metrics":null,"serviceTier":{"type":"flex"}})"));
  ASSERT_TRUE(ok(without.completion));
  EXPECT_EQ(without.completion->extra, R"({"serviceTier":{"type":"flex"}})");
}

TEST(ConverseStream, StrictAsResponsesAre) {
  const auto deep = std::string(200, '[') + std::string(200, ']');
  const auto tool = start(R"({"toolUse":{"toolUseId":"t","name":"n"}})");
  const std::string start_message = event_frame("messageStart", R"({"role":"assistant"})");
  const std::string end_message = event_frame("messageStop", R"({"stopReason":"end_turn"})");
  const std::string cases[] = {
      message_of(""),
      hello + end_message,
      end_message,
      start_message + start_message + hello + end_message,
      event_frame("messageStart", "{}") + hello + end_message,
      event_frame("messageStart", R"({"role":1})") + hello + end_message,
      event_frame("messageStart", R"({"role":"a","role":"b"})") + hello + end_message,
      start_message + hello + event_frame("messageStop", "{}"),
      start_message + hello + event_frame("messageStop", R"({"stopReason":""})"),
      start_message + hello + end_message + end_message,
      message_of(hello) + hello,
      message_of(hello + delta(R"({"text":"after its end"})")),
      message_of(hello) + event_frame("metadata", "{}") + event_frame("metadata", "{}"),
      message_of(hello) + event_frame("metadata", R"({"usage":[]})"),
      message_of(hello) + event_frame("metadata", R"({"usage":{},"usage":{}})"),
      message_of(hello) + event_frame("metadata", R"({"trace":1,"trace":2})"),
      message_of(event_frame("contentBlockDelta", R"({"delta":{"text":"a"}})")),
      message_of(event_frame("contentBlockDelta", R"({"contentBlockIndex":0})")),
      message_of(event_frame("contentBlockDelta", R"({"contentBlockIndex":-1,"delta":{}})")),
      message_of(event_frame("contentBlockDelta", R"({"contentBlockIndex":1.5,"delta":{}})")),
      message_of(
          event_frame("contentBlockDelta", R"({"contentBlockIndex":99999999999,"delta":{}})")),
      message_of(delta("[]")),
      message_of(delta(R"({"text":1})")),
      message_of(delta(R"({"text":"\ud83d"})")),
      message_of(delta("{\"text\":\"\xff\"}")),
      message_of(delta(R"({"text":"a"}}trailing)")),
      message_of(delta(R"({"new":)" + deep + "}")),
      message_of(delta(R"({"toolUse":{"input":"{}"}})")),
      message_of(tool + tool),
      message_of(tool + delta(R"({"toolUse":{"input":{}}})")),
      message_of(tool + delta(R"({"toolUse":{"input":"{\"a\":"}})")),
      message_of(tool + delta(R"({"toolUse":{"input":"{\"a\":1}}"}})")),
      message_of(tool + delta(R"({"toolUse":{"input":")" + deep + R"("}})")),
      message_of(start(R"({"toolUse":{"name":"n"}})")),
      message_of(start(R"({"toolUse":{"toolUseId":"t","name":""}})")),
      message_of(start(R"({"toolUse":1})")),
      message_of(start("1")),
      test::frame(test::frame_header(":message-type", "news"), "{}"),
      test::frame("", "{}"),
      message_of(hello) + test::frame("", "{}"),
  };
  for (const auto& bytes : cases) {
    const auto got = assemble(bytes);
    EXPECT_TRUE(fails_with(got.completion, ErrorCode::invalid_response)) << bytes;
    if (!got.completion) {
      EXPECT_TRUE(got.completion.error().maybe_applied);
      EXPECT_EQ(got.completion.error().request_id, "request-1");
    }
  }
}

TEST(ConverseStream, ErrorsSayWhatResponsesOfTheirKindSay) {
  struct Case {
    const char* type;
    ErrorCode code;
    const char* server_code;
    int status;
    RetryKind retry;
    bool retryable;
  };
  const Case cases[] = {
      {"throttlingException", ErrorCode::throttled, "ThrottlingException", 429,
       RetryKind::throttling, true},
      {"internalServerException", ErrorCode::model_unavailable, "InternalServerException", 500,
       RetryKind::transient, true},
      {"serviceUnavailableException", ErrorCode::model_unavailable, "ServiceUnavailableException",
       503, RetryKind::transient, true},
      {"modelStreamErrorException", ErrorCode::model_error, "ModelStreamErrorException", 424,
       RetryKind::never, false},
      {"validationException", ErrorCode::invalid_request, "ValidationException", 400,
       RetryKind::never, false},
      {"modelTimeoutException", ErrorCode::model_timeout, "ModelTimeoutException", 408,
       RetryKind::never, true},
      {"somethingNewException", ErrorCode::model_error, "SomethingNewException", 0,
       RetryKind::never, false},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.type);
    const auto got =
        assemble(test::exception_frame(one.type, R"({"message":"PROMPT hunter2"})") + hello);
    ASSERT_TRUE(got.error);
    EXPECT_EQ(got.error->error.code, one.code);
    EXPECT_EQ(got.error->error.server_code, one.server_code);
    EXPECT_EQ(got.error->error.http_status, one.status);
    EXPECT_EQ(got.error->retry, one.retry);
    EXPECT_EQ(got.error->error.retryable, one.retryable);
    EXPECT_EQ(got.error->error.request_id, "request-1");
    EXPECT_EQ(got.error->error.message.find("hunter2"), std::string::npos);
    EXPECT_TRUE(fails_with(got.completion, one.code)) << "it is for good";
  }
}

TEST(ConverseStream, ErrorsFurtherOn) {
  const auto got = assemble(test::exception_frame("modelStreamErrorException",
                                                  R"({"message":"m","originalStatusCode":500})"));
  EXPECT_TRUE(got.error->error.retryable) << "the model's own failure may pass";
  const auto hinted = assemble(test::exception_frame(
      "throttlingException", R"({"message":"Too many tokens, please wait"})"));
  EXPECT_EQ(hinted.error->error.message,
            "Bedrock ended the stream with 429 ThrottlingException: too many tokens per minute");
  const auto error = assemble(hello + test::error_frame("InternalError", "hunter2"));
  const auto plain = assemble(test::error_frame("InternalError", "hunter2"));
  ASSERT_TRUE(plain.error);
  EXPECT_EQ(plain.error->error.code, ErrorCode::model_unavailable);
  EXPECT_EQ(plain.error->error.server_code, "InternalError");
  EXPECT_EQ(plain.error->error.http_status, 500);
  EXPECT_EQ(plain.error->error.message.find("hunter2"), std::string::npos);
  // After the end as well: what was taken for whole is in doubt.
  const auto late = assemble(message_of(hello) + test::exception_frame("throttlingException", ""));
  EXPECT_TRUE(fails_with(late.completion, ErrorCode::throttled));
}

}  // namespace
}  // namespace valkeycache
