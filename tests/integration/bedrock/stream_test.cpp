// Streamed answers: what arrives, when it goes wrong, and who waits for whom.
#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "integration/bedrock/certificate_files.hpp"
#include "integration/bedrock/threads_named.hpp"
#include "support/bedrock/event_frames.hpp"
#include "support/bedrock/simulated_stream.hpp"
#include "support/sanitized.hpp"

namespace valkeycache::test {
namespace {

using nlohmann::json;
using Type = StreamEvent::Type;

// Keeps what a handler was given.
class Seen {
 public:
  StreamHandler handler() {
    return [this](const StreamEvent& event) {
      EXPECT_FALSE(inside_.exchange(true)) << "never two at a time";
      {
        const std::lock_guard lock(mutex_);
        events_.push_back(event);
      }
      inside_ = false;
    };
  }
  [[nodiscard]] std::vector<StreamEvent> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  [[nodiscard]] std::size_t count() const { return events().size(); }
  // The pieces of one type, joined.
  [[nodiscard]] std::string text(Type type = Type::text_delta) const {
    std::string joined;
    for (const auto& event : events()) {
      if (event.type == type) joined += event.text;
    }
    return joined;
  }
  [[nodiscard]] std::size_t count(Type type) const {
    std::size_t found = 0;
    for (const auto& event : events()) found += event.type == type;
    return found;
  }

