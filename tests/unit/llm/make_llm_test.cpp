#include <valkeycache/llm.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace valkeycache;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

ErrorCode code_of(Result<Completion> answer) {
  EXPECT_FALSE(answer);
  return answer.error().code;
}

std::shared_ptr<Llm> echo() {
  return make_text_llm({"echo", "here"}, [](const ChatRequest& r) { return r.to_json(); });
}

TEST(MakeTextLlm, AnswersWithTheText) {
  const auto llm = echo();
  const auto answer = llm->complete(ChatRequest("hi"), {}).get();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, ChatRequest("hi").to_json());
  EXPECT_EQ(answer->stop_reason, "end_turn");
  EXPECT_EQ(answer->content, "");
  EXPECT_EQ(llm->cache_identity().model, "echo");
  EXPECT_EQ(llm->cache_identity().scope, "here");
}

TEST(MakeLlm, GivesWhatTheFunctionGives) {
  const auto llm = make_llm({}, [](const ChatRequest& request) -> Result<Completion> {
    if (request.model() == "bad") {
      return Error{.code = ErrorCode::throttled, .message = "slow down", .retryable = true};
    }
    return Completion{.text = "t", .stop_reason = "max_tokens", .usage = {.input_tokens = 3}};
  });
  const auto good = llm->complete(ChatRequest("hi"), {}).get().value();
  EXPECT_EQ(good.stop_reason, "max_tokens");
  EXPECT_EQ(good.usage.input_tokens, 3);
  const auto bad = llm->complete(ChatRequest("hi").model("bad"), {}).get();
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, ErrorCode::throttled);
  EXPECT_TRUE(bad.error().retryable);
}

TEST(MakeLlm, AnExceptionIsAnErrorWithoutItsText) {
  const auto llm = make_llm(
      {}, [](const ChatRequest&) -> Result<Completion> { throw std::runtime_error("my prompt"); });
  const auto answer = llm->complete(ChatRequest("hi"), {}).get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::callback_failed);
  EXPECT_THAT(answer.error().message, Not(HasSubstr("prompt")));
  EXPECT_EQ(code_of(make_llm({}, nullptr)->complete(ChatRequest("hi"), {}).get()),
            ErrorCode::callback_failed);
  EXPECT_EQ(code_of(make_text_llm({}, nullptr)->complete(ChatRequest("hi"), {}).get()),
            ErrorCode::callback_failed);
}

TEST(MakeLlm, RefusesWhatCannotBegin) {
  bool called = false;
  const auto llm = make_text_llm({}, [&](const ChatRequest&) {
    called = true;
    return std::string("x");
  });
  EXPECT_EQ(code_of(llm->complete(ChatRequest("\xff"), {}).get()), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(llm->complete(ChatRequest("a"), {.timeout = 0ms}).get()), ErrorCode::timeout);
  EXPECT_EQ(code_of(llm->complete(ChatRequest("a"), {.timeout = -1ms}).get()), ErrorCode::timeout);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(code_of(llm->complete(ChatRequest("a"), {.stop_token = stop.get_token()}).get()),
            ErrorCode::cancelled);
  EXPECT_FALSE(called);
}

TEST(MakeAsyncLlm, HandsOverRequestAndOptions) {
  Promise<Completion> promise;
  std::string seen;
  std::optional<std::chrono::milliseconds> timeout;
  const auto llm = make_async_llm({"m", "s"}, [&](const ChatRequest& request, CallOptions options) {
    seen = request.to_json();
    timeout = options.timeout;
    return promise.future();
  });
  EXPECT_EQ(llm->cache_identity().model, "m");
  auto future = llm->complete(ChatRequest("hi"), {.timeout = 5s});
  EXPECT_EQ(seen, ChatRequest("hi").to_json());
  EXPECT_EQ(timeout, 5s);
  EXPECT_FALSE(future.ready());
  promise.set(Completion{.text = "late"});
  EXPECT_EQ(future.get().value().text, "late");
}

TEST(MakeAsyncLlm, ErrorsOfTheFunction) {
  const auto throwing = make_async_llm(
      {},
      [](const ChatRequest&, CallOptions) -> Future<Completion> { throw std::runtime_error("x"); });
  EXPECT_EQ(code_of(throwing->complete(ChatRequest("hi"), {}).get()), ErrorCode::callback_failed);
  EXPECT_EQ(code_of(throwing->complete(ChatRequest("\xff"), {}).get()),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(make_async_llm({}, nullptr)->complete(ChatRequest("hi"), {}).get()),
            ErrorCode::callback_failed);
}

// --- the default stream

TEST(DefaultStream, IsTheWholeAnswerInEvents) {
  const auto llm = make_text_llm({}, [](const ChatRequest&) { return std::string("hello"); });
  std::vector<StreamEvent::Type> types;
  std::string text;
  const auto answer = llm->stream(ChatRequest("x"),
                                  [&](const StreamEvent& event) {
                                    types.push_back(event.type);
                                    if (event.type == StreamEvent::Type::text_delta)
                                      text += event.text;
                                  },
                                  {})
                          .get();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, "hello");
  EXPECT_EQ(text, "hello");
  using Type = StreamEvent::Type;
  EXPECT_THAT(types, ElementsAre(Type::message_start, Type::text_delta, Type::block_stop,
                                 Type::message_stop, Type::usage));
}

TEST(DefaultStream, AnErrorTellsNoEvents) {
  const auto llm = make_llm({}, [](const ChatRequest&) -> Result<Completion> {
    return Error{.code = ErrorCode::model_error, .message = "no"};
  });
  int events = 0;
  EXPECT_EQ(code_of(llm->stream(ChatRequest("x"), [&](const StreamEvent&) { ++events; }, {}).get()),
            ErrorCode::model_error);
  EXPECT_EQ(events, 0);
}

TEST(DefaultStream, AHandlerThatThrowsEndsIt) {
  int events = 0;
  EXPECT_EQ(code_of(echo()
                        ->stream(ChatRequest("x"),
                                 [&](const StreamEvent&) {
                                   if (++events == 2) throw std::runtime_error("enough");
                                 },
                                 {})
                        .get()),
            ErrorCode::callback_failed);
  EXPECT_EQ(events, 2);
}

TEST(DefaultStream, NeedsNoHandler) {
  EXPECT_TRUE(echo()->stream(ChatRequest("x"), nullptr, {}).get());
}

TEST(Llm, IsAnInterfaceForAnyone) {
  class Mine : public Llm {
   public:
    Future<Completion> complete(const ChatRequest&, CallOptions) override {
      return make_ready_future<Completion>(Completion{.text = "mine"});
    }
    [[nodiscard]] CacheIdentity cache_identity() const override { return {"mine", ""}; }
  };
  Mine mine;
  Llm& llm = mine;
  EXPECT_EQ(llm.complete(ChatRequest("x"), {}).get().value().text, "mine");
  EXPECT_EQ(llm.stream(ChatRequest("x"), nullptr, {}).get().value().text, "mine");
}

}  // namespace