 private:
  mutable std::mutex mutex_;
  std::atomic<bool> inside_{false};
  std::vector<StreamEvent> events_;
};

json response_of(const json& content, const std::string& stop_reason = "end_turn") {
  return {
      {"output", {{"message", {{"role", "assistant"}, {"content", content}}}}},
      {"stopReason", stop_reason},
      {"usage",
       {{"inputTokens", 3}, {"outputTokens", 4}, {"totalTokens", 9}, {"cacheReadInputTokens", 2}}},
      {"metrics", {{"latencyMs", 321}}},
      {"trace", {{"guardrail", json::object()}}}};
}

class BedrockStreams : public BedrockTest {
 protected:
  Result<Completion> stream(BedrockClient& bedrock, CallOptions call_options = {}) {
    return bedrock
        .stream(ChatRequest(guide_question).temperature(0.7), seen_.handler(),
                std::move(call_options))
        .get();
  }
  // A fault once; the result of a stream that meets it.
  Result<Completion> stream_with(const Fault& fault, CallOptions call_options = {}) {
    auto bedrock = client();
    server_.add_fault(fault);
    return stream(bedrock, std::move(call_options));
  }
  Seen seen_;
};

TEST_F(BedrockStreams, GiveWhatCompleteGives) {
  auto bedrock = client();
  const auto whole = ask(bedrock);
  const auto streamed = stream(bedrock);
  ASSERT_TRUE(ok(whole));
  ASSERT_TRUE(ok(streamed));
  EXPECT_EQ(streamed->text, whole->text);
  EXPECT_EQ(streamed->content, whole->content);
  EXPECT_EQ(streamed->stop_reason, whole->stop_reason);
  EXPECT_EQ(streamed->usage, whole->usage);
  EXPECT_EQ(streamed->model_latency, whole->model_latency);
  EXPECT_EQ(streamed->extra, whole->extra);
  EXPECT_EQ(streamed->request_id, "00000000-0000-4000-8000-000000000002");

  EXPECT_EQ(seen_.text(), whole->text);
  const auto events = seen_.events();
  ASSERT_GT(events.size(), 6u);
  EXPECT_EQ(events.front().type, Type::message_start);
  EXPECT_EQ(events.front().text, "assistant");
  EXPECT_EQ(events.back().type, Type::usage);
  EXPECT_EQ(events.back().usage, whole->usage);
  EXPECT_EQ(events[events.size() - 2].type, Type::message_stop);
  EXPECT_EQ(events[events.size() - 2].text, "end_turn");
  const auto requests = server_.requests();
  EXPECT_EQ(requests.at(1).body, requests.at(0).body) << "what is sent is what is hashed";
  EXPECT_EQ(requests.at(1).target,
            "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse-stream");
  EXPECT_EQ(server_.stats().connections, 1u);
}

TEST_F(BedrockStreams, TellOfToolsAndReasoning) {
  const json content = {
      {{"reasoningContent",
        {{"reasoningText", {{"text", "Let me see: 日本語"}, {"signature", "c2lnbmF0dXJl"}}}}}},
      {{"text", "I'll look."}},
      {{"toolUse",
        {{"toolUseId", "tooluse_1"}, {"name", "weather"}, {"input", {{"city", "Zürich"}}}}}},
      {{"toolUse", {{"toolUseId", "tooluse_2"}, {"name", "now"}, {"input", json::object()}}}}};
  const auto answer = stream_with(faults::with_body(response_of(content, "tool_use").dump(),
                                                    "application/vnd.amazon.eventstream"));
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(json::parse(answer->content), content);
  EXPECT_EQ(answer->text, "I'll look.");
  EXPECT_EQ(answer->stop_reason, "tool_use");
  EXPECT_EQ(answer->usage.cache_read_tokens, 2);
  EXPECT_EQ(answer->model_latency, 321ms);
  EXPECT_EQ(answer->extra, R"({"trace":{"guardrail":{}}})");
  EXPECT_EQ(seen_.text(Type::reasoning_delta), "Let me see: 日本語");
  EXPECT_EQ(json::parse(seen_.text(Type::tool_delta)), (json{{"city", "Zürich"}}));
  EXPECT_EQ(seen_.count(Type::block_start), 2u);
  EXPECT_EQ(seen_.count(Type::other_delta), 1u);
  EXPECT_EQ(seen_.count(Type::block_stop), 4u);
}

TEST_F(BedrockStreams, ArriveAsTheyAreSent) {
  auto bedrock = client();
  server_.add_fault(faults::stream_stalls_after(3));
  std::stop_source stop;
  auto future = bedrock.stream(ChatRequest("x"), seen_.handler(), {.stop_token = stop.get_token()});
  EXPECT_TRUE(wait_until([this] { return seen_.count() == 3; })) << "before the answer is whole";
  EXPECT_FALSE(future.ready());
  stop.request_stop();
  const auto result = future.get();
  EXPECT_TRUE(fails_with(result, ErrorCode::cancelled));
  EXPECT_TRUE(result.error().maybe_applied);
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 1; }))
      << "the exchange is closed";
}

TEST_F(BedrockStreams, OverSlowAndBrokenUpBytes) {
  Fault fault = faults::slow(7, 0ms);
  const auto answer = stream_with(fault);
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(seen_.text(), answer->text);
}

// --- what goes wrong ----------------------------------------------------------------------------

TEST_F(BedrockStreams, AnExceptionInTheMiddleIsAnError) {
  const auto answer = stream_with(
      faults::stream_exception(4, "throttlingException", "Too many tokens, please wait"));
  EXPECT_TRUE(fails_with(answer, ErrorCode::throttled));
  EXPECT_EQ(answer.error().server_code, "ThrottlingException");
  EXPECT_EQ(answer.error().http_status, 429);
  EXPECT_EQ(answer.error().request_id, "00000000-0000-4000-8000-000000000001");
  EXPECT_TRUE(answer.error().maybe_applied);
  EXPECT_TRUE(answer.error().retryable);
  EXPECT_EQ(seen_.count(), 4u) << "what came before it was told";
  EXPECT_EQ(server_.calls(), 1u) << "nothing is tried again after an event";
}

TEST_F(BedrockStreams, AnErrorFrameIsAnError) {
  const auto answer = stream_with(
      faults::in_stream({.end_after = 2, .error = "InternalError", .message = "hunter2"}));
  EXPECT_TRUE(fails_with(answer, ErrorCode::model_unavailable));
  EXPECT_EQ(answer.error().server_code, "InternalError");
  EXPECT_EQ(answer.error().message.find("hunter2"), std::string::npos);
  EXPECT_EQ(log_.count("hunter2"), 0u);
}

TEST_F(BedrockStreams, AnExceptionInTheFirstFrameIsTriedAgain) {
  for (const auto* type :
       {"throttlingException", "internalServerException", "serviceUnavailableException"}) {
    SCOPED_TRACE(type);
    auto bedrock = client();
    const auto before = server_.calls();
    server_.add_fault(faults::stream_exception(0, type));
    Seen seen;
    EXPECT_TRUE(ok(bedrock.stream(ChatRequest("x"), seen.handler()).get()));
    EXPECT_EQ(server_.calls() - before, 2u);
    EXPECT_EQ(seen.count(Type::message_start), 1u);
  }
  auto bedrock = client();
  const auto before = server_.calls();
  server_.add_fault(faults::stream_exception(0, "validationException"));
  EXPECT_TRUE(fails_with(stream(bedrock), ErrorCode::invalid_request));
  EXPECT_EQ(server_.calls() - before, 1u);
}

TEST_F(BedrockStreams, FailuresBeforeTheFirstEventAreThoseOfComplete) {
  for (const auto& fault : {faults::throttled(), faults::internal_error(), faults::unavailable(),
                            faults::reset(), faults::error(502, "")}) {
    SCOPED_TRACE(std::to_string(fault.status) + " " + fault.type);
    auto bedrock = client();
    const auto before = server_.calls();
    server_.add_fault(fault);
    EXPECT_TRUE(ok(stream(bedrock)));
    EXPECT_EQ(server_.calls() - before, 2u);
  }
  const auto refused = stream_with(faults::error(403, "AccessDeniedException"));
  EXPECT_TRUE(fails_with(refused, ErrorCode::access_denied));
}

TEST_F(BedrockStreams, ACleanEndBeforeTheMessagesStopIsNoAnswer) {
  for (const std::size_t frames : {0u, 1u, 3u}) {
    Seen seen;
    auto bedrock = client();
    server_.add_fault(faults::stream_ends_after(frames));
    const auto answer = bedrock.stream(ChatRequest("x"), seen.handler()).get();
    EXPECT_TRUE(fails_with(answer, ErrorCode::transport));
    EXPECT_TRUE(answer.error().maybe_applied);
    EXPECT_TRUE(answer.error().retryable);
    EXPECT_EQ(seen.count(), frames);
  }
  EXPECT_EQ(server_.calls(), 3u);
}

TEST_F(BedrockStreams, AnEndAfterTheMessagesStopIsOne) {
  const json response = response_of(json::array({{{"text", "x"}}}));  // start, delta, stop, stop
  Fault fault = faults::stream_ends_after(4);
  fault.body = response.dump();
  EXPECT_TRUE(ok(stream_with(fault)));
  // A connection that breaks then takes the usage with it and nothing else.
  fault.stream.reset();
  for (const bool reset : {false, true}) {
    Seen seen;
    auto bedrock = client();
    std::size_t at = 0;
    {  // the size of everything but the metadata
      const auto frames =
          simulated_stream(response.dump(), static_cast<unsigned>(server_.calls() + 1));
      for (std::size_t i = 0; i + 1 < frames->size(); ++i) at += (*frames)[i].size();
    }
    Fault broken = fault;
    broken.cut_body_at = at + 5;
    broken.reset = reset;
    server_.add_fault(broken);
    const auto answer = bedrock.stream(ChatRequest("x"), seen.handler()).get();
    // A reset may take along what lay unread.
    if (reset && !answer) {
      EXPECT_TRUE(fails_with(answer, ErrorCode::transport));
      continue;
    }
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(answer->text, "x");
    EXPECT_EQ(answer->usage, Usage());
  }
}

TEST_F(BedrockStreams, ConnectionsThatBreakAreNoEnd) {
  // One attempt: a reset may take along what lay unread, and a stream without events is tried
  // again.
  auto once = options();
  once.max_attempts = 1;
  for (const bool reset : {false, true}) {
    Seen seen;
    auto bedrock = client(once);
    server_.add_fault(reset ? faults::reset_in_body(400) : faults::truncated(400));
    const auto answer = bedrock.stream(ChatRequest("x"), seen.handler()).get();
    EXPECT_TRUE(fails_with(answer, ErrorCode::transport));
    EXPECT_TRUE(answer.error().maybe_applied);
    EXPECT_EQ(seen.count(Type::message_stop), 0u);
  }
}

TEST_F(BedrockStreams, AWrongChecksumIsAnError) {
  for (const std::size_t frame : {0u, 3u}) {
    Seen seen;
    auto bedrock = client();
    server_.add_fault(faults::in_stream({.corrupt = frame}));
    const auto answer = bedrock.stream(ChatRequest("x"), seen.handler()).get();
    EXPECT_TRUE(fails_with(answer, ErrorCode::invalid_response));
    EXPECT_EQ(seen.count(), frame);
  }
}

TEST_F(BedrockStreams, WhatIsNoStreamIsAnError) {
  const std::string event_stream = "application/vnd.amazon.eventstream";
  struct Case {
    const char* name;
    Fault fault;
    ErrorCode code;
  };
  const Case cases[] = {
      {"JSON", faults::with_body("{}"), ErrorCode::invalid_response},
      {"nothing", faults::with_body("", event_stream), ErrorCode::transport},
      {"garbage", faults::with_body("garbage, and enough of it", event_stream),
       ErrorCode::invalid_response},
      {"the beginning of a frame",
       faults::with_body(event_frame("x", "{}").substr(0, 11), event_stream), ErrorCode::transport},
      {"HTML", faults::with_body(response_of(json::array({{{"text", "x"}}})).dump(), "text/html"),
       ErrorCode::invalid_response},
      {"an error's type",
       faults::raw("HTTP/1.1 200 OK\r\nContent-Type: " + event_stream +
                   "\r\nx-amzn-ErrorType: ThrottlingException\r\n"
                   "Content-Length: 0\r\n\r\n"),
       ErrorCode::invalid_response},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.name);
    EXPECT_TRUE(fails_with(stream_with(one.fault), one.code));
    EXPECT_EQ(seen_.count(), 0u);
  }
  EXPECT_EQ(server_.calls(), std::size(cases)) << "none is tried again";
}

TEST_F(BedrockStreams, AStallEndsWithTheDeadline) {
  auto bedrock = client();
  // A machine that is busy may need longer than that for the first events.
  std::size_t attempts = 0;
  for (auto timeout = 200ms; timeout <= 20s; timeout *= 10) {
    server_.add_fault(faults::stream_stalls_after(2));
    ++attempts;
    Seen seen;
    const auto answer =
        bedrock.stream(ChatRequest("x"), seen.handler(), {.timeout = timeout}).get();
    ASSERT_TRUE(fails_with(answer, ErrorCode::timeout));
    EXPECT_LE(seen.count(), 2u);
    if (seen.count() < 2) continue;
    EXPECT_TRUE(answer.error().maybe_applied);
    EXPECT_TRUE(wait_until([this] {
      const auto stats = server_.stats();
      return stats.calls > 0 && stats.aborted == stats.calls;
    }));
    EXPECT_LE(server_.calls(), attempts);
    return;
  }
  FAIL() << "there were never two events in time";
}

TEST_F(BedrockStreams, SilenceEndsThemByALimitOfTheirOwn) {
  auto impatient = options();
  impatient.read_timeout = 1ms;  // is of other calls
  impatient.stream_read_timeout = 300ms;
  auto bedrock = client(impatient);
  server_.add_fault(faults::stream_stalls_after(2));
  const auto answer = stream(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::timeout));
  EXPECT_NE(answer.error().message.find("for 300 ms"), std::string::npos) << answer.error().message;
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 1; }));
  EXPECT_EQ(server_.calls(), 1u);
}

TEST_F(BedrockStreams, AStallAfterTheMessagesStopCostsOnlyTheUsage) {
  Fault fault = faults::stream_stalls_after(4);
  fault.body = response_of(json::array({{{"text", "x"}}})).dump();
  for (auto timeout = 200ms; timeout <= 20s; timeout *= 10) {
    const auto answer = stream_with(fault, {.timeout = timeout});
    if (!answer && seen_.count(Type::message_stop) == 0) continue;  // a busy machine
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(answer->text, "x");
    return;
  }
  FAIL() << "the message never stopped in time";
}

TEST_F(BedrockStreams, OverTheLimitTheyAreCutOff) {
  auto limited = options();
  limited.max_response_bytes = 1000;
  auto bedrock = client(limited);
  server_.add_fault(
      faults::with_body(response_of(json::array({{{"text", std::string(100000, 'x')}}})).dump(),
                        "application/vnd.amazon.eventstream"));
  const auto answer = stream(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::too_large));
}

// --- handlers -----------------------------------------------------------------------------------

TEST_F(BedrockStreams, HandlersRunOnAThreadOfTheirOwn) {
  auto bedrock = client();
  bool waits = true;
  std::string name;
  auto future = bedrock.stream(ChatRequest("x"), [&](const StreamEvent&) {
    name = own_thread_name();
    // To wait there for another stream would be to wait for oneself.
    waits = !fails_with(bedrock.complete(ChatRequest("y")).get(), ErrorCode::would_deadlock);
  });
  EXPECT_TRUE(ok(future.get()));
  EXPECT_EQ(name, "vkc-stream");
  EXPECT_FALSE(waits);
}

TEST_F(BedrockStreams, HandlersRunOnTheExecutor) {
  std::mutex mutex;
  std::vector<Task> tasks;
  auto with_executor = options();
  with_executor.executor = [&](Task task) {
    const std::lock_guard lock(mutex);
    tasks.push_back(std::move(task));
  };
  auto bedrock = client(with_executor);
  std::vector<std::thread::id> threads;
  auto future = bedrock.stream(
      ChatRequest("x"), [&](const StreamEvent&) { threads.push_back(std::this_thread::get_id()); });
  EXPECT_TRUE(wait_until([&] {
    std::vector<Task> now;
    {
      const std::lock_guard lock(mutex);
      now.swap(tasks);
    }
    for (auto& task : now) task();
    return future.ready();
  }));
  EXPECT_TRUE(ok(future.get()));
  EXPECT_GT(threads.size(), 4u);
  for (const auto& thread : threads) EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST_F(BedrockStreams, AnExecutorThatRunsInPlaceHoldsUpNoOtherCall) {
  auto in_place = options();
  in_place.executor = [](Task task) {
    task();
  };
  auto bedrock = client(in_place);
  Gate gate;
  std::string name;
  auto future = bedrock.stream(ChatRequest("x"), [&](const StreamEvent&) {
    name = own_thread_name();
    gate.wait();
  });
  EXPECT_TRUE(ok(ask(bedrock))) << "while the handler waits";
  gate.open();
  EXPECT_TRUE(ok(future.get()));
  EXPECT_EQ(name, "vkc-stream");
}

TEST_F(BedrockStreams, ASlowHandlerMakesTheServiceWait) {
  // More than the sockets of both sides may hold by themselves.
  constexpr std::size_t mebibytes = sanitized ? 24 : 32;
  constexpr std::size_t size = mebibytes << 20;
  auto roomy = options();
  roomy.max_response_bytes = 2 * size;
  auto bedrock = client(roomy);
  auto fault =
      faults::with_body(stream_of_mebibytes(mebibytes), "application/vnd.amazon.eventstream");
  fault.piece = 65536;
  server_.add_fault(std::move(fault));
  Gate gate;
  std::size_t received = 0;
  auto future = bedrock.stream(ChatRequest("x"), [&](const StreamEvent& event) {
    gate.wait();
    received += event.text.size();
  });
  // It has come to rest when nothing more was sent for a while.
  std::size_t sent = 0;
  int rests = 0;
  EXPECT_TRUE(wait_until([&] {
    const auto now = server_.stats().bytes_sent;
    rests = now == sent && now > 0 ? rests + 1 : 0;
    sent = now;
    return rests == 300;
  }));
  EXPECT_LT(sent, size - (std::size_t{4} << 20)) << "the rest waits at the service";
  EXPECT_FALSE(future.ready());
  gate.open();
  const auto answer = future.get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->text.size(), size);
  EXPECT_GT(received, size);
  EXPECT_GT(server_.stats().bytes_sent, size);
}

TEST_F(BedrockStreams, ADeadlineEndsWhatWaitsForASlowHandler) {
  auto bedrock = client();
  // A machine that is busy may need longer than that for the first event.
  for (auto timeout = 300ms; timeout <= 30s; timeout *= 10) {
    server_.add_fault(faults::stream_stalls_after(4));
    const auto aborted = server_.stats().aborted;
    Gate gate;
    std::atomic<int> calls{0};
    auto future = bedrock.stream(ChatRequest("x"),
                                 [&](const StreamEvent&) {
                                   ++calls;
                                   gate.wait();
                                 },
                                 {.timeout = timeout});
    EXPECT_TRUE(wait_until([&] { return server_.stats().aborted > aborted || future.ready(); }))
        << "the exchange is closed, whatever the handler does";
    const bool ready = future.ready();
    const int before = calls;
    gate.open();
    EXPECT_TRUE(fails_with(future.get(), ErrorCode::timeout));
    if (before == 0) continue;
    EXPECT_FALSE(ready) << "while the handler runs, what it refers to is needed";
    EXPECT_EQ(calls, 1) << "and it is not called again";
    return;
  }
  FAIL() << "there was never an event in time";
}

TEST_F(BedrockStreams, AHandlerMayStopItsStream) {
  auto bedrock = client();
  server_.add_fault(faults::stream_stalls_after(5));
  std::stop_source stop;
  int calls = 0;
  auto future = bedrock.stream(ChatRequest("x"),
                               [&](const StreamEvent& event) {
                                 ++calls;
                                 if (event.type == Type::text_delta) stop.request_stop();
                               },
                               {.stop_token = stop.get_token()});
  EXPECT_TRUE(fails_with(future.get(), ErrorCode::cancelled));
  EXPECT_EQ(calls, 2) << "and is not called again";
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 1; }));
}

TEST_F(BedrockStreams, AHandlerThatThrowsEndsItsStream) {
  auto bedrock = client();
  server_.add_fault(faults::stream_stalls_after(5));
  int calls = 0;
  auto future = bedrock.stream(ChatRequest("x"), [&](const StreamEvent& event) {
    ++calls;
    if (event.type == Type::text_delta) throw std::runtime_error("hunter2");
  });
  const auto answer = future.get();
  EXPECT_TRUE(fails_with(answer, ErrorCode::callback_failed));
  EXPECT_TRUE(answer.error().maybe_applied);
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 1; }));
  EXPECT_EQ(log_.count("hunter2"), 0u);
  EXPECT_EQ(log_.count("handler of a stream threw"), 1u);
  EXPECT_TRUE(ok(stream(bedrock))) << "it harms nothing else";
}

TEST_F(BedrockStreams, AHandlerMayUseTheClient) {
  auto bedrock = client();
  std::vector<Future<Completion>> inner;
  Seen nested;
  auto future = bedrock.stream(ChatRequest("x"), [&](const StreamEvent& event) {
    if (event.type != Type::message_start) return;
    inner.push_back(bedrock.complete(ChatRequest("y")));
    inner.push_back(bedrock.stream(ChatRequest("z"), nested.handler()));
  });
  EXPECT_TRUE(ok(future.get()));
  ASSERT_EQ(inner.size(), 2u);
  for (auto& one : inner) EXPECT_TRUE(ok(one.get()));
  EXPECT_NE(nested.text().find("z"), std::string::npos);
}

TEST_F(BedrockStreams, AHandlerMayDestroyTheLastHandle) {
  Future<Completion> future;
  std::atomic<int> calls{0};
  {
    server_.add_fault(faults::stream_stalls_after(5));
    auto bedrock = std::make_shared<BedrockClient>(client());
    auto& handle = *bedrock;
    future = handle.stream(
        ChatRequest("x"), [&calls, bedrock = std::move(bedrock)](const StreamEvent& event) mutable {
          ++calls;
          if (event.type == Type::text_delta) bedrock.reset();
        });
  }
  EXPECT_TRUE(fails_with(future.get(), ErrorCode::closed));
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 1; }));
  EXPECT_TRUE(wait_until([] { return threads_named("vkc-stream") == 0; }));
  EXPECT_TRUE(wait_until([] { return threads_named("vkc-bedrock") == 0; }));
}

// --- lives --------------------------------------------------------------------------------------

TEST_F(BedrockStreams, TheEndOfTheClientEndsThem) {
  Future<Completion> future;
  {
    auto bedrock = client();
    server_.add_fault(faults::stream_stalls_after(3));
    future = bedrock.stream(ChatRequest("x"), seen_.handler());
    EXPECT_TRUE(wait_until([this] { return seen_.count() == 3; }));
  }
  EXPECT_TRUE(future.ready());
  EXPECT_TRUE(fails_with(future.get(), ErrorCode::closed));
  EXPECT_TRUE(wait_until([] { return threads_named("vkc-stream") == 0; }));
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 1; }));
}

TEST_F(BedrockStreams, ADroppedFutureDetaches) {
  auto bedrock = client();
  { auto dropped = bedrock.stream(ChatRequest("x"), seen_.handler()); }
  EXPECT_TRUE(wait_until([this] { return seen_.count(Type::usage) == 1; }));
}

TEST_F(BedrockStreams, NoStreamNoThread) {
  auto bedrock = client();
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(threads_named("vkc-stream"), 0u);
  EXPECT_TRUE(ok(stream(bedrock)));
  EXPECT_EQ(threads_named("vkc-stream"), 1u);
}

TEST_F(BedrockStreams, FiftyAtOnce) {
  auto bedrock = client();
  server_.hold();
  std::vector<std::unique_ptr<Seen>> seen;
  std::vector<Future<Completion>> futures;
  for (int i = 0; i < 50; ++i) {
    seen.push_back(std::make_unique<Seen>());
    futures.push_back(
        bedrock.stream(ChatRequest("prompt " + std::to_string(i)), seen.back()->handler()));
  }
  EXPECT_TRUE(wait_until([this] { return server_.stats().in_flight == 50; }));
  server_.release();
  for (std::size_t i = 0; i < futures.size(); ++i) {
    const auto answer = futures[i].get();
    ASSERT_TRUE(ok(answer));
    EXPECT_NE(answer->text.find("prompt " + std::to_string(i)), std::string::npos);
    EXPECT_EQ(seen[i]->text(), answer->text);
  }
  EXPECT_EQ(threads_named("vkc-stream"), 1u);
}

TEST_F(BedrockStreams, WhatCannotBeAskedIsToldAtOnce) {
  auto bedrock = client();
  EXPECT_TRUE(fails_with(bedrock.stream(ChatRequest("x"), {}).get(), ErrorCode::invalid_argument));
  EXPECT_TRUE(fails_with(bedrock.stream(ChatRequest("\xff"), seen_.handler()).get(),
                         ErrorCode::invalid_argument));
  EXPECT_TRUE(fails_with(stream(bedrock, {.timeout = 0ms}), ErrorCode::timeout));
  EXPECT_TRUE(fails_with(bedrock.stream(ChatRequest::invoke(sonnet, "{}"), seen_.handler()).get(),
                         ErrorCode::unsupported));
  const auto taken = std::move(bedrock);
  EXPECT_TRUE(fails_with(stream(bedrock), ErrorCode::closed));  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(server_.calls(), 0u);
}

TEST_F(BedrockStreams, CancelledBeforeTheyBegin) {
  auto bedrock = client();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(fails_with(stream(bedrock, {.stop_token = stop.get_token()}), ErrorCode::cancelled));
  EXPECT_EQ(server_.calls(), 0u);
  EXPECT_EQ(seen_.count(), 0u);
}

// --- over HTTP/2 --------------------------------------------------------------------------------

struct HasFiles {
  CertificateFiles files;
};

class BedrockStreamsHttp2 : private HasFiles, public BedrockTest {
 protected:
  BedrockStreamsHttp2()
      : BedrockTest({.certificate_file = files.certificate(), .key_file = files.key()}) {}
  [[nodiscard]] BedrockOptions trusting() {
    auto made = options();
    made.ca_file = files.certificate();
    return made;
  }
  Seen seen_;
};

TEST_F(BedrockStreamsHttp2, ManyShareAConnection) {
  auto bedrock = client(trusting());
  std::vector<std::unique_ptr<Seen>> seen;
  std::vector<Future<Completion>> futures;
  for (int i = 0; i < 20; ++i) {
    seen.push_back(std::make_unique<Seen>());
    futures.push_back(
        bedrock.stream(ChatRequest("prompt " + std::to_string(i)), seen.back()->handler()));
  }
  for (std::size_t i = 0; i < futures.size(); ++i) {
    const auto answer = futures[i].get();
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(seen[i]->text(), answer->text);
  }
  EXPECT_EQ(server_.stats().connections, 1u);
}

// AWS's own client takes even a reset for the end there. One attempt: a reset may arrive before
// libcurl has handed over what came before it, and a stream without events is tried again.
TEST_F(BedrockStreamsHttp2, WhatBreaksOffIsNoAnswer) {
  for (const bool reset : {false, true}) {
    auto once = trusting();
    once.max_attempts = 1;
    auto bedrock = client(once);
    server_.add_fault(reset ? faults::reset_in_body(400) : faults::truncated(400));
    EXPECT_TRUE(
        fails_with(bedrock.stream(ChatRequest("x"), seen_.handler()).get(), ErrorCode::transport));
  }
  auto bedrock = client(trusting());
  server_.add_fault(faults::stream_ends_after(3));
  EXPECT_TRUE(
      fails_with(bedrock.stream(ChatRequest("x"), seen_.handler()).get(), ErrorCode::transport));
}

TEST_F(BedrockStreamsHttp2, OneThatWaitsForItsHandlerHoldsUpNoOther) {
  auto bedrock = client(trusting());
  server_.add_fault(
      faults::with_body(stream_of_mebibytes(4), "application/vnd.amazon.eventstream"));
  Gate gate;
  Gate entered;
  std::size_t received = 0;
  auto slow = bedrock.stream(ChatRequest("x"), [&](const StreamEvent& event) {
    entered.open();
    gate.wait();
    received += event.text.size();
  });
  EXPECT_TRUE(entered.wait());
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_FALSE(slow.ready());
  gate.open();
  const auto answer = slow.get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->text.size(), std::size_t{4} << 20);
  EXPECT_GE(received, answer->text.size());
  EXPECT_EQ(server_.stats().connections, 1u);
}

}  // namespace
}  // namespace valkeycache::test
